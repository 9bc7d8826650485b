from collections import Counter

import numpy as np
import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.augment.policy import drawn
from recsys_tasks.settings.augment import HistoryPolicy, TextPolicy, TextStep, read_policy

POLICY = """\
sub_policies:
  - - {operation: token_dropout, probability: 0.5, strength: 0.2}
    - {operation: crop, strength: 0.3}
  - - {operation: shuffle_fields, strength: 1.0}
"""


@pytest.fixture
def file(tmp_path):
    def written(text):
        path = tmp_path / "policy.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_each_sub_policy_is_drawn_alike_and_each_operation_by_its_chance(file):
    policy = read_policy(file(POLICY), TextPolicy)
    rng = np.random.default_rng(1)
    counts = Counter(tuple(step.operation for step in drawn(policy.sub_policies, rng)) for _ in range(4000))
    assert counts.keys() == {("token_dropout", "crop"), ("crop",), ("shuffle_fields",)}
    assert counts["shuffle_fields",] / 4000 == pytest.approx(0.5, abs=0.03)
    assert counts["crop",] / 4000 == pytest.approx(0.25, abs=0.03)


def test_a_chance_of_nothing_never_comes_and_of_one_always():
    steps = [
        [TextStep(operation="crop", probability=0.0, strength=1), TextStep(operation="crop", strength=0.5)]
    ]
    rng = np.random.default_rng(0)
    assert all(drawn(steps, rng) == steps[0][1:] for _ in range(50))


def test_a_policy_is_the_same_from_a_file_and_from_its_dump(file):
    policy = read_policy(file(POLICY), TextPolicy)
    assert TextPolicy(**policy.model_dump(mode="json")) == policy
    assert policy.sub_policies[0][1].probability == 1.0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "strength: 1.0",
            "strength: 1.5",
            r"policy.yaml:4: sub_policies.1.0.strength: .*less than or equal to 1",
        ),
        (
            "operation: crop",
            "operation: mask",
            r"policy.yaml:3: sub_policies.0.1.operation: .*'token_dropout'",
        ),
        ("probability", "chance", r"policy.yaml:2: sub_policies.0.0.chance: unknown key"),
        ("sub_policies:", "policies:", r"policies: unknown key"),
    ],
)
def test_a_fault_is_told_with_file_line_and_key(file, old, new, told):
    with pytest.raises(SettingsError, match=told):
        read_policy(file(POLICY.replace(old, new)), TextPolicy)


def test_a_policy_of_texts_is_none_of_histories(file):
    with pytest.raises(SettingsError, match="operation"):
        read_policy(file(POLICY), HistoryPolicy)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"gone\.yaml.*search"):
        read_policy(tmp_path / "gone.yaml", TextPolicy)


def test_an_empty_policy_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        TextPolicy(sub_policies=[])
