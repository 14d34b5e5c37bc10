"""Forecasting a time series. The data is real: the yearly sunspot numbers, 1700-2008.

They come with statsmodels. Activity of the sun rises and falls in about eleven years,
rises faster than it falls, and more so in strong cycles, which no linear model can say.

The model is a GRU that reads the years up to now and says by how much the number
changes in each of the next four years. Two things help against there being so few
years. Every epoch sees 32 copies of them, each made stronger or weaker as a whole and
with noise: the cycles after 1950 are stronger than any that it learns from. And five
networks (two with --quick) are trained from different initial weights, whose forecasts
are averaged.

The split is fixed: until 1920 to learn from, 1921-1955 to stop by, 1956-2008 to be
tested on, every year with what was known up to it. The baselines are the linear
autoregression on the last nine years (as usual for these data), fitted by least squares
to all years until 1955, and the number of eleven years before.

Look at the figure: four years ahead both models know when the next cycle comes and fall
short of the strongest; the autoregression even forecasts numbers below zero.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import common
import numpy as np
from common import Array

import rnnext

HORIZON = 4
LAGS = 9  # of the autoregression
COPIES, NOISE = 32, 0.1  # of the series in training; noise in standard deviations
PERIOD = 11  # of the seasonal forecast
PARTS = 0.72, 0.83  # of other series, where validation and test begin
MARGIN = 0.75


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

    def value(n: int, line: str) -> float | None:
        try:
            return float(next(csv.reader([line]))[-1])
        except ValueError:
            if n == 1:  # it may name the columns
                return None
            raise common.DataError(
                f"{path}:{n}: expected a number in the last column, got {line!r}"
            ) from None

    found = [value(n, line) for n, line in common.read_lines(path)]
    values = [number for number in found if number is not None]
    series = np.array(values)
    if len(series) < 60 or not np.isfinite(series).all() or (series < 0).any():
        raise common.DataError(
            f"{path}: expected 60 finite numbers or more, none below 0, got "
            f"{len(series)} from {min(values, default=0):g} to "
            f"{max(values, default=0):g}"
        )
    return series


def futures(series: Array) -> Array:
    """What follows every year, (T - HORIZON, ..., HORIZON)."""
    windows = np.lib.stride_tricks.sliding_window_view(series, HORIZON, axis=0)
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
    forecast: Array = series[np.maximum(steps, 0)]
    return forecast


def stronger_and_weaker(past: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Copies of a series, x (T, N, 1), and how they change, (T, N, HORIZON)."""
    strength = np.exp(rng.uniform(-0.5, 0.5, (1, COPIES)))
    copies = (past[:, None] * strength).astype(np.float32)
    noise = NOISE * rng.standard_normal(copies.shape, np.float32)
    changes = futures(copies) - copies[:-HORIZON, :, None]
    return (copies + noise)[:-HORIZON, :, None], changes


def network(scaled: Array, begin: int, end: int, seed: int) -> Array:
    """Train one; the forecasts (T, HORIZON) of its best epoch in validation."""
    rng = np.random.default_rng(seed)
    model = rnnext.Sequential(
        {"gru": rnnext.GRU(1, 8, rng=rng), "head": rnnext.Linear(8, HORIZON, rng=rng)}
    )
    x = scaled[:, None, None]
    truth = futures(scaled)
    # A state needs some years before its forecasts count.
    learn = np.broadcast_to(
        np.arange(begin - HORIZON)[:, None] >= LAGS, (begin - HORIZON, COPIES)
    )
    best, kept = np.inf, model.state_dict()

    def after_epoch(history: rnnext.training.History) -> None:
        nonlocal best, kept
        error = (
            forecasts()[begin - 1 : end - HORIZON] - truth[begin - 1 : end - HORIZON]
        )
        if (loss := float((error**2).mean())) < best:
            best, kept = loss, model.state_dict()

    def forecasts() -> Array:
        changes: Array = model(x)[0][:, 0]
        return changes + x[:, 0]

    rnnext.train(
        model,
        lambda: [stronger_and_weaker(scaled[:begin], rng)],
        lambda y, targets: rnnext.mse_loss(y, targets, mask=learn),
        rnnext.Adam(0.01),
        epochs=300,
        clip=1.0,
        on_epoch=after_epoch,
    )
    model.load_state_dict(kept)
    return forecasts()


def run(options: common.Options) -> common.Result:
    """Train, compare, draw."""
    own = options.data is not None
    series = read(options.data) if options.data else sunspots()
    if own:
        begin, end = (round(part * len(series)) for part in PARTS)
    else:
        begin, end = 1921 - 1700, 1956 - 1700
    scale = series[:begin].std() + 1e-9
    scaled = (series / scale).astype(np.float32)
    members = [
        scale * network(scaled, begin, end, 5 * options.seed + member)
        for member in range(2 if options.quick else 5)
    ]
    forecasts = {
        "rnnext": np.mean(members, axis=0),
        "autoregression": autoregression(series, end),
        "a period before": seasonal(series),
    }
    truth = futures(series)
    tested = slice(end - 1, len(truth))

    def rmse(forecast: Array) -> Array:
        squared = (forecast[: len(truth)] - truth)[tested] ** 2
        error: Array = np.sqrt(squared.mean(axis=0))
        return error

    errors = {name: rmse(forecast) for name, forecast in forecasts.items()}
    alone = [rmse(member).mean() for member in members]

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
