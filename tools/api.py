"""A small client of the embedded Airflow's REST API."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from tools.places import USER, Places

ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.5


class Api:
    """Signed in as the one user; raises httpx.HTTPStatusError with Airflow's own words where it refuses."""

    def __init__(self, url: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=ANSWER_SECONDS)
        answer = self._http.post("/auth/token", json={"username": USER, "password": password})
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **query: Any) -> Any:
        return self._json(self._http.get(f"/api/v2{path}", params=query))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._json(self._http.post(f"/api/v2{path}", json=body))

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._json(self._http.patch(f"/api/v2{path}", json=body))

    def _json(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise httpx.HTTPStatusError(
                f"{answer.status_code}: {answer.text}", request=answer.request, response=answer
            )
        return answer.json()

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.get("/dags", limit=100)["dags"]}

    def import_errors(self) -> list[str]:
        found = self.get("/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace']}" for error in found]

    def unpause(self, dag_id: str) -> None:
        self.patch(f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, run_id: str, form: dict[str, Any]) -> None:
        """Start a run by hand: no logical date, so it takes its night from the form."""
        self.post(f"/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": form})

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run, mapped ones one by one."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=200)
        instances: list[dict[str, Any]] = found["task_instances"]
        return instances

    def log_lines(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """What the last try of a task wrote."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        content = self.get(path, map_index=task["map_index"], full_content=True)["content"]
        return [line for entry in content for line in _entry_lines(entry)]


def _entry_lines(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    lines = [str(entry.get("event", ""))]
    for error in entry.get("error_detail") or []:
        lines.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
    return lines


def answers(url: str) -> bool:
    """Whether the API server, the scheduler, the dag-processor and their database are all well."""
    try:
        health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return False
    return all(
        (health.get(part) or {}).get("status") == "healthy"
        for part in ("metadatabase", "scheduler", "dag_processor")
    )


def wait_until(what: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(PAUSE_SECONDS)
    return False


def sign_in(places: Places) -> Api:
    """The API of the servers that run now."""
    return Api(address(places), places.password())


def address(places: Places) -> str:
    return f"http://127.0.0.1:{places.running_port()}"
