"""A child that must not outlive its parent."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(expected: int | None = None) -> None:
    """
    Have the kernel send SIGKILL to this process when its parent dies, however it dies (Linux; elsewhere nothing).

    ``expected`` is the parent's id where the caller knows it: a parent that died before this call sends nothing any
    more, so the process ends itself.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if expected is not None and os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGKILL)
