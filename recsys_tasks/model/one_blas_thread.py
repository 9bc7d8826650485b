"""One thread for the BLAS of NumPy and SciPy, for as long as somebody asks for it."""

from threading import Lock

from threadpoolctl import threadpool_limits


class OneBlasThread:
    """
    BLAS has one thread from the first that enters to the last that leaves, in whatever order they do.

    OpenBLAS shares out even small products and panels, and its threads spin while they wait for one another. Measured
    on two cores: batches of shoppers side by side took 9 to 13 times the CPU time, one EASE inverse alone twice as
    long, one tall QR five times.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._limit: threadpool_limits | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._limit is None:
                self._limit = threadpool_limits(1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._limit is not None:
                self._limit.restore_original_limits()
                self._limit = None


ONE_BLAS_THREAD = OneBlasThread()
