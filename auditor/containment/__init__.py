"""A process for what is not trusted: no network, no writing, bounded memory and time."""
