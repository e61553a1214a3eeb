"""One thread for each process of the tests, and the same examples on every machine.

Processes run beside each other on every core. How long an example takes tells of the machine.
"""

import os

from hypothesis import HealthCheck, settings

# Read when numpy and torch are first imported, so before any other module of the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "any machine",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")
