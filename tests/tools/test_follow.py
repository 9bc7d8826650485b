import io

import httpx
import pytest
from rich.console import Console

from tools import follow
from tools.follow import Run, RunFailed


def task(name, state, map_index=-1, try_number=1):
    return {
        "task_id": name,
        "state": state,
        "map_index": map_index,
        "try_number": try_number,
        "duration": 1.5,
        "end_date": "2026-01-05T00:00:00Z" if state in ("success", "failed") else None,
    }


class ScriptedApi:
    """Answers one look after the other; an exception in the script is raised."""

    def __init__(self, *looks):
        self.looks = list(looks)
        self.triggered: list[tuple] = []
        self.unpaused: list[str] = []

    def unpause(self, dag_id):
        self.unpaused.append(dag_id)

    def trigger(self, dag_id, run_id, form):
        self.triggered.append((dag_id, form))

    def run_state(self, dag_id, run_id):
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        state, self.now = look
        return state

    def tasks(self, dag_id, run_id):
        return self.now

    def log_lines(self, dag_id, run_id, task):
        return [f"line of {task['task_id']}", "EmptyPartition: no events"]


def followed(monkeypatch, api):
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0)
    page = io.StringIO()
    Run(api, Console(file=page, width=120), "recsys_nightly", {"night": "2026-01-05"}, "night").follow()
    return page.getvalue()


def test_each_task_is_told_once(monkeypatch):
    first = [task("extract_events", "success"), task("check_data", "running")]
    last = [task("extract_events", "success"), task("check_data", "success")]
    page = followed(monkeypatch, ScriptedApi(("running", first), ("running", last), ("success", last)))
    assert page.count("extract_events") == page.count("check_data") == 1


def test_mapped_tasks_are_told_apart(monkeypatch):
    page = followed(
        monkeypatch, ScriptedApi(("success", [task("ingest_chunk", "success", n) for n in (0, 1)]))
    )
    assert "ingest_chunk 0" in page
    assert "ingest_chunk 1" in page


def test_a_paused_dag_is_switched_on_and_given_the_form(monkeypatch):
    api = ScriptedApi(("success", []))
    followed(monkeypatch, api)
    assert api.unpaused == ["recsys_nightly"]
    assert api.triggered == [("recsys_nightly", {"night": "2026-01-05"})]


def test_a_failure_shows_the_end_of_the_task_s_log(monkeypatch):
    api = ScriptedApi(("failed", [task("extract_events", "failed"), task("check_data", "upstream_failed")]))
    with pytest.raises(RunFailed, match="extract_events failed") as raised:
        followed(monkeypatch, api)
    assert "EmptyPartition: no events" in str(raised.value)


def test_a_retry_is_told_and_the_run_goes_on(monkeypatch):
    waiting, done = [task("publish", "up_for_retry")], [task("publish", "success", try_number=2)]
    page = followed(monkeypatch, ScriptedApi(("running", waiting), ("success", done)))
    assert "will be tried again" in page
    assert "done" in page


def test_a_server_that_misses_a_look_is_asked_again(monkeypatch):
    api = ScriptedApi(httpx.ReadTimeout("busy"), ("success", [task("report", "success")]))
    assert "report" in followed(monkeypatch, api)
