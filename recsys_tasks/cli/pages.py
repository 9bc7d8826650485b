"""Pages that more than one command ends with."""

from recsys_tasks.cli.output import page, tell


def print_night(night: str) -> None:
    """A night on one page."""
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.report import gather
    from recsys_tasks.steps.report_page import print_page

    print_page(page(), gather(open_job(night)))


def tell_walk(first: str | None, last: str | None, *, as_json: bool) -> None:
    """The walk forward over the measured nights of a range; all of them without one."""
    from recsys_tasks.steps.history import walk_forward
    from recsys_tasks.steps.history_page import print_walk

    tell(walk_forward(first, last), print_walk, as_json=as_json)
