import json
import re
import shlex
from importlib import import_module

import pytest

from benchmarks import ablation as ablation_command
from benchmarks import quality, systems
from benchmarks.quality_tables import ablation, cold, leads, lists
from recsys_tasks.errors import MissingArtefact, SettingsError


def figure(system, metric, value, *, slice="new", split="test", against=None, low=0.0, high=0.0):
    spent = {"seconds": 12.4, "peak_mb": 512.0}
    where = {"cut": "pooled", "horizon": 28, "target": slice, "users": 9}
    head = {"system": system, "split": split, "slice": slice, "metric": metric, "against": against}
    return {**head, "value": value, "ci_low": low, "ci_high": high, **spent, **where}


ROWS = [
    figure("ours", "NDCG@10", 0.1234),
    figure("ease", "NDCG@10", 0.1),
    figure("ours", "NDCG@10", 0.3, slice="all"),
    figure("ours - ease", "NDCG@10", 0.0234, against="ease", low=0.01, high=0.04),
    figure("ours - ease", "NDCG@10", -0.001, against="ease", low=-0.02, high=0.02, split="test/2011-07-10"),
    figure("ours - ease", "NDCG@10", 0.05, against="ease", low=0.02, high=0.07, split="test/2011-09-10"),
]


def test_a_table_of_lists_has_a_row_a_system_of_the_slice_that_is_asked_for():
    table = lists(ROWS, "new").splitlines()
    assert table[0] == "| system | NDCG@10 | s | MB |"
    assert table[2:] == ["| **ours** | .1234 | 12 | 512 |", "| ease | .1000 | 12 | 512 |"]


def test_a_lead_is_bold_where_its_interval_leaves_out_nought():
    table = leads(ROWS, "new").splitlines()
    which = ("pooled", "at the worst cut")
    head = [f"{metric} {name}" for metric in ("NDCG@10", "Recall@20") for name in which]
    assert table[0] == "| ours ahead of | " + " | ".join(head) + " |"
    assert table[2] == "| ease | **+.0234 [+.0100, +.0400]** | -.0010 [-.0200, +.0200] |  |  |"


def test_the_ablation_has_a_row_a_variant():
    rows = [figure("no text: ours - ours", "NDCG@10", -0.02, against="ours", low=-0.03, high=-0.01)]
    assert "| no text | **-.0200 [-.0300, -.0100]** |" in ablation(rows, "new")


def test_the_table_of_items_without_history_tells_whether_they_are_found_and_shown():
    rows = [
        figure("ours-tower", "Recall@50", 0.3168, slice="cold among cold"),
        figure("ours-tower", "Recall@20", 0.2, slice="cold among cold"),
        figure("ours-tower", "share of impressions@10", 0.142),
    ]
    table = cold(rows).splitlines()
    assert table[0] == "| system | cold among cold: Recall@50 | new: share of impressions@10 |"
    assert table[2] == "| **ours-tower** | .3168 | .1420 |"


def page(name):
    return f"before\n<!-- begin {name} -->\nold\n<!-- end {name} -->\nafter\n"


def test_only_what_stands_between_the_marks_is_written_anew(tmp_path):
    (tmp_path / "time_split").mkdir()
    (tmp_path / "time_split" / "shop.json").write_text(json.dumps(ROWS))
    text = quality.filled(page("lists shop new"), tmp_path)
    assert text.startswith("before\n<!-- begin lists shop new -->\n\n| system |")
    assert text.endswith("<!-- end lists shop new -->\nafter\n")
    assert "old" not in text
    assert quality.filled(text, tmp_path) == text, "a second run changes nothing"


def test_only_the_blocks_that_are_named_are_written_and_need_their_files(tmp_path):
    (tmp_path / "time_split").mkdir()
    (tmp_path / "time_split/shop.json").write_text(json.dumps(ROWS))
    both = page("lists other new") + page("lists shop new")
    text = quality.filled(both, tmp_path, ["lists shop new"])
    assert text == page("lists other new") + quality.filled(page("lists shop new"), tmp_path)
    with pytest.raises(
        SettingsError, match=r"no block 'lists third new'; it has lists other new, lists shop new"
    ):
        quality.filled(both, tmp_path, ["lists third new"])


def test_a_block_of_an_unknown_kind_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(SettingsError, match="no table is called 'list'"):
        quality.filled(page("list shop new"), tmp_path)
    with pytest.raises(MissingArtefact, match=r"shop\.json does not exist"):
        quality.filled(page("lists shop new"), tmp_path)


def commands(page: str) -> list[tuple[str, list[str]]]:
    """(module, arguments) of every benchmark in a code block of a page."""
    blocks = re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line) for line in lines if line.startswith("python -m benchmarks.")]
    return [(words[2], words[3:]) for words in words]


# The benchmarks of lists and encoders: their options can be read without a run.
OF_LISTS = {
    f"benchmarks.{name}"
    for name in ("time_split", "cold_items", "leave_one_out", "ablation", "backbone", "memory")
}
COMMANDS = [
    (page.name, *command)
    for page in (quality.PAGE, quality.CHECKOUT / "benchmarks" / "README.md")
    for command in commands(page.read_text(encoding="utf-8"))
    if command[0] in OF_LISTS
]


def test_the_page_of_the_tables_has_a_command_of_every_kind():
    told = {module for page, module, _ in COMMANDS if page == quality.PAGE.name}
    assert told >= OF_LISTS - {"benchmarks.backbone"}


@pytest.mark.parametrize(
    ("page", "module", "arguments"), COMMANDS, ids=[f"{page}: {module}" for page, module, _ in COMMANDS]
)
def test_a_command_of_the_pages_can_be_given_as_it_stands(page, module, arguments, monkeypatch):
    given = import_module(module)._parser().parse_args(arguments)
    if module == "benchmarks.time_split":
        assert systems.names(given.systems)
    if module == "benchmarks.ablation":
        for name in ("ONLINE_RETAIL", "IFDB", "COMPLETE_JOURNEY_A"):
            monkeypatch.setenv(name, "nowhere")
        given.shop = quality.CHECKOUT / given.shop
        assert ablation_command.settings_of(given)
