"""Task arguments that every DAG shares; a test checks that every DAG uses them."""

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from recsys_tasks.errors import (
    Busy,
    DataError,
    MissingArtefact,
    NoSpace,
    PublishRefused,
    SettingsError,
    SourceError,
    StoreUnavailable,
)

# The error tree says what an operator should do; so it says what Airflow should do.
RETRY = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=DataError, action=RetryAction.FAIL, reason="the same input gives the same error"),
        RetryRule(exception=SettingsError, action=RetryAction.FAIL, reason="shop.yaml or the form is wrong"),
        RetryRule(
            exception=MissingArtefact, action=RetryAction.FAIL, reason="an earlier step has to run first"
        ),
        RetryRule(exception=PublishRefused, action=RetryAction.FAIL, reason="look before publishing"),
        RetryRule(exception=Busy, retry_delay=timedelta(minutes=1), reason="another run holds the lock"),
        RetryRule(exception=SourceError, retry_delay=timedelta(minutes=2), reason="the source may come back"),
        RetryRule(
            exception=StoreUnavailable, retry_delay=timedelta(minutes=2), reason="the database may come back"
        ),
        RetryRule(
            exception=NoSpace, retry_delay=timedelta(minutes=5), reason="somebody may free space on the disk"
        ),
        RetryRule(
            exception="sqlalchemy.exc.OperationalError",
            retry_delay=timedelta(minutes=2),
            reason="a database may come back",
        ),
    ]
)

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "recsys",
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": RETRY,
    "execution_timeout": timedelta(hours=1),
}

# For tasks that train or encode: a night without a GPU is long, a hung one must still end before the next.
MODEL_TASK: dict[str, Any] = {"pool": "gpu", "execution_timeout": timedelta(hours=6)}

# What is left of a task's time behind the longest wait: enough to find what the other process finished.
WAIT_MARGIN = timedelta(minutes=5)


def lock_patience(limit: timedelta | None) -> float:
    """
    Seconds that a task of this ``execution_timeout`` waits for a step's lock.

    A worker that is killed can leave its task's process alive, training on, while the retry starts: the retry waits
    for it and uses what it made. That process has the same limit, counted from its own, earlier start.
    """
    return max(0.0, (limit - WAIT_MARGIN).total_seconds()) if limit is not None else 0.0
