from io import StringIO

import pytest
from rich.console import Console

from recsys_tasks.cli import progress
from recsys_tasks.cli.progress import bar


@pytest.fixture
def stderr(monkeypatch):
    """Without a terminal only the last state of a bar is written."""
    file = StringIO()
    monkeypatch.setattr(progress, "errors", Console(file=file, width=100))
    return file


def test_a_part_is_done_when_the_next_one_begins_or_the_work_ends(stderr):
    with bar(2) as shown:
        shown.begin("first")
        assert shown.progress.tasks[0].completed == 0
        shown.begin("second")
        assert shown.progress.tasks[0].completed == 1
        shown.name("second, further on")
    assert shown.progress.tasks[0].completed == 2
    assert "second, further on" in stderr.getvalue()
    assert "2/2" in stderr.getvalue()


def work_that_fails():
    with bar(2) as shown:
        shown.begin("first")
        shown.begin("second")
        raise KeyError


def test_where_the_work_fails_the_bar_stays_there(stderr):
    with pytest.raises(KeyError):
        work_that_fails()
    assert "second" in stderr.getvalue()
    assert "1/2" in stderr.getvalue()


def test_without_a_part_nothing_is_done(stderr):
    with bar(0):
        pass
    assert "0/0" in stderr.getvalue()
