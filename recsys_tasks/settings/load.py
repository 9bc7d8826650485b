"""Reading shop.yaml and the environment into the tree; relative paths start at the folder of shop.yaml."""

import os
import re
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import SettingsError as UnreadableVariable

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings.augment import HistoryPolicy, P, TextPolicy, read_policy
from recsys_tasks.settings.shop import Settings
from recsys_tasks.settings.shop_yaml import explain, read_shop
from recsys_tasks.settings.sources import SourceSettings, SourcesSettings
from recsys_tasks.settings.tuned import with_tuned
from recsys_tasks.settings.variables import (
    SHOP_VARIABLE,
    TUNED_VARIABLE,
    given,
    refuse_unknown_variables,
)

S = TypeVar("S", bound=SourceSettings)


def shop_file(path: str | Path | None = None) -> Path:
    """The file ``--shop`` or ``RECSYS_SHOP`` names; it must exist."""
    named = path or os.environ.get(SHOP_VARIABLE)
    if not named:
        raise SettingsError(f"no shop: give --shop FILE or set {SHOP_VARIABLE} to a shop.yaml")
    file = Path(named).expanduser().absolute()
    if not file.is_file():
        raise SettingsError(f"no such shop file: {file}")
    return file


def load_settings(path: str | Path | None = None) -> Settings:
    """Read ``shop.yaml`` and the environment; every fault is one SettingsError that names place and key."""
    file = shop_file(path)
    tree, node = read_shop(file)
    refuse_unknown_variables(file)
    if isinstance(tuned := os.environ.get(TUNED_VARIABLE) or tree.get("tuned"), str):
        tree = with_tuned(tree, Path(_beside(file.parent, tuned)))
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        raise SettingsError(explain(error, file, node, given)) from None
    except UnreadableVariable as error:
        raise SettingsError(f"an environment variable RECSYS_...: {error}; sections are JSON") from None
    return _anchored(settings, file.parent)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """The same settings with every relative path starting at the folder of shop.yaml."""
    sources = SourcesSettings(
        events=_anchored_source(settings.sources.events, folder),
        items=_anchored_source(settings.sources.items, folder),
    )
    return settings.model_copy(
        update={
            "home": Path(_beside(folder, str(settings.home))),
            "database": _anchored_address(settings.database, folder),
            "encoder": settings.encoder.model_copy(
                update={
                    "base": _anchored_base(settings.encoder.base, folder),
                    "augment": _policy(settings.encoder.augment, TextPolicy, folder),
                }
            ),
            "towers": settings.towers.model_copy(
                update={"augment": _policy(settings.towers.augment, HistoryPolicy, folder)}
            ),
            "classifier": settings.classifier.model_copy(
                update={"base": _anchored_base(settings.classifier.base, folder)}
            ),
            "sources": sources,
        }
    )


def _anchored_source(source: S, folder: Path) -> S:
    url = None if source.url is None else _anchored_address(source.url, folder)
    path = None if source.path is None else _beside(folder, source.path)
    return source.model_copy(update={"url": url, "path": path})


def _anchored_address(address: str, folder: Path) -> str:
    file = address.removeprefix("sqlite:///")
    return address if file == address else f"sqlite:///{_beside(folder, file)}"


def _anchored_base(base: str, folder: Path) -> str:
    """A folder starts at shop.yaml too; the name of a packaged model stays a name."""
    return _beside(folder, base) if "/" in base or (folder / base).is_dir() else base


def _policy(said: P | Path, kind: type[P], folder: Path) -> P:
    return read_policy(Path(_beside(folder, str(said))), kind) if isinstance(said, Path) else said


def _beside(folder: Path, path: str) -> str:
    unset = [name for name in re.findall(r"\$\{(\w+)\}", path) if name not in os.environ]
    if unset:
        raise SettingsError(f"{path}: environment variable {', '.join(unset)} is not set")
    return os.path.normpath(folder / Path(os.path.expandvars(path)).expanduser())
