"""What docs/operate.md lets an operator remove where a disk is full: the next night goes on as if nothing were gone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import NIGHT_BEFORE_LAST, command, prepared
from tests.shop import make_shop

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "operate.md").read_text(encoding="utf-8")
OLD = ("pairs", "vectors", "index", "evaluation", "lists")
MODEL = ("encoder", "towers", "ranker")


@pytest.fixture(scope="module")
def shop(tmp_path_factory, encoder):
    shop = make_shop(tmp_path_factory.mktemp("tidied") / "shop", encoder=encoder)
    command(shop, "night", prepared(shop))
    return shop


def named(home: Path, night: str) -> set[str]:
    """What the page's own command names."""
    line = next(line for line in PAGE.splitlines() if line.strip().startswith("grep -hoE"))
    told = line.strip().replace("HOME", str(home)).replace("NIGHT", night)
    said = subprocess.run(["bash", "-c", told], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r'"([^"]+)"', said))


def champion(home: Path, night: str) -> dict[str, str]:
    (manifest,) = (home / "artefacts" / "evaluation" / night).glob("*/manifest.json")
    return json.loads(manifest.read_text())["inputs"]["champion"]


def test_the_next_night_goes_on_without_what_may_go_and_falls_back_without_what_may_not(shop):
    home, first = shop.folder / "home", shop.night(NIGHT_BEFORE_LAST)
    keep = named(home, first)
    assert {ref.split("/")[0] for ref in keep} == set(MODEL)
    for name in (
        "replays",
        "checkpoints",
        "curves",
        "quarantine",
        "cache",
        *(f"artefacts/{old}" for old in OLD),
    ):
        shutil.rmtree(home / name, ignore_errors=True)
    second = shop.night(NIGHT_BEFORE_LAST - 1)
    command(shop, "night", second)
    went_on = champion(home, second)
    assert {went_on[name] for name in MODEL} == keep
    shutil.rmtree(home / "artefacts" / "towers")
    third = shop.night(NIGHT_BEFORE_LAST - 2)
    done = command(shop, "night", third)
    assert "cannot be used" in done.stderr
    assert "towers" not in champion(home, third)
