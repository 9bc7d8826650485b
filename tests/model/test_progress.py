import logging

from recsys_tasks.model import progress
from recsys_tasks.model.progress import progress_lines

LOG = logging.getLogger("test")


def test_a_line_stands_at_the_end_and_not_for_every_batch(caplog):
    with caplog.at_level(logging.INFO):
        tell = progress_lines(LOG, "texts")
        for done in range(1, 101):
            tell(done, 100)
    assert [record.message.startswith("texts: 100 of 100") for record in caplog.records] == [True]


def test_long_work_tells_how_far_it_is(caplog, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        progress_lines(LOG, "texts")(1, 4)
    assert "texts: 1 of 4" in caplog.text
