import os

import pytest

from recsys_tasks.errors import Busy, NoSpace
from recsys_tasks.files import enough_space, write_whole


def test_files_appear_whole(tmp_path):
    target = tmp_path / "deep" / "current"
    write_whole(target, "one")
    write_whole(target, "two")
    assert target.read_text() == "two"
    assert os.listdir(target.parent) == ["current"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        ValueError("parquet: underlying IO error: No space left on device (os error 28)"),
        OSError(122, "Disk quota exceeded"),
    ],
)
def test_a_full_disk_is_one_error_whatever_library_says_so(tmp_path, error):
    with (
        pytest.raises(NoSpace, match=r"no space left for .*free some space, then run again"),
        enough_space(tmp_path),
    ):
        raise error


@pytest.mark.parametrize("error", [OSError(2, "No such file"), Busy("another process"), KeyboardInterrupt()])
def test_other_errors_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as raised, enough_space(tmp_path):
        raise error
    assert raised.value is error
