"""A command a step, named as the step; the last one, ``report``, has a command of its own."""

from collections.abc import Callable

from recsys_tasks.cli.arguments import DryRun, NightArgument, Start, StartOption, TopK, options_of
from recsys_tasks.cli.output import say
from recsys_tasks.steps import NIGHT_STEPS


def _command(step: str) -> Callable[..., None]:
    def command(
        night: NightArgument, top_k: TopK = None, dry_run: DryRun = False, start: StartOption = Start.warm
    ) -> None:
        from recsys_tasks.steps.runner import run_step

        say(run_step(step, night, options_of(top_k=top_k, dry_run=dry_run, start=start)))

    command.__name__ = step
    command.__doc__ = f"The step {step} alone."
    return command


STEP_COMMANDS = tuple(_command(step) for step in NIGHT_STEPS[:-1])
