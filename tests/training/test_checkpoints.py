import logging
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recsys_tasks.training import checkpoints
from recsys_tasks.training.checkpoints import Checkpoints, prune
from recsys_tasks.training.minimise import rate
from recsys_tasks.training.optimisation import Optimisation

PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
NESTED = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner), max_leaves=12
)


def kept(folder, request="this", every=2):
    return Checkpoints(folder, request, every)


@settings(max_examples=30)
@given(state=NESTED)
def test_any_state_comes_back_as_it_was(tmp_path_factory, state):
    here = kept(tmp_path_factory.mktemp("state"))
    here.save(1, state)
    assert here.newest() == state


def test_tensors_and_arrays_come_back_to_the_last_bit_with_their_types(tmp_path):
    shared = torch.randn(3, 2)
    state = {0: shared, "view": shared.T, "empty": np.zeros((0, 2), np.int64), "one": torch.tensor(0.1)}
    kept(tmp_path).save(1, state)
    back = kept(tmp_path).newest()
    for name, value in state.items():
        assert type(back[name]) is type(value)
        assert back[name].dtype == value.dtype
        assert back[name].tolist() == value.tolist()


def test_what_a_checkpoint_cannot_hold_is_refused(tmp_path):
    with pytest.raises(TypeError, match="no object"):
        kept(tmp_path).save(1, {"what": object()})
    assert list(tmp_path.iterdir()) == []


def test_the_two_newest_stay(tmp_path):
    for done in (9, 10, 100):
        kept(tmp_path).save(done, done)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "step-000000010.safetensors",
        "step-000000100.safetensors",
    ]
    assert kept(tmp_path).newest() == 100


@pytest.mark.parametrize("left", [0, 7, 60, -1])
def test_a_truncated_checkpoint_is_logged_and_the_one_before_it_taken(tmp_path, caplog, left):
    for done in (1, 2):
        kept(tmp_path).save(done, {"done": done, "weights": torch.ones(100)})
    newest = tmp_path / "step-000000002.safetensors"
    os.truncate(newest, left if left >= 0 else newest.stat().st_size - 1)
    with caplog.at_level(logging.WARNING):
        assert kept(tmp_path).newest()["done"] == 1
    assert "step-000000002.safetensors is damaged and left out" in caplog.text


def test_a_checkpoint_of_another_request_is_left_out(tmp_path):
    kept(tmp_path, "this").save(1, "mine")
    assert kept(tmp_path, "that").newest() is None
    assert kept(tmp_path, "this").newest() == "mine"


def test_checkpoints_of_another_training_make_room(tmp_path):
    for done in (8, 9):
        kept(tmp_path, "that").save(done, "theirs")
    kept(tmp_path, "this").save(3, "mine")
    assert kept(tmp_path, "this").newest() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_writer_that_dies_leaves_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_to_disk", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path).save(1, "half")
    assert kept(tmp_path).newest() is None


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path, monkeypatch, caplog):
    kept(tmp_path).save(1, "old")

    def full(*_arguments, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    kept(tmp_path).save(2, "new")
    assert "no checkpoint behind step 2" in caplog.text
    assert kept(tmp_path).newest() == "old"


@pytest.mark.parametrize(
    ("folder", "every", "due"), [(True, 3, [3, 6, 7]), (True, 0, []), (False, 3, [])], ids=str
)
def test_when_one_is_due(tmp_path, folder, every, due):
    here = Checkpoints(tmp_path if folder else None, "", every)
    assert [done for done in range(1, 8) if here.due(done, 7)] == due


def test_only_what_a_failed_night_left_long_ago_is_removed(tmp_path):
    for name, days in (("old", 4), ("mine", 4), ("young", 2)):
        Checkpoints.of(tmp_path / name, "this", 2).save(1, None)
        then = checkpoints.time.time() - days * 86_400
        for path in (*(tmp_path / name).rglob("*"), tmp_path / name):
            os.utime(path, (then, then))
    Checkpoints.of(tmp_path / "written again", "this", 2).save(1, None)
    os.utime(tmp_path / "written again", (0, 0))
    os.utime(tmp_path / "written again" / "this", (0, 0))
    prune(tmp_path, keep="mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "written again", "young"]
    prune(tmp_path / "nowhere", keep="mine")


class Noisy(nn.Module):
    """Draws from the global generator and counts, as an objective may."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self):
        self.calls += 1
        return ((self.weight * torch.randn(4)).sum() - self.calls) ** 2


def trained(steps, state=None):
    torch.manual_seed(0 if state is None else 99)
    module = Noisy()
    run = Optimisation(
        [{"params": [module.weight], "lr": 0.1}], lambda step: rate(step, 10), {"module": module}
    )
    if state is not None:
        run.restore(state)
    for _ in range(len(run.losses), steps):
        loss = module()
        run.backward(loss)
        run.step()
        run.losses.append(loss.item())
    return run


@pytest.mark.parametrize("broken_off", [1, 4, 9])
def test_a_restored_optimisation_goes_on_to_the_last_bit(tmp_path, broken_off):
    whole = trained(10)
    kept(tmp_path).save(broken_off, trained(broken_off).state())
    resumed = trained(10, kept(tmp_path).newest())
    assert resumed.losses == whole.losses
    assert torch.equal(resumed.parameters[0], whole.parameters[0])
    assert resumed.learning_rate == whole.learning_rate
