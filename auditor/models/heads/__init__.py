"""Heads: from a model's raw outputs to answers, one file a head."""
