"""Changed code must not find an old result: what decides an artefact is part of its fingerprint."""

import pytest

from recsys_tasks.steps import encode_items, evaluate, finetune_encoder, recommend, refit_towers
from recsys_tasks.steps.rooms import CLASSIFIER_ROOMS, COMMON, TOWER_ROOMS, ranker_rooms
from tests.architecture.imports import PACKAGE, REPOSITORY, files_in, imports_of, module_of
from tests.pairs.night import NIGHT
from tests.steps.list_night import decided
from tests.steps.tower_night import refitting

MADE = ("pairs", "towers", "ranker", "index", "evaluation", "refit", "lists")


@pytest.fixture(scope="module")
def finished(job):
    evaluate.run(job)
    refit_towers.run(refitting(decided(job)))
    recommend.run(refitting(job))
    return job


@pytest.mark.parametrize("name", MADE)
def test_every_artefact_of_the_log_depends_on_calendar_lake_and_contracts(finished, name):
    assert set(COMMON) <= finished.workspace.need(name, NIGHT).manifest["code"].keys()


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("pairs", "steps/build_pairs"),
        ("towers", "steps/train_towers"),
        ("ranker", "steps/train_ranker"),
        ("ranker", "steps/ranker_proof"),
        ("index", "steps/build_index"),
        ("ranker", "steps/encode_items"),
        ("ranker", "steps/encoder_vectors"),
        ("evaluation", "steps/champion"),
        ("evaluation", "steps/encode_items"),
        ("evaluation", "steps/scoreboard"),
        ("lists", "steps/champion"),
        ("lists", "steps/encode_items"),
        ("lists", "steps/encoder_vectors"),
        ("lists", "steps/recommend"),
        ("lists", "steps/serving"),
        ("refit", "steps/refit"),
        ("refit", "pairs"),
        ("refit", "steps/build_index"),
    ],
)
def test_the_step_that_decides_is_part_of_it(finished, name, step):
    assert step in finished.workspace.need(name, NIGHT).manifest["code"]


def test_the_encoder_depends_on_the_intervals_of_its_gate_and_on_the_pairs():
    assert {*COMMON, "evaluate/bootstrap", "evaluate/encoder_gate", "pairs"} <= set(finetune_encoder.ROOMS)


def test_the_encoder_depends_on_each_part_of_its_step_but_the_pictures():
    parts = {f"steps/{file.stem}" for file in (REPOSITORY / PACKAGE / "steps").glob("encoder_*.py")}
    assert parts - {"steps/encoder_pictures"} <= set(finetune_encoder.ROOMS)


def test_vectors_depend_on_each_part_of_the_encoder_that_their_step_reads():
    read = {
        imported.target.removeprefix(f"{PACKAGE}.").replace(".", "/")
        for imported in imports_of(REPOSITORY / PACKAGE / "steps" / "encode_items.py")
    }
    assert {room for room in read if room.startswith("steps/encoder_")} <= set(encode_items.ROOMS)


@pytest.mark.parametrize("name", ["pairs", "towers", "ranker"])
def test_what_is_fitted_tells_up_to_where_it_saw_the_log(finished, name):
    recorded = finished.workspace.need(name, NIGHT).manifest["recorded"]
    assert recorded["train_until"] == NIGHT.train_until.isoformat()


# Rooms beside ``training`` stand whole in the lists or are told by their own names.
NO_RESULT = {
    # Who ends with whom, what is said when memory is full, how a batch is called in an error.
    *("training/parent", "training/worker", "training/memory", "training/batch_names"),
    # Who watches.
    *("training/curves", "training/tracker_runs"),
}


def under(*modules, but=()):
    """The rooms that modules rest on, and those modules; not what only ``but`` would bring in."""
    files, found, todo = {module_of(file): file for file in files_in(PACKAGE)}, set(), [*modules]
    while todo:
        one = todo.pop()
        if one in files and one not in found and one not in but:
            found.add(one)
            todo += [imported.target for imported in imports_of(files[one])]
    return {one.removeprefix(f"{PACKAGE}.").replace(".", "/") for one in found}


def lacking(rooms, needed):
    """Which of the needed no room holds."""
    return {one for one in needed if not any(one == room or one.startswith(f"{room}/") for room in rooms)}


@pytest.mark.parametrize(
    ("module", "rooms"),
    [
        ("training.towers", TOWER_ROOMS),
        ("training.classifier", CLASSIFIER_ROOMS),
        ("training.finetune", finetune_encoder.ROOMS),
        ("steps.encoder_ground", finetune_encoder.ROOMS),
    ],
)
def test_a_training_depends_on_all_the_code_that_trains(module, rooms):
    trains = {room for room in under(f"{PACKAGE}.{module}") if room.startswith("training/")}
    missing = lacking(rooms, trains - NO_RESULT)
    assert not missing, f"changed code would find an old result: add {sorted(missing)} to its rooms"


def test_towers_depend_on_all_of_the_model_that_fits_them():
    needed = {room for room in under(f"{PACKAGE}.training.towers") if room.startswith("model/")}
    assert lacking(TOWER_ROOMS, needed) == set()


ASKING_THE_CLASSIFIER = {"model/classifier", "model/purchase"}


def test_a_ranker_depends_on_all_of_the_model_that_it_asks_and_on_the_classifier_where_it_reads_one():
    asks = [module_of(file) for room in ("recommend", "index") for file in files_in(f"{PACKAGE}/{room}")]
    modules = under(*asks, f"{PACKAGE}.training.towers", but={f"{PACKAGE}.model.classifier"})
    needed = {room for room in modules if room.startswith("model/")}
    assert lacking(ranker_rooms(classifier=False), needed) == needed & ASKING_THE_CLASSIFIER
    assert lacking(ranker_rooms(classifier=True), needed | set(CLASSIFIER_ROOMS)) == set()


def test_without_a_classifier_its_code_fits_no_ranker_anew():
    own = {
        "steps/fit_classifier",
        "training/classifier",
        "training/classifier_data",
        "training/classifier_job",
    }
    own |= ASKING_THE_CLASSIFIER
    assert own <= set(CLASSIFIER_ROOMS)
    assert lacking(ranker_rooms(classifier=False), own) == own
