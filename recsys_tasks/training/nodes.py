"""
Training on several machines: the first one's step announces its training, the others join it.

On each other machine ``NODE_RANK=1 python -m recsys_tasks.training.nodes HOME`` (2, 3, ... on further ones) waits for
trainings of the shop in HOME, a folder that all machines share, and takes part in each of them until it is ended.
"""

import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from recsys_tasks.errors import RecsysError, SettingsError

log = logging.getLogger(__name__)

RANK_VARIABLE = "NODE_RANK"
LOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """``count`` machines that meet at ``endpoint`` (HOST:PORT of the first); ``rank`` is this one's number from 0."""

    count: int = 1
    endpoint: str = ""
    rank: int = 0


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


def waiting(home: Path) -> Announcement | None:
    """The training that waits for nodes, if there is one."""
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


def take_part(home: Path, seen: str | None = None) -> str | None:
    """Join the training that waits, unless it is the one ``seen``; the name of the last one joined."""
    from recsys_tasks.training.launch import launch

    found = waiting(home)
    if found is None or found.name == seen:
        return seen
    log.info("joining %s on %d nodes", found.folder, found.count)
    nodes = Nodes(count=found.count, endpoint=found.endpoint, rank=own_rank())
    try:
        launch(found.module, Path(found.folder), nodes=nodes)
    except RecsysError as error:
        # The first node fails its step and tells why; this one waits for the retry.
        log.warning("the training failed: %s", error)
    return found.name


def _place(home: Path) -> Path:
    return home / "nodes" / "encoder.json"


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    if own_rank() == 0:
        raise SystemExit(
            f"set {RANK_VARIABLE} to this machine's number, 1 or more; the night itself runs on number 0"
        )
    last: str | None = None
    while True:
        last = take_part(Path(sys.argv[1]), last)
        time.sleep(LOOK_SECONDS)
