"""A generated shop as benchmarks see it: its files, and a home whose lake is filled."""

from datetime import date
from pathlib import Path

from benchmarks.home import Home, open_home, shop_settings
from tests.shop import COLOURS, TASTES, THINGS, Shop, make_shop
from tests.tiny_encoder import tiny_encoder

WORDS = [*TASTES, *COLOURS, *(thing for things in THINGS.values() for thing in things), "for", "the"]
# Four weeks before the log's end.
CUT = date(2026, 3, 17)
SHOPPERS = 60


def bench_shop(folder: Path) -> Shop:
    """Files and shop.yaml; nothing is ingested, and the encoder is not tuned."""
    shop = make_shop(folder, encoder=tiny_encoder(folder / "encoder", WORDS), shoppers=SHOPPERS)
    text = shop.file.read_text(encoding="utf-8")
    shop.file.write_text(text.replace("encoder:\n", "encoder:\n  enabled: false\n"), encoding="utf-8")
    return shop


def bench_home(shop: Shop, root: Path, *overrides: str) -> Home:
    return open_home(shop_settings(shop.file, overrides), root)
