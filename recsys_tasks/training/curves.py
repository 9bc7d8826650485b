"""
The curves of a training: every tracker is told its steps, and how it ended.

A tracker never costs the night. One that raises is left alone with a warning, what it missed is kept, and it is tried
once more at the end: a server that was away for a while then has the whole curve.
"""

import logging
import signal
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, NoReturn

from recsys_tasks.training.tracker_runs import TRACKERS, Run, Status, Tracker, in_a_line

log = logging.getLogger("finetune")


class Curves:
    """
    Around a training, ``with Curves(run, names):``; without a run or without names nobody is told.

    Inside, SIGTERM ends the process as an exception, so that the trackers hear of it.
    """

    def __init__(self, run: Run | None = None, names: Sequence[str] = ()) -> None:
        self._tracked = [] if run is None else [_Tracked(name, TRACKERS[name](), run) for name in names]
        self._sigterm: Any = None

    def begin(self, first: int) -> None:
        """Before the first step that is told."""
        for one in self._tracked:
            one.begin(first)

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        for one in self._tracked:
            one.tell(step, figures)

    def __enter__(self) -> "Curves":
        # Only the main thread may set handlers.
        if self._tracked and threading.current_thread() is threading.main_thread():
            self._sigterm = signal.signal(signal.SIGTERM, _stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopped: SystemExit | None = None
        for one in self._tracked:
            try:
                one.end(_status(kind))
            except SystemExit as stop:
                # SIGTERM while a tracker was told the end: the others hear it all the same.
                stopped = stop
        if self._sigterm is not None:
            signal.signal(signal.SIGTERM, self._sigterm)
        if stopped is not None:
            raise stopped


def _status(kind: type[BaseException] | None) -> Status:
    if kind is None:
        return "FINISHED"
    # What is no Exception came from outside: a signal.
    return "FAILED" if issubclass(kind, Exception) else "KILLED"


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # A second one, of an operator who cannot wait, would end us before the trackers know.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


class _Tracked:
    """A tracker, and what it has not been told yet."""

    def __init__(self, name: str, tracker: Tracker, run: Run) -> None:
        self.name, self.tracker, self.run = name, tracker, run
        self.first: int | None = None
        self.begun = self.lost = False
        self.untold: deque[tuple[int, Mapping[str, float]]] = deque()

    def begin(self, first: int) -> None:
        self.first = first
        self._catch_up()
        if self.lost:
            log.warning("the training goes on; %s is tried once more at its end", self.name)

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        self.untold.append((step, figures))
        if not self.lost:
            self._catch_up()

    def end(self, status: Status) -> None:
        # Nothing was begun by a training that failed before its first step; one that is killed has no time to try.
        if self.first is None or (self.lost and status == "KILLED"):
            return
        self._catch_up(status)
        if self.lost:
            log.warning(
                "%s lacks %d steps of this training, or its end; docs/training.md tells what to do",
                self.name,
                len(self.untold),
            )

    def _catch_up(self, status: Status | None = None) -> None:
        """Tell all that is untold, and at the end how it ended."""
        assert self.first is not None
        try:
            if not self.begun:
                self.tracker.begin(self.run, self.first)
                self.begun = True
            while self.untold:
                self._tell_first()
            if status is not None:
                self.tracker.end(status)
            self.lost = False
        except Exception as error:  # noqa: BLE001 - each tracker has errors of its own, and none may cost the night
            self.lost = True
            # Opened anew at the second try, it knows what it was told, though the answer to that was lost.
            self.begun = False
            self.first = self.untold[0][0] if self.untold else self.first
            log.warning(
                "encoder.trackers: %s cannot be told: %s: %s",
                self.name,
                type(error).__name__,
                in_a_line(error),
            )

    def _tell_first(self) -> None:
        """A step whose telling SIGTERM breaks off is not told again: it may stand there already."""
        point = self.untold.popleft()
        try:
            self.tracker.tell(*point)
        except Exception:  # not SystemExit, which is the signal; the error itself goes on to the caller
            self.untold.appendleft(point)
            raise
