"""Start a run and show it task by task until it ends."""

import time
from typing import Any

import httpx
from rich.console import Console

from recsys_tasks.errors import RecsysError
from tools.api import Api

LOOK_SECONDS = 2.0
LOG_LINES = 25
# An API server that is busy, or whose machine is, may miss a few looks.
SILENCE_SECONDS = 60.0
GOOD = {"success": "[green]done[/]", "skipped": "[dim]nothing to do[/]"}
BAD = {"failed": "[red]failed[/]", "up_for_retry": "[yellow]failed, will be tried again[/]"}


class RunFailed(RecsysError):
    """A task failed; the message ends with its log."""


class Run:
    """One run of one DAG, followed on the console."""

    def __init__(self, api: Api, console: Console, dag_id: str, form: dict[str, Any], label: str) -> None:
        self.api, self.console, self.dag_id = api, console, dag_id
        self.run_id = f"{label}__{time.strftime('%Y%m%dT%H%M%S')}"
        self._seen: set[tuple[str, int, int, str]] = set()
        api.unpause(dag_id)
        api.trigger(dag_id, self.run_id, form)

    def follow(self) -> None:
        """Until the run ends; raises RunFailed with the log of the task that failed."""
        with self.console.status(self.dag_id) as status:
            heard = time.monotonic()
            state = "queued"
            while state in ("queued", "running"):
                time.sleep(LOOK_SECONDS)
                try:
                    state = self.api.run_state(self.dag_id, self.run_id)
                    tasks = self.api.tasks(self.dag_id, self.run_id)
                except httpx.TransportError:
                    if time.monotonic() - heard > SILENCE_SECONDS:
                        raise
                    continue
                heard = time.monotonic()
                self._show_finished(tasks)
                status.update(f"{self.dag_id}: {_running(tasks)}")
        if state != "success":
            raise RunFailed(self._why(tasks))

    def _show_finished(self, tasks: list[dict[str, Any]]) -> None:
        for task in sorted(tasks, key=lambda one: (one["end_date"] or "", one["map_index"])):
            state, name = task["state"], _name(task)
            key = (task["task_id"], task["map_index"], task["try_number"], state)
            if state not in GOOD | BAD or key in self._seen:
                continue
            self._seen.add(key)
            seconds = f"{task['duration'] or 0:6.1f} s"
            self.console.print(f"  {name:<44}{seconds}  {(GOOD | BAD)[state]}")

    def _why(self, tasks: list[dict[str, Any]]) -> str:
        failed = [task for task in tasks if task["state"] == "failed"]
        if not failed:
            return f"{self.dag_id} {self.run_id} did not succeed, though no task failed; look at it in the UI"
        lines = self.api.log_lines(self.dag_id, self.run_id, failed[0])[-LOG_LINES:]
        return f"{self.dag_id}: {_name(failed[0])} failed. The end of its log:\n" + "\n".join(lines)


def _name(task: dict[str, Any]) -> str:
    if task["map_index"] < 0:
        return str(task["task_id"])
    return f"{task['task_id']} {task.get('rendered_map_index') or task['map_index']}"


def _running(tasks: list[dict[str, Any]]) -> str:
    names = [_name(task) for task in tasks if task["state"] == "running"]
    return ", ".join(sorted(names)) or "waiting for the scheduler"
