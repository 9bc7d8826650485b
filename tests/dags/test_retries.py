import pytest
from airflow.sdk import RetryAction
from common.defaults import RETRY

from recsys_tasks import errors


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.EmptyPartition, RetryAction.FAIL),
        (errors.LeakFound, RetryAction.FAIL),
        (errors.NightOutOfRange, RetryAction.FAIL),
        (errors.SettingsError, RetryAction.FAIL),
        (errors.MissingArtefact, RetryAction.FAIL),
        (errors.PublishRefused, RetryAction.FAIL),
        (errors.Busy, RetryAction.RETRY),
        (errors.SourceError, RetryAction.RETRY),
        (errors.StoreUnavailable, RetryAction.RETRY),
        (errors.NoSpace, RetryAction.RETRY),
        (errors.TrainingFailed, RetryAction.DEFAULT),
        (MemoryError, RetryAction.DEFAULT),
    ],
)
def test_what_airflow_does_with_an_error(error, action):
    assert RETRY.evaluate(error("x"), try_number=1, max_tries=2).action == action


def test_every_error_of_the_tree_is_decided_or_left_to_the_default_on_purpose():
    default = {"RecsysError", "TrainingFailed"}
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.RecsysError) and name not in default:
            decision = RETRY.evaluate(error("x"), try_number=1, max_tries=2)
            assert decision.action != RetryAction.DEFAULT, (
                f"{name}: say in common/defaults.py whether to retry"
            )
