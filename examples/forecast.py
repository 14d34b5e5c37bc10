"""Forecasting a time series. The data is real: the yearly sunspot numbers, 1700-2008.

They come with statsmodels. Activity of the sun rises and falls in about eleven years,
rises faster than it falls, and more so in strong cycles, which no linear model can say.

The model is a GRU that reads the years up to now and says by how much the square root
of the number changes in each of the next four years. The square root makes the
fluctuations of strong and weak cycles alike. It is small, and five are trained from
different initial weights, whose forecasts are averaged: with so few years, one alone
depends on its luck.

The split is fixed: until 1920 to learn from, 1921-1955 to stop by, 1956-2008 to be
tested on, every year with what was known up to it. The baselines are the linear
autoregression on the last nine years (as usual for these data), fitted by least squares
to all years until 1955, and the number of eleven years before.

Look at the figure: one year ahead everybody is good. Four years ahead the
autoregression shrinks to the mean, the GRU still has a cycle in its state.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import common
import numpy as np
import rnnext
from common import Array

HORIZON = 4
LAGS = 9  # of the autoregression
PERIOD = 11  # of the seasonal forecast
PARTS = 0.72, 0.83  # where the validation and the test begin: 1921 and 1956 of 1700-2008
MARGIN = 1.0


def sunspots() -> Array:
    """The number of every year from 1700 to 2008."""
    try:
        from statsmodels.datasets import sunspots as bundled
    except ImportError:
        raise ImportError(
            'statsmodels is missing; pip install "rnnext[examples]" has it'
        ) from None
    values: Array = bundled.load_pandas().data["SUNACTIVITY"].to_numpy(np.float64)
    return values


def read(path: Path) -> Array:
    """A person's file: CSV, whose last column is the series, oldest first."""
    lines = list(common.read_lines(path))
    values = []
    for (n, line), row in zip(lines, csv.reader(line for _, line in lines)):
        try:
            values.append(float(row[-1]))
        except ValueError:
            if values or n > 1:  # the first line may name the columns
                raise common.DataError(
                    f"{path}:{n}: expected a number in the last column, got {line!r}"
                ) from None
    series = np.array(values)
    if len(series) < 60 or not np.isfinite(series).all() or (series < 0).any():
        raise common.DataError(
            f"{path}: expected 60 finite numbers or more, none below 0, got "
            f"{len(series)} from {min(values, default=0):g} to "
            f"{max(values, default=0):g}"
        )
    return series


def futures(series: Array) -> Array:
    """What follows every year, (T - HORIZON, HORIZON)."""
    windows = np.lib.stride_tricks.sliding_window_view(series, HORIZON)
    return windows[1:]


def autoregression(series: Array, until: int) -> Array:
    """Forecasts (T, HORIZON) of a linear model fitted to the first `until` values."""
    windows = np.lib.stride_tricks.sliding_window_view(series, LAGS)
    rows = np.column_stack([windows, np.ones(len(windows))])
    weights, *_ = np.linalg.lstsq(rows[: until - LAGS], series[LAGS:until])
    forecast = np.zeros((len(series), HORIZON))
    past = windows
    for step in range(HORIZON):
        following = np.column_stack([past, np.ones(len(past))]) @ weights
        forecast[LAGS - 1 :, step] = following
        past = np.column_stack([past[:, 1:], following])
    return forecast


def seasonal(series: Array) -> Array:
    """Forecasts (T, HORIZON): the value of one period before."""
    steps = np.arange(len(series))[:, None] + np.arange(1, HORIZON + 1) - PERIOD
    return series[np.maximum(steps, 0)]


class Scale:
    """Square roots with mean 0 and standard deviation 1, by what was to learn from."""

    def __init__(self, known: Array) -> None:
        roots = np.sqrt(known)
        self.mean, self.std = roots.mean(), roots.std() + 1e-9

    def to(self, values: Array) -> Array:
        """Values to what the network sees."""
        scaled: Array = ((np.sqrt(values) - self.mean) / self.std).astype(np.float32)
        return scaled

    def back(self, scaled: Array) -> Array:
        """And back."""
        values: Array = np.maximum(scaled * self.std + self.mean, 0) ** 2
        return values


