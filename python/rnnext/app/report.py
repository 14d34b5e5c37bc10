"""What a person sees of a training: a bar or lines, samples, the loss curve."""

from __future__ import annotations

import importlib.util
import io
import math
import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from .checkpoint import Arrays
from .errors import missing
from .files import write_atomically
from .trainer import Event

POINTS = 200
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_REDRAWS = 0.2


@dataclass
class Curve:
    """Losses in bits per character, each over the characters read until then."""

    train: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)

    def save(self, path: str, levels: dict[str, float]) -> bool:
        """Draw the curve as a PNG file.

        Parameters
        ----------
        path : str
        levels : dict of str to float
            Horizontal lines by name: what other models reach.

        Returns
        -------
        bool
            False when matplotlib is missing.

        Raises
        ------
        AppError
            When the file cannot be written.
        """
        if importlib.util.find_spec("matplotlib") is None:
            return False
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter

        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*zip(*self.train, strict=True), label="train", linewidth=1)
        if self.validation:
            axes.plot(*zip(*self.validation, strict=True), "o-", label="validation")
        for (name, bits), style in zip(levels.items(), ("--", ":"), strict=False):
            axes.axhline(bits, linestyle=style, color="gray", linewidth=1)
            axes.annotate(
                name,
                (1, bits),
                xycoords=("axes fraction", "data"),
                xytext=(-4, 3),
                textcoords="offset points",
                ha="right",
                color="gray",
            )
        axes.set(xlabel="characters read", ylabel="bits per character", ylim=(0, None))
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left")
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=120)
        write_atomically(path, png.getvalue())
        return True


class Report:
    """Progress on stderr, samples on stdout.

    A terminal gets a bar (tqdm), anything else a plain line per interval.
    """

    def __init__(self) -> None:
        self.curve = Curve()
        self._window: list[tuple[int, float]] = []  # characters, loss of each step
        self._read = 0
        self._bits = math.nan
        self._drawn = time.monotonic()
        self._bar: Any = None
        terminal = sys.stderr.isatty()
        if importlib.util.find_spec("matplotlib") is None:
            self.note(missing("matplotlib", "the loss curve"))
        if terminal and importlib.util.find_spec("tqdm") is None:
            self.note(missing("tqdm", "the progress bar"))
        elif terminal:
            from tqdm import tqdm

            layout = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
            # Left alone, tqdm draws nothing on a terminal that says it has no size.
            self._bar = tqdm(total=1.0, bar_format=layout, ncols=_columns(), nrows=20)

    def note(self, text: str) -> None:
        """Tell something in passing."""
        print(f"note: {text}", file=sys.stderr, flush=True)

    def step(self, event: Event) -> None:
        """Take in one step of training and show it when it is time."""
        size = event.characters - self._read
        self._read = event.characters
        self._window.append((size, event.loss))
        if event.last or event.progress * POINTS >= len(self.curve.train) + 1:
            characters = sum(n for n, _ in self._window)
            nats = sum(n * loss for n, loss in self._window) / characters
            self._bits = nats / math.log(2)
            self.curve.train.append((event.characters, self._bits))
            self._window.clear()
        elapsed = time.monotonic() - self._drawn
        if self._bar is not None:
            if elapsed >= SECONDS_BETWEEN_REDRAWS or event.last:
                self._drawn = time.monotonic()
                self._bar.n = event.progress
                self._bar.ncols = _columns()
                self._bar.set_postfix_str(self._line(event))
        elif event.due or event.last or elapsed >= SECONDS_BETWEEN_LINES:
            self._drawn = time.monotonic()
            line = f"{event.progress:4.0%}  {self._line(event)}"
            print(line, file=sys.stderr, flush=True)

    def _line(self, event: Event) -> str:
        bits = event.loss / math.log(2) if math.isnan(self._bits) else self._bits
        return (
            f"epoch {event.epoch:.2f}, loss {bits * math.log(2):.3f}, "
            f"{bits:.3f} bits/char, {event.speed:,.0f} char/s"
        )

    def validation(self, event: Event, bits: float, sample: str) -> None:
        """Show a validation loss and a text that the model wrote."""
        self.curve.validation.append((event.characters, bits))
        head = f"validation {bits:.3f} bits/char, the model writes:"
        block = f"\n{head}\n{sample.strip()}\n"
        if self._bar is None:
            print(block, flush=True)
        else:
            self._bar.write(block)

    def state_dict(self) -> tuple[dict[str, Any], Arrays]:
        """What a checkpoint needs of this: the curve so far."""
        state = {"train": self.curve.train, "validation": self.curve.validation}
        return state | {"window": self._window, "read": self._read}, {}

    def load_state_dict(self, state: dict[str, Any], arrays: Arrays) -> None:
        """Go on from `state_dict`."""
        train, validation, self._window = (
            [(int(n), float(value)) for n, value in state[name]]
            for name in ("train", "validation", "window")
        )
        self.curve, self._read = Curve(train, validation), state["read"]

    def close(self) -> None:
        """Finish the bar."""
        if self._bar is not None:
            self._bar.close()


def _columns() -> int:
    return shutil.get_terminal_size().columns
