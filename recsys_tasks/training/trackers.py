"""Where the curves of a training go, by name: TensorBoard, Weights & Biases, MLflow."""

import importlib.util
from collections.abc import Sequence

from recsys_tasks.errors import SettingsError


def require(trackers: Sequence[str]) -> None:
    """Raise SettingsError, before a night has done its work, where a tracker's package is not installed."""
    for name in trackers:
        # Each tracker has the name of its package.
        if importlib.util.find_spec(name) is None:
            raise SettingsError(
                f"encoder.trackers: {name} is not installed; pip install {name}, or leave {name} out"
            )