def network(
    scaled: Array, begin: int, end: int, epochs: int, seed: int
) -> tuple[Array, list[float]]:
    """Train one; its forecasts (T, HORIZON), scaled, and its validation loss."""
    x = scaled[:, None, None]
    changes = futures(scaled)[:, None] - x[:-HORIZON]
    model = rnnext.Sequential(
        {
            "gru": rnnext.GRU(1, 16, rng=seed),
            "dropout": rnnext.Dropout(0.1, rng=seed),
            "head": rnnext.Linear(16, HORIZON, rng=seed),
        }
    )
    # A year counts where all that follows it is in the part; the first have no past.
    years = np.arange(len(changes))[:, None]
    learn = (years >= LAGS) & (years < begin - HORIZON)
    check = (years >= begin - 1) & (years < end - HORIZON)

    best, kept, losses = np.inf, model.state_dict(), []

    def after_epoch(history: rnnext.History) -> None:
        nonlocal best, kept
        y, _ = model(x[:-HORIZON])
        loss, _ = rnnext.mse_loss(y, changes, mask=check)
        losses.append(loss)
        if loss < best:
            best, kept = loss, model.state_dict()

    rnnext.train(
        model,
        [(x[:-HORIZON], changes)],
        lambda y, targets, **_: rnnext.mse_loss(y, targets, mask=learn),
        rnnext.AdamW(0.01, weight_decay=0.01),
        epochs=epochs,
        clip=1.0,
        on_epoch=after_epoch,
        rng=seed,
    )
    model.load_state_dict(kept)
    return model(x)[0][:, 0] + x[:, 0], losses


def run(options: common.Options) -> common.Result:
    """Train, compare, draw."""
    own = options.data is not None
    series = read(options.data) if options.data else sunspots()
    begin, end = (round(part * len(series)) for part in PARTS)
    if not own:
        begin, end = 1921 - 1700, 1956 - 1700
    scale = Scale(series[:begin])
    scaled = scale.to(series)
    members, losses = [], []
    for member in range(5):
        epochs = 300 if options.quick else 600
        forecast, loss = network(scaled, begin, end, epochs, 10 * options.seed + member)
        members.append(forecast)
        losses.append(loss)
    forecasts = {
        "rnnext": scale.back(np.mean(members, axis=0)),
        "autoregression": autoregression(series, end),
        "a period before": seasonal(series),
    }
    truth = futures(series)
    tested = slice(end - 1, len(truth))

    def rmse(forecast: Array) -> Array:
        squared = (forecast[: len(truth)] - truth)[tested] ** 2
        return np.sqrt(squared.mean(axis=0))

    errors = {name: rmse(forecast) for name, forecast in forecasts.items()}
    alone = [rmse(scale.back(member)).mean() for member in members]

    figure, (left, right) = common.axes(2)
    steps = np.arange(len(series)) + (0 if own else 1700)
    left.plot(steps[end:], series[end:], color="0.6", label="observed")
    for name in ("rnnext", "autoregression"):
        ahead = forecasts[name][end - 1 : -HORIZON, -1]
        left.plot(steps[end + HORIZON - 1 :], ahead, label=name)
    left.set(title=f"{HORIZON} steps ahead", xlabel="step" if own else "year")
    left.legend(frameon=False, fontsize=8)
    for name, error in errors.items():
        right.plot(range(1, HORIZON + 1), error, ".-", label=name)
    right.set(title="Error", xlabel="steps ahead", ylabel="RMSE", ylim=(0, None))
    right.legend(frameon=False, fontsize=8)
    common.save(figure, options, "forecast")
    return common.Result(
        metric=f"RMSE, mean of 1 to {HORIZON} steps ahead",
        value=float(errors["rnnext"].mean()),
        baseline="autoregression",
        baseline_value=float(errors["autoregression"].mean()),
        margin=MARGIN,
        lower_is_better=True,
        others={
            "a period before": float(errors["a period before"].mean()),
            "one network alone": float(np.mean(alone)),
        },
    )


if __name__ == "__main__":
    data = "a CSV of a series that is never negative, in the last column, oldest first"
    sys.exit(common.command(run, __doc__, data=data))
