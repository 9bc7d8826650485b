"""What the ablation takes away or changes: a name, settings, and whose lists show it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import CANDIDATE_SOURCES, FeatureGroup

SYSTEMS = ("ours", "ours-tower")


@dataclass(frozen=True)
class Variant:
    """``changes`` are settings as ``--set`` takes them; ``systems`` the rows that can differ."""

    name: str
    changes: tuple[str, ...] = ()
    systems: tuple[str, ...] = SYSTEMS

    def among(self, systems: Iterable[str]) -> "Variant":
        """The same with these rows only; raises SettingsError where none of them can differ."""
        rows = tuple(name for name in self.systems if name in set(systems))
        if not rows:
            raise SettingsError(
                f'--systems {" ".join(systems)}: "{self.name}" changes {" ".join(self.systems)} only; '
                "leave it out of --variants"
            )
        return replace(self, systems=rows)


BASE = Variant("as it is")
RANKER = ("ours",)


def _without_source(name: str) -> Variant:
    """The ranker's candidates without one source."""
    rest = json.dumps([source for source in CANDIDATE_SOURCES if source != name])
    return Variant(f"no {name} candidates", (f"ranker.sources={rest}",), RANKER)


def _without_features(group: str) -> Variant:
    return Variant(f"no {group} features", (f'ranker.without_features=["{group}"]',), RANKER)


VARIANTS: tuple[Variant, ...] = (
    *(_without_source(name) for name in CANDIDATE_SOURCES),
    # The purchase classifier's is off unless it is asked for, and then may not be left out.
    *(_without_features(group) for group in get_args(FeatureGroup) if group != "classifier"),
    Variant("the trees alone", ("ranker.tower_weight=0",), RANKER),
    Variant("no text in the towers", ("towers.text=false",)),
    Variant("no item ids", ("towers.id_dropout=1",)),
    Variant("no popularity in the score", ("towers.popularity_days=[]",)),
    Variant("popularity among new items as among all", ("towers.new_popularity=1",)),
    Variant("no neighbour part", ("towers.neighbour_rank=0",)),
    Variant("neighbour part of .5", ("towers.neighbour_weight=0.5",)),
    Variant("no launch prior", ("towers.launch_prior=false",)),
    Variant("a quarter of the negatives", ("towers.negatives=512",)),
    Variant("logQ 0", ("towers.logq=0",)),
    Variant("cosine, learned temperature", ("towers.similarity=cosine",)),
    Variant("cosine, fixed temperature", ("towers.similarity=cosine", "towers.learn_temperature=false")),
    Variant("squared distance", ("towers.similarity=euclidean",)),
    Variant("bilinear", ("towers.similarity=bilinear",)),
    Variant("examples do not age", ("towers.example_half_life_days=100000",)),
    Variant("targets new to the shopper", ("towers.targets=new",)),
    Variant("transformer as user tower", ("towers.user=transformer",)),
    Variant("no fine-tuning", ("encoder.enabled=false",)),
)


def asked(
    names: Sequence[str] | None, systems: Sequence[str], changes: Sequence[Sequence[str]] = ()
) -> list[Variant]:
    """
    The variants with these rows only: those named and one for each of the ``changes``, or, where neither is given, all
    that change one of the rows.

    Raises SettingsError for an unknown name, and for one that changes none of the rows.
    """
    by_hand = dict.fromkeys(Variant(" ".join(some), tuple(some)) for some in changes)
    if names is None and not by_hand:
        return [variant.among(systems) for variant in VARIANTS if set(variant.systems) & set(systems)]
    return [variant.among(systems) for variant in (*chosen(names or ()), *by_hand)]


def chosen(names: Iterable[str]) -> Iterator[Variant]:
    """The named variants in their order; raises SettingsError for an unknown name."""
    known, wanted = {variant.name: variant for variant in VARIANTS}, set(names)
    unknown = sorted(wanted - known.keys())
    if unknown:
        raise SettingsError(f"--variants {', '.join(unknown)}: no such variant; known: {', '.join(known)}")
    return (variant for name, variant in known.items() if name in wanted)
