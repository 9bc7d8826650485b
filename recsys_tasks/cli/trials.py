"""Commands that try what no night does by itself."""

from enum import StrEnum
from typing import Annotated

import typer

from recsys_tasks.cli.arguments import AsJson, NightArgument
from recsys_tasks.cli.output import say, tell


class Searched(StrEnum):
    augment = "augment"
    training = "training"
    histories = "histories"


def search(
    night: NightArgument,
    trials: Annotated[int, typer.Option(min=1, help="In all, those of earlier calls included.")] = 20,
    what: Annotated[
        Searched, typer.Option(help="Policies of views, of texts or of histories, or how the encoder learns.")
    ] = Searched.augment,
) -> None:
    """Search settings on days that no later judge of them asks about; carries on where it was stopped."""
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.search import run

    say(run(open_job(night), what.value, trials))


def classify(night: NightArgument, as_json: AsJson = False) -> None:
    """Fit the purchase classifier as of a night, and its report on the days it never saw."""
    from recsys_tasks.steps.classify_page import print_classifier
    from recsys_tasks.steps.runner import run_step

    tell(run_step("classify", night), print_classifier, as_json=as_json)
