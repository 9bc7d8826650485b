"""
Training on several machines: the first one's step announces its training, the others join it.

On each other machine ``NODE_RANK=1 python -m recsys_tasks.training.nodes HOME`` (2, 3, ... on further ones) waits for
trainings of the shop in HOME, a folder that all machines share, and takes part in each of them until it is ended.

A night that is killed leaves its note behind. The note alone therefore calls nobody: a training is there when it
answers at its address, and that ends with the process, however it ends. Whatever answers there is taken for it, so
each shop has an address of its own; processes that read different trainings nevertheless end before the first step.
"""

import json
import logging
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from recsys_tasks.errors import RecsysError, SettingsError
from recsys_tasks.training.launch import Nodes, launch

log = logging.getLogger(__name__)

RANK_VARIABLE = "NODE_RANK"
LOOK_SECONDS = 1.0
# A machine that was switched off does not even refuse.
ANSWER_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A training that waits for its other nodes; ``name`` tells it from any other."""

    name: str
    module: str
    folder: str
    count: int
    endpoint: str


@contextmanager
def announced(home: Path, nodes: Nodes, module: str, folder: Path) -> Iterator[None]:
    """Tell the other nodes while the body runs; alone, nobody is told."""
    if nodes.count == 1:
        yield
        return
    note = Announcement(
        name=uuid.uuid4().hex,
        module=module,
        folder=str(folder.absolute()),
        count=nodes.count,
        endpoint=nodes.endpoint,
    )
    place = _place(home)
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_suffix(".partial")
    scratch.write_text(json.dumps(asdict(note)), encoding="utf-8")
    scratch.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def announcement(home: Path) -> Announcement | None:
    """The note in ``home``, if there is one; its training may be gone."""
    try:
        return Announcement(**json.loads(_place(home).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def own_rank() -> int:
    """This machine's number, from the environment; raises SettingsError where it is none."""
    told = os.environ.get(RANK_VARIABLE, "0")
    if not told.isdigit():
        raise SettingsError(
            f"{RANK_VARIABLE} is {told!r}; give the machines numbers from 0, the night's own is 0"
        )
    return int(told)


def answers(endpoint: str) -> bool:
    """Whether anybody listens at HOST:PORT, whoever it is."""
    host, _, port = endpoint.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS):
            return True
    except (OSError, ValueError):
        # No address at all is a ValueError: ``a..b:1`` cannot even be asked for.
        return False


class Waiting:
    """A machine that waits for trainings in ``home``, and takes part in each of them once."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.joined: str | None = None
        self._told: str | None = None

    def look(self) -> None:
        """Join the training that is there, until it has ended; or log, once, why the waiting goes on."""
        found = announcement(self.home)
        why = self._why_not(found)
        if found is not None and why is None:
            self.joined = found.name
            join(found)
        elif why != self._told:
            log.info("waiting: %s", why)
        self._told = why

    def _why_not(self, found: Announcement | None) -> str | None:
        """Why this training is not to be joined; none where it is."""
        if found is None:
            return f"no training is announced in {_place(self.home)}"
        if found.name == self.joined:
            return f"this machine took part in the training of {found.folder}, and no other is announced"
        if not answers(found.endpoint):
            return (
                f"{_place(self.home)} announces the training of {found.folder}, but nothing answers at "
                f"{found.endpoint}: it does not listen yet, or its night was killed and left the note behind"
            )
        # A note is there before its training listens: where it is still the same one, it was this one that answered.
        return None if announcement(self.home) == found else "another training was announced just now"


def join(found: Announcement) -> None:
    """Run this machine's workers of an announced training. One that fails is logged: the night itself tells why."""
    log.info("joining %s on %d nodes", found.folder, found.count)
    nodes = Nodes(count=found.count, endpoint=found.endpoint, rank=own_rank())
    try:
        launch(found.module, Path(found.folder), nodes=nodes)
    except RecsysError as error:
        log.warning("the training failed: %s", error)


def _place(home: Path) -> Path:
    return home / "nodes" / "encoder.json"


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    if own_rank() == 0:
        raise SystemExit(
            f"set {RANK_VARIABLE} to this machine's number, 1 or more; the night itself runs on number 0"
        )
    waiting = Waiting(Path(sys.argv[1]))
    while True:
        waiting.look()
        time.sleep(LOOK_SECONDS)
