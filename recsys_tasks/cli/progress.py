"""Where long work is, as a line on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from recsys_tasks.cli.output import errors


@dataclass
class Bar:
    """Parts of some work, one after the other."""

    progress: Progress
    task: TaskID
    under_way: bool = False

    def begin(self, part: str) -> None:
        """The next part begins; the one before it is done."""
        self.end()
        self.name(part)
        self.under_way = True

    def name(self, part: str) -> None:
        """Other words for the part that is under way."""
        self.progress.update(self.task, description=part)

    def end(self) -> None:
        """The part that is under way is done."""
        if self.under_way:
            self.progress.advance(self.task)
        self.under_way = False


@contextmanager
def bar(parts: int) -> Iterator[Bar]:
    """A bar of so many parts; where the body fails it stays at the part that was under way."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=errors) as progress:
        shown = Bar(progress, progress.add_task("", total=parts))
        yield shown
        shown.end()
