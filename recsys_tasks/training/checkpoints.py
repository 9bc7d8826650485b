"""
Checkpoints of a training: they appear whole or not at all, and only the same request goes on from one.

A checkpoint is one safetensors file: the tensors of a nested state, and its outline as JSON in the file's header.
Nothing is pickled, so reading one runs no code.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

log = logging.getLogger("finetune")

# The newest, and the one before it should a disk have lost a part of the newest.
KEPT = 2
# What a night that failed for good left behind is removed by a later one.
STALE_SECONDS = 3 * 86_400.0
# Of a request's digits, in the name of its folder.
REQUEST_DIGITS = 16

# Mappings, sequences, tensors, arrays and plain JSON values, nested.
State = Any

# What reading a file that is not there, not whole or no checkpoint at all raises.
UNREADABLE = (OSError, SafetensorError, KeyError, ValueError)


@dataclass(frozen=True)
class Checkpoints:
    """
    The checkpoints of one training in ``folder``, one every ``every`` steps; without a folder or with 0 there are none.

    ``request`` names what is trained from what: a checkpoint of another request is never read.
    """

    folder: Path | None = None
    request: str = ""
    every: int = 0

    @classmethod
    def of(cls, home: Path, request: str, every: int) -> "Checkpoints":
        """Those of ``request`` in a folder of its own: one artefact may take two trainings (a refused warm start)."""
        return cls(home / request[:REQUEST_DIGITS], request, every)

    def due(self, done: int, steps: int) -> bool:
        """Whether a checkpoint belongs behind ``done`` of ``steps`` steps; the last step always has one."""
        return self.folder is not None and self.every > 0 and (done % self.every == 0 or done == steps)

    def save(self, done: int, state: State) -> None:
        """Write the state behind ``done`` steps. A disk that is full costs the checkpoint, not the training."""
        assert self.folder is not None
        target = self._file(done)
        try:
            _write_whole(target, state, {"request": self.request})
        except (OSError, SafetensorError) as error:
            log.warning("no checkpoint behind step %d: %s", done, error)
            return
        found = self._newest_first()
        # What seems newer is of another training, or damaged: it would push this one's out.
        kept = [file for file in found if file.name <= target.name][:KEPT]
        for file in set(found) - set(kept):
            file.unlink(missing_ok=True)

    def newest(self) -> State | None:
        """The state of the newest whole checkpoint of this request; damaged ones are logged and left out."""
        if self.every == 0:
            return None
        for file in self._newest_first():
            try:
                facts, state = _read(file)
            except UNREADABLE as error:
                log.warning("checkpoint %s is damaged and left out: %s", file.name, error)
                continue
            if facts.get("request") == self.request:
                return state
            log.info("checkpoint %s is of another training and left out", file.name)
        return None

    def behind(self, done: int) -> State:
        """The state behind ``done`` steps of this request. Raises one of UNREADABLE where it cannot be read."""
        facts, state = _read(self._file(done))
        if facts.get("request") != self.request:
            raise ValueError(f"{self._file(done).name} is of another training")
        return state

    def _file(self, done: int) -> Path:
        assert self.folder is not None
        return self.folder / f"step-{done:09d}.safetensors"

    def _newest_first(self) -> list[Path]:
        if self.folder is None or not self.folder.is_dir():
            return []
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)


def prune(home: Path, keep: str) -> None:
    """Remove the folders of ``home`` that no training has written into for STALE_SECONDS, whatever holds ``keep``."""
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        if folder.name != keep and time.time() - _last_written(folder) > STALE_SECONDS:
            log.info("checkpoints %s were left behind by a night that never ended: removed", folder.name)
            shutil.rmtree(folder, ignore_errors=True)


def _last_written(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)


def _write_whole(target: Path, state: State, facts: Mapping[str, str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    outline = json.dumps(_outlined(state, tensors))
    scratch = target.with_suffix(".partial")
    try:
        save_file(tensors, scratch, metadata={"outline": outline, **facts})
        _to_disk(scratch)
        scratch.replace(target)
        _to_disk(target.parent)
    finally:
        scratch.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: Path) -> tuple[dict[str, str], State]:
    with safe_open(file, framework="pt") as stored:
        facts: dict[str, str] = stored.metadata() or {}
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
    return facts, _filled(json.loads(facts["outline"]), tensors)


def _outlined(value: State, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON; its tensors go into ``tensors`` and leave their names behind."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "array"
        name = str(len(tensors))
        # A copy: safetensors refuses tensors that share memory, and a parameter may stand in two places.
        tensors[name] = torch.as_tensor(value).detach().to("cpu", copy=True).contiguous()
        return {kind: name}
    if isinstance(value, Mapping):
        # As pairs: an optimiser's keys are numbers, which JSON has not.
        return {"map": [[key, _outlined(inner, tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_outlined(inner, tensors) for inner in value]}
    raise TypeError(f"a checkpoint holds tensors, numbers and words, no {type(value).__name__}")


def _filled(outline: Any, tensors: Mapping[str, Tensor]) -> State:
    if not isinstance(outline, dict):
        return outline
    ((kind, inner),) = outline.items()
    if kind == "map":
        return {key: _filled(value, tensors) for key, value in inner}
    if kind == "list":
        return [_filled(value, tensors) for value in inner]
    return tensors[inner] if kind == "tensor" else tensors[inner].numpy()
