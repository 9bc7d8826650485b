import matplotlib.image
import optuna
import polars as pl
import pytest
import yaml
from optuna.trial import FixedTrial

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.search import found
from recsys_tasks.search.encoder_spaces import KINDS, SEARCHED, AugmentSpace, TrainingSpace
from recsys_tasks.search.found import (
    BEST,
    PICTURE,
    TRIALS,
    importances,
    importances_where_asked,
    write_found,
)
from recsys_tasks.search.history_space import HistorySpace
from recsys_tasks.search.picture import draw
from recsys_tasks.search.study import Score, carry_on
from recsys_tasks.settings import EncoderSettings, PairSettings, TowerSettings, load_settings
from recsys_tasks.settings.augment import TextPolicy, read_policy
from tests.settings.builders import SHOP as SHOP_YAML

SHOP = EncoderSettings(learning_rate=1e-5)


def searched(space, value, trials=14):
    study = optuna.create_study(direction="maximize")

    def score(trial):
        return Score(value(space.choice(trial)), {"warm": 0.25, "seconds": 3.0})

    carry_on(study, trials, seed=1, start=space.start(), score=score)
    return study


def by_rate(choice):
    if choice.encoder.temperature > 0.3:
        raise TrainingFailed("too hot")
    return -abs(choice.encoder.learning_rate - 1e-4) * 1e3


def test_the_best_policy_is_a_file_that_the_next_night_can_use(tmp_path):
    space = AugmentSpace(SHOP, PairSettings(), layers=6)

    def by_crops(choice):
        steps = [step for sub in choice.encoder.augment.sub_policies for step in sub]
        return sum(step.strength for step in steps if step.operation == "crop")

    study = searched(space, by_crops)
    facts = write_found(tmp_path, study, space)
    policy = read_policy(tmp_path / BEST, TextPolicy)
    crops = [step.strength for sub in policy.sub_policies for step in sub if step.operation == "crop"]
    assert sum(crops) == pytest.approx(facts["best"]["value"])
    assert facts["file"] == str(tmp_path / BEST)
    assert (tmp_path / BEST).read_text().startswith(f"# Trial {facts['best']['trial']}: +")


def test_the_best_settings_are_whole_and_everything_that_a_trial_may_change(tmp_path):
    space = TrainingSpace(SHOP, PairSettings(), layers=6)
    facts = write_found(tmp_path, searched(space, by_rate), space)
    told = yaml.safe_load((tmp_path / BEST).read_text())
    assert {section: tuple(fields) for section, fields in told.items()} == SEARCHED
    EncoderSettings(**told["encoder"])
    assert -abs(told["encoder"]["learning_rate"] - 1e-4) * 1e3 == pytest.approx(facts["best"]["value"])
    assert PairSettings(**told["pairs"])


def shop_of(folder, line):
    """The settings of a shop that names the file a search wrote."""
    file = folder / "shop.yaml"
    file.write_text(SHOP_YAML.replace("towers:", f"{line}\ntowers:"))
    return load_settings(file)


@pytest.mark.parametrize("objective", ["history", "pairs info_nce", "pairs moco", "pairs byol"])
def test_the_best_settings_are_those_of_the_next_nights_shop(tmp_path, objective):
    space = TrainingSpace(SHOP, PairSettings(), layers=6)

    def by_objective(choice):
        encoder = choice.encoder
        told = encoder.objective if encoder.objective == "history" else f"pairs {encoder.contrast.objective}"
        return (told == objective) - encoder.learning_rate

    study = searched(space, by_objective, trials=30)
    write_found(tmp_path, study, space)
    chosen = space.choice(FixedTrial(study.best_trial.params))
    night = shop_of(tmp_path, f"encoder: {{learning_rate: 1.0e-5}}\ntuned: {BEST}")
    assert study.best_value > 0
    assert night.encoder == chosen.encoder
    assert night.pairs == chosen.pairs


def test_the_best_policy_is_that_of_the_next_nights_shop(tmp_path):
    space = AugmentSpace(SHOP, PairSettings(), layers=6)
    study = searched(space, lambda choice: len(choice.encoder.augment.model_dump_json()))
    write_found(tmp_path, study, space)
    chosen = space.choice(FixedTrial(study.best_trial.params))
    line = f"encoder: {{learning_rate: 1.0e-5, objective: views, contrast: {{objective: nt_xent}}, augment: {BEST}}}"
    assert shop_of(tmp_path, line).encoder == chosen.encoder


def test_the_best_history_policy_is_that_of_the_next_nights_towers(tmp_path):
    space = HistorySpace(TowerSettings(epochs=5))
    study = searched(space, lambda towers: len(towers.augment.model_dump_json()))
    write_found(tmp_path, study, space)
    chosen = space.choice(FixedTrial(study.best_trial.params))
    file = tmp_path / "shop.yaml"
    file.write_text(f"{SHOP_YAML}  user: transformer\n  view_weight: 0.1\n  augment: {BEST}\n")
    assert load_settings(file).towers == chosen


