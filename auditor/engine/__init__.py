"""Plan, sweep, store, evidence, run."""
