import subprocess
import sys

from tools.dag_docs import PAGE, bounds
from tools.places import CHECKOUT


def test_the_page_says_what_the_dags_say():
    done = subprocess.run(
        [sys.executable, "-m", "tools.dag_docs", "--check"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_dag_and_field_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    for words in (
        "## `recsys_nightly`",
        "## `recsys_ingest`",
        "`from_step`",
        "`top_k`",
        "`finetune_encoder`",
    ):
        assert words in page


def test_bounds_read_as_words():
    assert bounds({"enum": [None, "live"]}) == "one of `live`"
    assert bounds({"minimum": 1, "maximum": 500}) == "at least 1, at most 500"
    assert bounds({"format": "date"}) == "a date"