OVER = {
    "texts": (AugmentSpace(SHOP, PairSettings(), 6), "the whitened frozen encoder", "the frozen encoder"),
    "training": (TrainingSpace(SHOP, PairSettings(), 6), "the whitened frozen encoder", "the frozen encoder"),
    "histories": (HistorySpace(TowerSettings()), *["the shop's towers without views"] * 2),
}


@pytest.mark.parametrize("what", OVER)
def test_the_head_and_the_picture_say_what_values_are_a_gain_over(tmp_path, what, monkeypatch):
    drawn = []
    monkeypatch.setattr(found, "draw", lambda *handed: drawn.append(handed[3]))
    space, over, in_short = OVER[what]
    write_found(tmp_path, searched(space, lambda _: 0.25, trials=2), space)
    head = (tmp_path / BEST).read_text().splitlines()[0]
    assert head == f"# Trial 0: +0.2500 over {over}; where the search started: +0.2500"
    assert drawn == [f"gain over {in_short}"]


def test_every_judged_trial_has_a_row_and_a_failed_one_says_why(tmp_path):
    space = TrainingSpace(SHOP, PairSettings(), layers=6)
    facts = write_found(tmp_path, searched(space, by_rate), space)
    rows = pl.read_csv(tmp_path / TRIALS)
    assert rows["trial"].to_list() == list(range(14))
    assert rows["value"].null_count() == facts["failed"] > 0
    assert set(rows.filter(pl.col("value").is_null())["failed"]) == {"too hot"}
    assert {"warm", "seconds", "learning_rate", "objective"} <= set(rows.columns)
    assert (rows.filter(pl.col("temperature") > 0.3)["value"].is_null()).all()


def test_what_decides_the_value_matters_most(tmp_path):
    space = TrainingSpace(SHOP, PairSettings(), layers=6)
    study = searched(
        space,
        lambda choice: -float(choice.encoder.frozen_layers) - choice.encoder.temperature / 9,
        20,
    )
    mattered = importances(study)
    assert max(mattered, key=mattered.get) == "frozen_layers"
    assert sum(mattered.values()) == pytest.approx(1.0, abs=0.01)


def test_a_kind_of_negatives_that_decides_matters_among_the_trials_that_had_it(tmp_path):
    space = TrainingSpace(SHOP, PairSettings(), layers=6)
    shop = PairSettings()

    def by_popular(choice):
        return 0.0 if choice.pairs == shop else choice.pairs.negatives.popular

    study = searched(space, by_popular, 60)
    told = importances_where_asked(study)
    assert set(told) == {f"negatives {kind}" for kind in KINDS}
    assert max(told, key=told.get) == "negatives popular"
    assert not set(told) & set(importances(study))
    facts = write_found(tmp_path, study, space)
    assert facts["mattered_where_asked"] == told


def test_where_every_trial_had_everything_nothing_is_told_of_some(tmp_path):
    space = AugmentSpace(SHOP, PairSettings(), layers=6)
    study = searched(space, lambda choice: choice.encoder.augment.sub_policies[0][0].strength)
    assert importances_where_asked(study) == {}


def test_few_trials_say_nothing_about_what_mattered(tmp_path):
    space = TrainingSpace(SHOP, PairSettings(), layers=6)
    study = searched(space, by_rate, trials=found.ENOUGH - 1)
    assert importances(study) == {}
    assert write_found(tmp_path, study, space)["mattered"] == {}


def test_a_search_whose_every_training_fails_still_has_its_table_and_its_picture(tmp_path):
    def fails(choice):
        raise TrainingFailed("always")

    space = TrainingSpace(SHOP, PairSettings(), layers=6)
    facts = write_found(tmp_path, searched(space, fails, trials=2), space)
    assert facts == {"trials": 2, "failed": 2, "best": None}
    assert (tmp_path / PICTURE).is_file()
    assert not (tmp_path / BEST).exists()


@pytest.mark.parametrize("mattered", [{}, {f"setting {n}": 1 / 20 for n in range(20)}], ids=["few", "many"])
def test_the_picture_is_one(tmp_path, mattered):
    draw(tmp_path / PICTURE, [0.01, None, 0.03, -0.02], mattered, "gain")
    pixels = matplotlib.image.imread(tmp_path / PICTURE)
    assert pixels.shape[:2] == (504, 1200)
    assert len({tuple(pixel) for pixel in pixels.reshape(-1, 4)[::7]}) > 20


def test_the_picture_tells_what_only_some_trials_had(tmp_path):
    files = [tmp_path / "without.png", tmp_path / "with.png"]
    for file, some in zip(files, [{}, {"negatives hard": 0.9}], strict=True):
        draw(file, [0.01, 0.02], {"learning_rate": 0.7}, "gain", some)
    assert files[0].read_bytes() != files[1].read_bytes()


def test_the_picture_names_its_values(tmp_path):
    files = [tmp_path / name for name in ("one.png", "same.png", "other.png")]
    for file, axis in zip(files, ["gain", "gain", "a gain over something else"], strict=True):
        draw(file, [0.01, 0.02], {}, axis)
    one, same, other = (file.read_bytes() for file in files)
    assert one == same != other
