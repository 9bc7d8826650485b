"""The views of a step: which texts are looked at, and the tokens of two views of each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.augment.texts import TokenText, view_of_text
from recsys_tasks.settings.augment import TextPolicy


class Views:
    """
    Two views of each text of the current step.

    ``tokens`` (2B): the first views, then the second ones; view i and view B + i are of one text. Only the step's texts
    are ever changed, so nothing about a view can be computed beforehand, and the encoder's frozen layers see them too.
    """

    def __init__(self, texts: Sequence[TokenText], policy: TextPolicy | Path) -> None:
        if isinstance(policy, Path):
            raise SettingsError(
                f"encoder.augment: {policy} is a file that was not read; load the settings with it"
            )
        self._texts, self._policy = texts, policy
        self.tokens: list[list[int]] = []

    def draw(self, codes: Positions, rng: np.random.Generator) -> None:
        """Make new views of these texts."""
        self.tokens = [view_of_text(self._texts[code], self._policy, rng) for code in np.tile(codes, 2)]
