"""
Write docs/dags.md from the DAGs themselves: docstrings, forms, tasks.

    python -m tools.dag_docs            write it
    python -m tools.dag_docs --check    say whether it is what the DAGs say now; exit code 1 where it is not
"""

import os
import sys
import tempfile
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tools.places import CHECKOUT

if TYPE_CHECKING:
    from airflow.sdk import DAG, Param

PAGE = CHECKOUT / "docs" / "dags.md"
SHOP = CHECKOUT / "examples" / "template" / "shop.yaml"
HEAD = """# The DAGs

Made from the DAG files by `make docs`; `make lint` fails when it is out of date. Do not edit it here.
"""


BOUNDS = {
    "format": "a {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters or fewer",
}


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(dag) for dag in load_dags())])


def load_dags() -> list["DAG"]:
    """Every DAG, with the template's shop; Airflow itself gets a home that is thrown away."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"AIRFLOW_HOME": home, "RECSYS_SHOP": str(SHOP)}
        sys.path[:0] = [str(CHECKOUT / "dags"), str(CHECKOUT / "plugins")]
        names = [file.stem for file in sorted((CHECKOUT / "dags").glob("*.py"))]
        # One DAG a file, made by the function that is named as the file.
        return [getattr(import_module(name), name)() for name in names]


def section(dag: "DAG") -> str:
    """One DAG: what its docstring says, its form, its tasks."""
    text = [f"## `{dag.dag_id}`\n", *_prose(dag.doc_md or ""), ""]
    text += ["| field | default | what it does | bounds |", "| --- | --- | --- | --- |"]
    text += [field(name, dag.params.get_param(name)) for name in dag.params]
    text += ["", "| task | what it does | pool | ends after | retries |", "| --- | --- | --- | --- | --- |"]
    text += [row(task) for task in dag.topological_sort()]  # type: ignore[no-untyped-call]
    return "\n".join([*text, ""])


def _prose(docstring: str) -> list[str]:
    """The docstring, its heading (made for the UI) as a line in bold."""
    heading, _, rest = docstring.strip().partition("\n")
    return [f"**{heading.removeprefix('### ')}**", rest.rstrip()]


def field(name: str, param: "Param") -> str:
    value = "" if param.value is None else f"`{param.value}`" if param.has_value else "required"
    return f"| `{name}` | {value} | {param.description} | {bounds(param.schema)} |"


def bounds(schema: dict[str, object]) -> str:
    """The form's limits in words."""
    words = [f"one of {_listed(schema['enum'])}"] if "enum" in schema else []
    words += [word.format(schema[key]) for key, word in BOUNDS.items() if key in schema]
    return ", ".join(words)


def _listed(values: object) -> str:
    assert isinstance(values, list)
    return ", ".join(f"`{value}`" for value in values if value is not None)


def row(task: Any) -> str:
    what = (task.doc_md or task.python_callable.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    return f"| `{task.task_id}` | {what} | {task.pool} | {task.execution_timeout} | {task.retries} |"


def main(
    check: Annotated[bool, typer.Option(help="Write nothing; fail where the page is out of date.")] = False,
) -> None:
    """Write docs/dags.md, or check it."""
    fresh = page()
    if not check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(fresh, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != fresh:
        Console(stderr=True).print("docs/dags.md is not what the DAGs say: run `make docs`")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
