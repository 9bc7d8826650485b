"""What a process has spent so far, by the kernel's own count."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def cpu_seconds() -> float:
    """User and system, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Of this program: getrusage's ru_maxrss would begin with what the harness held when it started the process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def spent(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What the work returns, and its {cpu, seconds} with the process's peak_mb."""
    began, before = time.perf_counter(), cpu_seconds()
    result = work()
    cost = {"cpu": cpu_seconds() - before, "seconds": time.perf_counter() - began, "peak_mb": peak_mb()}
    return result, cost
