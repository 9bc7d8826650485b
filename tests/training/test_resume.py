"""A training that was killed goes on from its newest checkpoint and ends where an unbroken one ends, bit for bit."""

import logging
import shutil
import signal

import pytest
import torch

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.training import adaptation, finetune, job_folder
from recsys_tasks.training.encoder_steps import HistorySteps
from recsys_tasks.training.launch import launch
from recsys_tasks.training.objectives.softmax import InfoNce
from recsys_tasks.training.pair_steps import PairSteps
from tests.tiny_encoder import tiny_encoder
from tests.training import dying, text_shop
from tests.training.dying import DIES_AT
from tests.training.encoder_job import job
from tests.training.trained import forks

TRAININGS = {
    "history": {"objective": "history"},
    "moco": {
        "objective": "pairs",
        # The queue outlives many steps, and the copy is far behind the encoder: losing either would show.
        "contrast": {"objective": "moco", "queue": 12, "momentum": 0.9, "temperature": "learned"},
    },
    "cross_batch": {"objective": "pairs", "contrast": {"objective": "cross_batch", "queue": 12}},
    "byol": {"objective": "pairs", "contrast": {"objective": "byol", "momentum": 0.9}},
    "views": {"objective": "views", "contrast": {"objective": "moco", "queue": 12, "momentum": 0.9}},
    "bilinear": {"objective": "pairs", "contrast": {"similarity": "bilinear"}},
    # Only the adapters are in the checkpoint; what they stand beside is drawn and read anew.
    "lora": {"lora": {"rank": 2}, "learning_rate": 1e-2},
    # Has no checkpoint of its own: the retry adapts anew, and must come to the same base.
    "adapt": {"adapt": {"steps": 3, "batch_texts": 8, "mask_share": 0.5, "learning_rate": 1e-3}},
    "chunks": {"chunk_texts": 3},
    # Killed behind three of the nine steps that are averaged; what is gone back to is no checkpoint.
    "held back and averaged": {"pull_to_start": 0.05, "average_share": 0.75},
    "all of these": {
        "objective": "pairs",
        "contrast": {"objective": "moco", "queue": 12, "momentum": 0.9},
        "lora": {"rank": 2},
        "adapt": {"steps": 3, "batch_texts": 8, "mask_share": 0.5},
        "chunk_texts": 3,
    },
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


class Broken(Exception):
    """The training stops here."""


@pytest.fixture
def breaks_at(monkeypatch):
    """Makes the history training of this process raise in a step."""
    whole = HistorySteps.loss

    def at(number: int) -> None:
        def loss(steps, step, encode):
            if step == number:
                raise Broken
            return whole(steps, step, encode)

        monkeypatch.setattr(HistorySteps, "loss", loss)

    return at


def prepared(tmp_path, base, name, **changes):
    """A job whose checkpoints lie outside of its folder, and that place."""
    kept = tmp_path / f"checkpoints-{name}"
    folder, _ = job(
        tmp_path / name,
        base,
        places=job_folder.Places(checkpoints=str(kept)),
        **{"steps": 12, "checkpoint_steps": 3, **changes},
    )
    return folder, kept


def results(folder):
    """All that a training answers with, as bytes."""
    names = (
        *(job_folder.PROJECTION, job_folder.VECTORS, job_folder.REPORT, job_folder.SIMILARITY),
        *(job_folder.LOSSES, adaptation.REPORT),
    )
    files = [folder / job_folder.MODEL / "model.safetensors", *(folder / name for name in names)]
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def written(kept):
    """The checkpoints of all requests, the oldest step first."""
    return sorted(kept.glob("*/step-*"), key=lambda file: file.name)


def killed(folder, step):
    """Run the training in a process of its own that dies by SIGKILL in the middle of the step; its exit code."""
    (folder / DIES_AT).write_text(str(step))
    process = forks().Process(target=dying.main, args=(folder,))
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.slow
@pytest.mark.parametrize("training", TRAININGS)
def test_a_killed_process_is_followed_by_one_that_ends_as_if_nothing_had_happened(
    tmp_path, base, training, caplog
):
    unbroken, _ = prepared(tmp_path, base, "unbroken", **TRAININGS[training])
    finetune.main(unbroken)
    folder, kept = prepared(tmp_path, base, "killed", **TRAININGS[training])
    assert killed(folder, 7) == -signal.SIGKILL
    assert [file.name for file in written(kept)] == [
        "step-000000003.safetensors",
        "step-000000006.safetensors",
    ]
    # A retry begins in a new folder.
    shutil.rmtree(folder)
    again, _ = prepared(tmp_path, base, "killed", **TRAININGS[training])
    with caplog.at_level(logging.INFO):
        finetune.main(again)
    assert "resuming behind step 6 of 12" in caplog.text
    assert results(again) == results(unbroken)


@pytest.mark.slow
def test_two_processes_resume_together(tmp_path, base, caplog):
    unbroken, _ = prepared(tmp_path, base, "unbroken")
    finetune.main(unbroken)
    folder, _ = prepared(tmp_path, base, "killed")
    (folder / DIES_AT).write_text("7")
    with pytest.raises(
        TrainingFailed, match=r"SIGKILL.*out of memory.*encoder\.chunk_texts.*encoder\.batch_texts"
    ):
        launch(dying.__name__, folder, 2)
    (folder / DIES_AT).unlink()
    with caplog.at_level(logging.INFO):
        launch(dying.__name__, folder, 2)
    assert "resuming behind step 6 of 12" in caplog.text
    whole, resumed = (job_folder.read_report(place) for place in (unbroken, folder))
    assert resumed.loss_last == pytest.approx(whole.loss_last, rel=1e-3)


def test_a_training_that_ended_behind_its_last_step_does_no_step_again(tmp_path, base, breaks_at):
    folder, kept = prepared(tmp_path, base, "job")
    finetune.main(folder)
    first = results(folder)
    assert "step-000000012.safetensors" in [file.name for file in written(kept)]
    whole = HistorySteps.loss
    breaks_at(0)
    # The projection's steps are not kept: they go through the same function.
    with pytest.raises(Broken):
        finetune.main(folder)
    HistorySteps.loss = whole
    finetune.main(folder)
    assert results(folder) == first


@pytest.mark.parametrize("changed", [{"learning_rate": 2e-3}, {"batch_texts": 8}, {"max_tokens": 12}])
def test_a_job_that_asks_for_something_else_begins_anew(tmp_path, base, changed, breaks_at):
    folder, _ = prepared(tmp_path, base, "job")
    breaks_at(7)
    with pytest.raises(Broken):
        finetune.main(folder)
    breaks_at(-1)
    resumed, _ = prepared(tmp_path, base, "job", **changed)
    finetune.main(resumed)
    fresh, _ = prepared(tmp_path, base, "fresh", **changed)
    finetune.main(fresh)
    assert results(resumed) == results(fresh)


def test_the_checkpoints_of_two_trainings_for_one_artefact_leave_each_other_alone(
    tmp_path, base, breaks_at, caplog
):
    """A warm start that went too far is followed by a cold one; a retry takes up both."""
    warm, kept = prepared(tmp_path, base, "job")
    finetune.main(warm)
    cold, _ = prepared(tmp_path, base, "job", learning_rate=2e-3)
    breaks_at(7)
    with pytest.raises(Broken):
        finetune.main(cold)
    breaks_at(-1)
    assert len(list(kept.iterdir())) == 2
    with caplog.at_level(logging.INFO):
        finetune.main(cold)
        finetune.main(prepared(tmp_path, base, "job")[0])
    assert "resuming behind step 6 of 12" in caplog.text
    assert "resuming behind step 12 of 12" in caplog.text


def test_how_a_training_is_run_does_not_make_it_another(tmp_path, base):
    requests = {
        job_folder.request_of(prepared(tmp_path, base, f"{steps}", checkpoint_steps=steps)[0])
        for steps in (0, 3, 5)
    }
    assert len(requests) == 1


def test_without_checkpoints_nothing_is_written(tmp_path, base):
    folder, kept = prepared(tmp_path, base, "job", checkpoint_steps=0)
    finetune.main(folder)
    assert not kept.exists()


def test_memory_that_runs_out_in_a_step_names_the_settings(tmp_path, base, monkeypatch):
    folder, _ = prepared(tmp_path, base, "job")
    monkeypatch.setattr(HistorySteps, "loss", lambda *_: torch.empty(2**55))
    with pytest.raises(
        TrainingFailed, match=r"while tuning the encoder: .*, lower encoder\.batch_texts \(now 16\)"
    ):
        finetune.main(folder)


def test_a_step_whose_loss_is_not_finite_names_its_texts(tmp_path, base, monkeypatch):
    folder, _ = prepared(tmp_path, base, "job")
    whole = HistorySteps.loss
    monkeypatch.setattr(HistorySteps, "loss", lambda *given: whole(*given) * float("nan"))
    with pytest.raises(
        TrainingFailed, match=r"step 0: the loss is nan.*'(garden|kitchen) \w+', .* and 4 more texts"
    ):
        finetune.main(folder)


def test_a_projection_s_step_whose_loss_is_not_finite_names_its_own_rate(tmp_path, base, monkeypatch):
    folder, _ = prepared(tmp_path, base, "job")
    whole, fit_projection = HistorySteps.loss, finetune.fit_projection

    def not_finite(*given):
        monkeypatch.setattr(HistorySteps, "loss", lambda *step: whole(*step) * float("nan"))
        return fit_projection(*given)

    monkeypatch.setattr(finetune, "fit_projection", not_finite)
    with pytest.raises(
        TrainingFailed,
        match=r"'(garden|kitchen) \w+', .* more texts\. Lower encoder\.projection_learning_rate",
    ):
        finetune.main(folder)


@pytest.mark.parametrize("objective", ["pairs", "views"])
def test_a_step_on_pairs_names_the_pairs_it_was_given(tmp_path, base, monkeypatch, objective):
    folder, texts = job(tmp_path / "job", base, objective=objective)
    given = []

    def not_finite(_objective, batch):
        given.append(batch)
        return batch.anchors_BD.sum() * float("nan")

    monkeypatch.setattr(InfoNce, "loss", not_finite)
    with pytest.raises(TrainingFailed) as failed:
        finetune.main(folder)
    (batch,) = given
    first, second = batch.anchor_texts[0], batch.positive_texts[0] % len(texts)
    assert f"The batch: {texts[int(first)]!r} -> {texts[int(second)]!r}, " in str(failed.value)
    assert "Lower encoder.learning_rate, or raise encoder.temperature" in str(failed.value)


@pytest.mark.parametrize("objective", ["byol", "triplet", "squared"])
def test_an_objective_without_a_temperature_is_not_told_to_raise_it(tmp_path, base, monkeypatch, objective):
    folder, _ = job(tmp_path / "job", base, objective="pairs", contrast={"objective": objective})
    made = PairSteps.loss
    monkeypatch.setattr(PairSteps, "loss", lambda *step: made(*step) * float("nan"))
    with pytest.raises(TrainingFailed, match=r"Lower encoder\.learning_rate; if it is always"):
        finetune.main(folder)


def test_a_base_that_does_not_fit_into_memory_is_told_in_words(tmp_path, base, monkeypatch):
    folder, _ = job(tmp_path / "job", base)

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(finetune.TextEncoder, "load", full)
    with pytest.raises(TrainingFailed, match=r"out of memory while loading the encoder: .*encoder\.base"):
        finetune.main(folder)
