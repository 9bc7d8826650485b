import optuna
import pytest
from optuna.trial import FixedTrial

from recsys_tasks.search.history_space import VIEW_WEIGHT, HistorySpace
from recsys_tasks.settings import TowerSettings
from recsys_tasks.settings.augment import HistoryPolicy

POLICY = HistoryPolicy(
    sub_policies=[
        [{"operation": "mask", "strength": 0.25}],
        [
            {"operation": "reorder", "probability": 0.5, "strength": 0.4},
            {"operation": "crop", "strength": 0.1},
        ],
    ]
)
PLAIN = TowerSettings(dim=16, epochs=2)
VIEWING = TowerSettings(dim=16, user="transformer", view_weight=0.3, view_temperature=0.1, augment=POLICY)


def choices(space, trials=40):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [space.choice(study.ask()) for _ in range(trials)]


def differing(one, other):
    return {name for name in TowerSettings.model_fields if getattr(one, name) != getattr(other, name)}


def test_every_policy_that_is_tried_is_one_and_they_differ():
    found = [towers.augment for towers in choices(HistorySpace(PLAIN))]
    assert all([len(sub) for sub in policy.sub_policies] == [2, 2, 2] for policy in found)
    steps = [step for policy in found for sub in policy.sub_policies for step in sub]
    assert {step.operation for step in steps} == {"crop", "mask", "reorder"}
    assert len({step.strength for step in steps}) > 50


def test_a_shop_with_views_keeps_everything_but_its_policy():
    for towers in choices(HistorySpace(VIEWING)):
        assert differing(towers, VIEWING) == {"augment"}


@pytest.mark.parametrize("user", ["mean", "transformer"])
def test_a_shop_without_views_gets_them_and_nothing_else(user):
    own = TowerSettings(dim=16, epochs=2, user=user)
    for towers in choices(HistorySpace(own)):
        assert differing(towers, own) <= {"user", "view_weight", "augment"}
        assert (towers.user, towers.view_weight) == ("transformer", VIEW_WEIGHT)


def test_what_it_is_a_gain_over_are_the_shops_towers_without_views():
    """A mean stays one: a gain over a transformer that the shop does not have would be none."""
    assert HistorySpace(PLAIN).without_views() == PLAIN
    without = HistorySpace(VIEWING).without_views()
    assert without.view_weight == 0.0
    assert differing(without, VIEWING) == {"view_weight", "augment"}


@pytest.mark.parametrize("own", [PLAIN, VIEWING], ids=["plain", "viewing"])
def test_what_the_policys_file_needs_beside_it_is_what_it_was_tried_with(own):
    space = HistorySpace(own)
    for towers in choices(space, 3):
        asked = {**own.model_dump(), **space.beside()["towers"], "augment": space.as_file(towers)}
        assert TowerSettings(**asked) == towers


def test_the_search_starts_at_the_shops_policy():
    """Its sub-policies in turn; a step that is not there has no chance."""
    space = HistorySpace(VIEWING)
    subs = space.choice(FixedTrial(space.start())).augment.sub_policies
    live = [[step for step in sub if step.probability] for sub in subs]
    assert live == [*POLICY.sub_policies, POLICY.sub_policies[0]]


@pytest.mark.parametrize("shape", [(4, 1), (1, 3)], ids=["sub-policies", "steps"])
def test_a_policy_that_is_too_large_for_the_space_makes_it_start_at_the_default(shape):
    subs, steps = shape
    large = HistoryPolicy(sub_policies=[[{"operation": "crop", "strength": 0.1}] * steps] * subs)
    own = VIEWING.model_copy(update={"augment": large})
    assert HistorySpace(own).start() == HistorySpace(PLAIN).start()


def test_the_start_lies_inside_of_every_range():
    space = HistorySpace(VIEWING)
    study = optuna.create_study()
    study.enqueue_trial(space.start())
    trial = study.ask()
    space.choice(trial)
    assert trial.params == space.start()
