import pytest

from recsys_tasks.errors import SettingsError, TrainingFailed
from recsys_tasks.training.torchrun import exit_code_of

SETTINGS, TRAINING = SettingsError.exit_code, TrainingFailed.exit_code


@pytest.mark.parametrize(
    ("workers", "code"),
    [
        ([SETTINGS], SETTINGS),
        # The others lose their peer and fail after it, or are seen to fail first.
        ([SETTINGS, 1], SETTINGS),
        ([1, SETTINGS], SETTINGS),
        ([TRAINING, 1], TRAINING),
        ([-9], 1),
        ([-9, TRAINING], 1),
        ([], 1),
    ],
)
def test_the_launch_ends_as_its_workers_did(workers, code):
    assert exit_code_of(workers) == code
