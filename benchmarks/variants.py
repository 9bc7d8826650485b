"""What the ablation takes away or changes: a name, settings, and whose lists show it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recsys_tasks.errors import SettingsError

SYSTEMS = ("ours", "ours-tower")
TOWER_PARTS = ("ours-tower", "ours")


@dataclass(frozen=True)
class Variant:
    """``changes`` are settings as ``--set`` takes them; ``systems`` the rows that can differ."""

    name: str
    changes: tuple[str, ...] = ()
    systems: tuple[str, ...] = SYSTEMS


BASE = Variant("as it is")
VARIANTS: tuple[Variant, ...] = ()


def chosen(names: Iterable[str] | None) -> Iterator[Variant]:
    """The named variants in their order (all where none is named); raises SettingsError for an unknown name."""
    known = {variant.name: variant for variant in VARIANTS}
    unknown = sorted(set(names or ()) - known.keys())
    if unknown:
        raise SettingsError(f"--variants {', '.join(unknown)}: no such variant; known: {', '.join(known)}")
    wanted = known.keys() if names is None else set(names)
    return (variant for name, variant in known.items() if name in wanted)
