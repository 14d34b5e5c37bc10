"""The model file while a training goes on."""

from __future__ import annotations

import copy
from typing import Any

from rnnext import Sequential

from .checkpoint import Arrays
from .data import Vocabulary
from .files import save_model


class Keeper:
    """Keeps the weights with the lowest validation loss so far, in a file.

    Parameters
    ----------
    path : str
        Of the model file.
    model : Sequential
        The one that is trained.
    vocabulary : Vocabulary
    made : dict
        How it is made, for people to read.

    Attributes
    ----------
    best : float or None
        The lowest validation loss, in bits per character.
    """

    def __init__(
        self,
        path: str,
        model: Sequential,
        vocabulary: Vocabulary,
        made: dict[str, Any],
    ) -> None:
        self.path = path
        self.model = model
        self.vocabulary = vocabulary
        self.best: float | None = None
        self._made = made
        self._characters = 0
        self._kept: Sequential | None = None

    def before_validation(self, characters: int) -> None:
        """See to it that there is a file: a second Ctrl-C may end the validation."""
        if self._kept is None:
            self._keep(characters)

    def after_validation(self, characters: int, bits: float) -> None:
        """Keep the weights, with the characters read so far, if they are the best."""
        if self.best is None or bits < self.best:
            self.best = bits
            self._keep(characters)

    def state_dict(self) -> tuple[dict[str, Any], Arrays]:
        """What a checkpoint needs of this."""
        kept = {} if self._kept is None else self._kept.state_dict()
        return {"best": self.best, "characters": self._characters}, kept

    def load_state_dict(self, state: dict[str, Any], arrays: Arrays) -> None:
        """Go on from `state_dict`: the file, too, is as it was then."""
        self.best = state["best"]
        if arrays:
            kept = copy.deepcopy(self.model)
            kept.load_state_dict(arrays)
            self._write(kept, state["characters"])

    def _keep(self, characters: int) -> None:
        self._write(copy.deepcopy(self.model), characters)

    def _write(self, kept: Sequential, characters: int) -> None:
        self._kept, self._characters = kept, characters
        reached = {"characters": characters, "validation_bits": self.best}
        save_model(self.path, kept, self.vocabulary, self._made | reached)
