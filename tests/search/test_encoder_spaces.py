import optuna
from optuna.trial import FixedTrial

from recsys_tasks.search.encoder_spaces import SEARCHED, AugmentSpace, TrainingSpace
from recsys_tasks.settings import EncoderSettings, PairSettings
from recsys_tasks.settings.augment import TextPolicy
from recsys_tasks.settings.contrast import Moco, NtXent

PLAIN = EncoderSettings()
POLICY = TextPolicy(
    sub_policies=[
        [{"operation": "crop", "strength": 0.25}],
        [
            {"operation": "shuffle_words", "probability": 0.5, "strength": 0.4},
            {"operation": "token_dropout", "strength": 0.1},
        ],
    ]
)


def augment(encoder=PLAIN):
    return AugmentSpace(encoder, PairSettings(), layers=6)


def training(encoder=PLAIN):
    return TrainingSpace(encoder, PairSettings(), layers=6)


def choices(space, trials=40):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [space.choice(study.ask()) for _ in range(trials)]


def test_every_policy_that_is_tried_is_one_and_nothing_else_changes():
    shop = EncoderSettings(learning_rate=1e-4, steps=9)
    for choice in choices(augment(shop)):
        assert choice.encoder.objective == "views"
        assert choice.encoder.contrast.objective == "nt_xent"
        assert [len(sub) for sub in choice.encoder.augment.sub_policies] == [2, 2, 2]
        assert (choice.encoder.learning_rate, choice.encoder.steps) == (1e-4, 9)
        assert choice.pairs == PairSettings()


def test_a_shop_that_contrasts_already_keeps_its_objective():
    shop = EncoderSettings(objective="views", contrast={"objective": "moco", "queue": 99})
    assert choices(augment(shop), 1)[0].encoder.contrast == Moco(queue=99)


def test_the_search_of_policies_starts_at_the_shops():
    """Its sub-policies in turn; a step that is not there has no chance."""
    space = augment(EncoderSettings(objective="views", augment=POLICY))
    subs = space.choice(FixedTrial(space.start())).encoder.augment.sub_policies
    live = [[step for step in sub if step.probability] for sub in subs]
    assert live == [*POLICY.sub_policies, POLICY.sub_policies[0]]


def test_a_policy_that_is_too_large_for_the_space_makes_it_start_at_the_default():
    large = TextPolicy(sub_policies=[[{"operation": "crop", "strength": 0.1}]] * 4)
    assert augment(EncoderSettings(objective="views", augment=large)).start() == augment().start()


def test_the_search_of_training_starts_at_the_shop_as_it_is():
    for shop in (
        PLAIN,
        EncoderSettings(learning_rate=0.01, temperature=2.0, batch_texts=48, frozen_layers=5),
        EncoderSettings(objective="pairs", contrast={"objective": "moco", "queue": 99}),
        EncoderSettings(objective="views", contrast={"objective": "triplet", "margin": 0.4}, augment=POLICY),
    ):
        space = training(shop)
        choice = space.choice(FixedTrial(space.start()))
        assert choice.encoder == shop
        assert choice.pairs == PairSettings()


def test_the_start_lies_inside_of_every_range():
    shop = EncoderSettings(learning_rate=0.01, temperature=2.0, batch_texts=48)
    for space in (training(shop), augment(shop)):
        study = optuna.create_study()
        study.enqueue_trial(space.start())
        trial = study.ask()
        space.choice(trial)
        assert trial.params.items() <= space.start().items()


def test_what_is_tried_is_sound_and_differs():
    found = choices(training(), 80)
    assert {choice.encoder.objective for choice in found} == {"history", "pairs"}
    assert len({choice.encoder.contrast.objective for choice in found}) > 3
    assert {choice.encoder.frozen_layers for choice in found} == set(range(6))
    shares = {choice.pairs.negatives for choice in found}
    assert len(shares) > 5
    for choice in found:
        uses = choice.encoder.objective == "pairs" and choice.encoder.contrast.objective not in (
            "moco",
            "byol",
        )
        assert uses == (choice.pairs != PairSettings())


def test_nothing_but_what_is_named_as_searched_changes():
    for choice in choices(training(EncoderSettings(objective="views", augment=POLICY)), 20):
        for name, own, tried in (
            ("encoder", EncoderSettings(), choice.encoder),
            ("pairs", PairSettings(), choice.pairs),
        ):
            changed = {
                field for field in type(own).model_fields if getattr(own, field) != getattr(tried, field)
            }
            assert changed <= set(SEARCHED[name])


def test_an_objective_that_is_left_takes_its_own_settings_along():
    """A policy without views, or a correction without histories, would be refused."""
    for choice in choices(training(EncoderSettings(objective="views", augment=POLICY))):
        assert (choice.encoder.augment == POLICY) is (choice.encoder.objective == "views")
    corrected = EncoderSettings(logq=0.5)
    for choice in choices(training(corrected)):
        assert (choice.encoder.logq == 0.5) is (choice.encoder.objective == "history")
    assert {choice.encoder.logq for choice in choices(augment(corrected), 3)} == {1.0}
    explained = EncoderSettings(popularity_in_logit=True)
    for choice in [*choices(training(explained)), *choices(augment(explained), 3)]:
        assert choice.encoder.popularity_in_logit is (choice.encoder.objective == "history")


def test_what_was_found_means_the_same_over_any_shop():
    space = training(EncoderSettings(logq=0.5))
    for choice in choices(space):
        other = EncoderSettings(logq=0.3, popularity_in_logit=True)
        asked = {**other.model_dump(), **space.as_file(choice)["encoder"]}
        assert EncoderSettings(**asked) == choice.encoder


def test_views_are_not_learned_by_a_contrast_that_leaves_them_no_negatives():
    alone = EncoderSettings(objective="pairs", contrast={"objective": "debiased", "in_batch": 0})
    assert choices(augment(alone), 1)[0].encoder.contrast == NtXent()


def test_what_the_policys_file_needs_beside_it_is_what_it_was_tried_with():
    space = augment()
    choice = choices(space, 1)[0]
    asked = {**PLAIN.model_dump(), **space.beside()["encoder"], "augment": space.as_file(choice)}
    assert EncoderSettings(**asked) == choice.encoder
