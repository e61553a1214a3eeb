"""One thread for each process of the tests: they run beside each other on every core."""

import os

# Read when numpy and torch are first imported, so before any other module of the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")
