"""Names of types, apart from the modules that need torch: importing it takes a second and more."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
# Told how much of how much is done.
Progress = Callable[[int, int], None]
