"""
``augment``: how a view of a text or of a history is made, as a policy.

A policy is a list of sub-policies, a sub-policy a list of operations, each with the chance that it is applied and a
strength: the form of AutoAugment (Cubuk et al. 2018, arXiv 1805.09501, section 3). ``search`` writes such a file.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, ValidationError

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings.section import Section, Share
from recsys_tasks.settings.shop_yaml import explain, read_shop

TextOperation = Literal["token_dropout", "field_dropout", "crop", "shuffle_words", "shuffle_fields"]
HistoryOperation = Literal["crop", "mask", "reorder"]


class Operation(Section):
    probability: Share = 1.0
    """The chance that a view to which this sub-policy falls gets the operation."""
    strength: Share
    """Roughly the share of the text or history that changes; 0: nothing does."""


class TextStep(Operation):
    operation: TextOperation


class HistoryStep(Operation):
    operation: HistoryOperation


class Policy(Section):
    """What every policy is; for each view one of the sub-policies is drawn, each alike."""


class TextPolicy(Policy):
    sub_policies: list[list[TextStep]] = Field(
        default=[
            [TextStep(operation="token_dropout", strength=0.2)],
            [
                TextStep(operation="field_dropout", strength=0.3),
                TextStep(operation="token_dropout", strength=0.1),
            ],
            [TextStep(operation="crop", strength=0.3)],
        ],
        min_length=1,
    )


class HistoryPolicy(Policy):
    sub_policies: list[list[HistoryStep]] = Field(
        default=[
            [HistoryStep(operation="crop", strength=0.4)],
            [HistoryStep(operation="mask", strength=0.3)],
            [HistoryStep(operation="reorder", strength=0.5)],
        ],
        min_length=1,
    )


def _policy_or_file(value: Any) -> str:
    return "file" if isinstance(value, str | Path) else "policy"


# ``load_settings`` puts the policy in the place of the file, so that what it says is part of every fingerprint.
TextPolicyOrFile = Annotated[
    Annotated[TextPolicy, Tag("policy")] | Annotated[Path, Tag("file")], Discriminator(_policy_or_file)
]
HistoryPolicyOrFile = Annotated[
    Annotated[HistoryPolicy, Tag("policy")] | Annotated[Path, Tag("file")], Discriminator(_policy_or_file)
]
P = TypeVar("P", bound=Policy)


def read_policy(file: Path, kind: type[P]) -> P:
    """The policy (of the given kind) that a YAML file holds; raises SettingsError with file, line and key."""
    if not file.is_file():
        raise SettingsError(
            f"augment: no such file: {file}; `search` writes one, or write the policy in its place"
        )
    tree, node = read_shop(file)
    try:
        return kind(**tree)
    except ValidationError as error:
        raise SettingsError(explain(error, file, node)) from None
