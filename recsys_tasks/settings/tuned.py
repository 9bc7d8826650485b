"""
``tuned``: a file of settings that a search found, laid over what shop.yaml says of the encoder and the pairs.

It is read with shop.yaml, so what it says is part of every fingerprint; the environment still wins over both.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings.encoder import EncoderSettings
from recsys_tasks.settings.pairs import PairSettings
from recsys_tasks.settings.section import Section
from recsys_tasks.settings.shop_yaml import explain, read_shop


class Tuned(Section):
    encoder: EncoderSettings = EncoderSettings()
    pairs: PairSettings = PairSettings()


def with_tuned(tree: dict[str, Any], file: Path) -> dict[str, Any]:
    """
    The tree of shop.yaml with each tuned setting in the place of its own.

    Raises SettingsError, with its file and line, for a fault of the tuned file or one between both.
    """
    if not file.is_file():
        raise SettingsError(f"tuned: no such file: {file}; `search --what training` writes one")
    found, node = read_shop(file)
    # A section is tuned setting by setting; a setting that has parts of its own (contrast) is replaced whole.
    over = {name: {**_section(tree, name), **_section(found, name)} for name in found}
    for checked in (found, over):
        try:
            Tuned(**checked)
        except ValidationError as error:
            raise SettingsError(explain(error, file, node)) from None
    return {**tree, **over}


def _section(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """Of what is no mapping the checks of the whole tree tell."""
    section = tree.get(name)
    return section if isinstance(section, dict) else {}
