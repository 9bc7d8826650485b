from recsys_tasks.settings import load_settings
from tests.settings.builders import edited, line_of, refusal

POLICY = "sub_policies: [[{operation: crop, strength: 0.25}]]"


def test_a_policy_of_views_stands_in_the_shop_or_in_a_file_beside_it(shop, tmp_path):
    (tmp_path / "best.yaml").write_text(POLICY)
    inline = load_settings(
        edited(shop, "towers:", f"encoder: {{objective: views, augment: {{{POLICY}}}}}\ntowers:")
    )
    named = load_settings(edited(shop, "towers:", "encoder: {objective: views, augment: best.yaml}\ntowers:"))
    assert inline.encoder == named.encoder
    assert named.encoder.augment.sub_policies[0][0].strength == 0.25


def test_a_fault_in_a_policys_file_is_told_with_that_files_line(shop, tmp_path):
    (tmp_path / "best.yaml").write_text(POLICY.replace("crop", "mask"))
    told = refusal(edited(shop, "towers:", "encoder: {objective: views, augment: best.yaml}\ntowers:"))
    assert f"{tmp_path}/best.yaml:1: sub_policies.0.0.operation" in told


def test_a_policy_that_is_not_there_is_named(shop, tmp_path):
    told = refusal(edited(shop, "towers:", "encoder: {objective: views, augment: gone.yaml}\ntowers:"))
    assert f"no such file: {tmp_path}/gone.yaml" in told


def test_a_policy_that_nothing_would_use_is_refused(shop):
    told = refusal(edited(shop, "towers:", f"encoder: {{augment: {{{POLICY}}}}}\ntowers:"))
    assert "augment says how views are made: it needs objective: views" in told


def test_a_fault_of_a_policy_is_told_with_its_line(shop):
    lines = "encoder:\n  objective: views\n  augment:\n    sub_policies:\n      - - {operation: crop, strength: 7}"
    edited(shop, "towers:", f"{lines}\ntowers:")
    assert f":{line_of(shop, 'strength: 7')}: encoder.augment.sub_policies.0.0.strength" in refusal(shop)


def test_the_environment_names_a_policys_file_too(shop, monkeypatch, tmp_path):
    (tmp_path / "best.yaml").write_text(POLICY)
    monkeypatch.setenv("RECSYS_ENCODER__OBJECTIVE", "views")
    monkeypatch.setenv("RECSYS_ENCODER__AUGMENT", "best.yaml")
    assert load_settings(shop).encoder.augment.sub_policies[0][0].operation == "crop"
