"""Linear algebra on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep numpy's and scikit-learn's linear algebra on one thread, so that results agree.

    They change with the number of threads, and small matrices are multiplied faster by one: where
    others want the cores, several cost five times the time of a processor.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
