"""Generated data: a stream of band energies with keywords, made by the code below.

A microphone gives the energies of ten frequency bands a hundred times a second. The
keyword is a sound whose pitch rises over 15 steps; sounds that fall, or hold one pitch,
are just as loud and must not count. A GRU is trained on recordings, and then fed one
step at a time, as in a device: every step is timed, and the outputs are compared, bit
by bit, with those of the same layer over the whole recording. The baseline fires where
the energy of the last 150 ms exceeds the best threshold. The measure: F1 of keywords,
found at most 70 ms before they end and 100 ms after; delays and false alarms are
printed, too.

    python examples/streaming.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import common
import numpy as np

import rnnext

BANDS, RATE, LONG = 10, 100, 15  # bands, steps a second, steps of a sound
LATE = 10  # steps after its end within which a keyword has to be found


def recording(steps: int, rng: np.random.Generator) -> tuple[common.Array, list[int]]:
    """Energies (T, BANDS), and where keywords end."""
    x = np.abs(0.3 * rng.standard_normal((steps, BANDS)))
    ends, t = [], int(rng.integers(10, 40))
    while t + LONG + LATE < steps:
        kind = rng.choice(["rise", "fall", "hold"])
        low, high = rng.uniform(0, 3), rng.uniform(6, BANDS - 1)
        pitch = {
            "rise": np.linspace(low, high, LONG),
            "fall": np.linspace(high, low, LONG),
            "hold": np.full(LONG, rng.uniform(0, BANDS - 1)),
        }[str(kind)]
        strength = rng.uniform(0.8, 1.6)
        distance = np.arange(BANDS) - pitch[:, None]
        x[t : t + LONG] += strength * np.exp(-0.5 * (distance / 0.8) ** 2)
        if kind == "rise":
            ends.append(t + LONG - 1)
        t += LONG + int(rng.integers(15, 60))
    return x.astype(np.float32), ends


def read_recording(path: Path) -> tuple[common.Array, list[int]]:
    """CSV: energies of a step, and 1 in the last column where a keyword ends."""
    rows = []
    for n, line in common.read_lines(path):
        try:
            rows.append([float(value) for value in line.split(",")])
        except ValueError:
            raise common.DataError(f"{path}, line {n}: expected numbers") from None
        if not np.isfinite(rows[-1]).all():
            raise common.DataError(f"{path}, line {n}: expected finite numbers")
        if len(rows[-1]) != len(rows[0]) or len(rows[0]) < 2:
            columns = len(rows[0])
            raise common.DataError(
                f"{path}, line {n}: expected energies and a flag, {columns} columns"
            )
    table = np.array(rows, np.float32)
    ends = np.flatnonzero(table[:, -1]).tolist()
    if len(table) < 200 or len(ends) < 4:
        raise common.DataError(
            f"{path}: expected 200 steps and 4 keywords or more, got {len(table)} and "
            f"{len(ends)}"
        )
    return table[:, :-1], ends


def targets(steps: int, ends: list[int]) -> common.Array:
    """1 at the end of a keyword and for a few steps after."""
    found = np.zeros(steps, int)
    for end in ends:
        found[end : end + LATE // 2] = 1
    return found


def firings(score: common.Array, threshold: float) -> list[int]:
    """Where a score comes to exceed the threshold."""
    above = score > threshold
    return np.flatnonzero(above & ~np.append(False, above[:-1])).tolist()


def delays(fired: list[int], ends: list[int]) -> list[int]:
    """Steps from the end of every keyword that is found to the first firing for it."""
    found, due = [], 0
    for t in fired:
        while due < len(ends) and ends[due] + LATE < t:
            due += 1
        if due < len(ends) and ends[due] - LONG // 2 <= t:
            found.append(t - ends[due])
            due += 1
    return found


def loudness(x: common.Array) -> common.Array:
    """Energy over the last steps, as many as a sound has."""
    energy: common.Array = np.convolve(x.sum(axis=1), np.ones(LONG) / LONG)[: len(x)]
    return energy


def f1(fired: list[int], ends: list[int]) -> float:
    """Of keywords; another firing for the same one is a false alarm."""
    return 2 * len(delays(fired, ends)) / max(len(fired) + len(ends), 1)


def tell(name: str, fired: list[int], ends: list[int], steps: int) -> None:
    """Print what a person would notice of a detector."""
    found = delays(fired, ends)
    late = f"{1000 * np.median(found) / RATE:+.0f} ms" if found else "never"
    alarms = (len(fired) - len(found)) * 60 * RATE / steps
    print(
        f"  {name}: {len(found)} of {len(ends)} keywords, {late} after their end in "
        f"the median, {alarms:.1f} false alarms a minute"
    )


def best_threshold(score: common.Array, ends: list[int]) -> float:
    """Of a score on the training recording."""
    tried = np.quantile(score, np.linspace(0.5, 0.999, 60))
    return float(max(tried, key=lambda threshold: f1(firings(score, threshold), ends)))


def listen(
    model: rnnext.Sequential, x: common.Array
) -> tuple[common.Array, common.Array, common.Array]:
    """Step by step: probabilities, states, and seconds of every step."""
    stream = model.layers["rnn"].stream()
    head, score, states = model.layers["head"], [], []
    out = np.empty((1, model.layers["rnn"].hidden_size), np.float32)  # used again
    seconds = np.empty(len(x))
    for t in range(len(x)):
        before = time.perf_counter()
        stream.step(x[t : t + 1], out)
        logits = head(out)[0]
        seconds[t] = time.perf_counter() - before
        states.append(out[0].copy())
        score.append(1 / (1 + np.exp(logits[0] - logits[1])))
    return np.array(score), np.array(states), seconds


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    if options.data:
        x, ends = read_recording(options.data)
        cut = ends[len(ends) * 3 // 4 - 1] + LATE + 1
        known, known_ends = x[:cut], [e for e in ends if e < cut]
        unseen, unseen_ends = x[cut:], [e - cut for e in ends if e >= cut]
    else:
        minutes = (3, 1) if options.quick else (15, 5)
        known, known_ends = recording(minutes[0] * 60 * RATE, rng)
        unseen, unseen_ends = recording(minutes[1] * 60 * RATE, rng)
    model = rnnext.Sequential(
        {
            "rnn": rnnext.GRU(known.shape[1], 32, rng=options.seed),
            "head": rnnext.Linear(32, 2, rng=options.seed + 1),
        }
    )
    # Side by side: streams of equal length, the states carried from piece to piece.
    side = 16 if len(known) >= 3200 else 1
    steps = len(known) // side
    streams = known[: steps * side].reshape(side, steps, -1).swapaxes(0, 1).copy()
    marks = targets(len(known), known_ends)[: steps * side].reshape(side, steps).T
    pieces = list(rnnext.truncated_bptt(streams, np.ascontiguousarray(marks), 50))
    rnnext.train(
        model,
        pieces,
        rnnext.softmax_cross_entropy,
        rnnext.Adam(0.01),
        epochs=20 if options.quick else 15,
        clip=1.0,
        carry_state=True,
    )
    threshold = best_threshold(listen(model, known)[0], known_ends)
    score, states, seconds = listen(model, unseen)
    whole, _ = model.layers["rnn"](unseen[:, None])
    if not np.array_equal(states, whole[:, 0]):
        raise AssertionError("a stream differs from the whole: please report it")
    print(f"  {len(unseen):,} steps one by one: the bits of the whole recording")
    micro = np.sort(seconds) * 1e6
    marks_us = {p: float(np.quantile(micro, p / 100)) for p in (50, 99, 99.9)}
    shares = [f"{p:g} %: {value:.1f}" for p, value in marks_us.items()]
    print(f"  a step, µs: {', '.join(shares)}")

    level = best_threshold(loudness(known), known_ends)
    fired = firings(score, threshold)
    loud = firings(loudness(unseen), level)
    tell("rnnext", fired, unseen_ends, len(unseen))
    tell("energy threshold", loud, unseen_ends, len(unseen))
    figure, (left, right) = common.axes(2)
    shown = slice(0, 15 * RATE)
    left.plot(np.arange(len(unseen))[shown] / RATE, score[shown], color="#0072b2")
    for end in unseen_ends:
        if end < shown.stop:
            left.axvline(end / RATE, color="#d55e00", linestyle="--", linewidth=1)
    left.set(xlabel="seconds", ylabel="keyword?", title="dashed: a keyword ends")
    right.hist(micro, bins=np.geomspace(micro[0], micro[-1], 50), color="#0072b2")
    for value, label, style in zip(
        marks_us.values(), shares, ("-", "--", ":"), strict=True
    ):
        right.axvline(value, color="#d55e00", linestyle=style, label=label)
    right.set(xlabel="µs a step", ylabel="steps", xscale="log", yscale="log")
    right.legend(title="of the steps")
    common.save(figure, options, "streaming")
    return common.Result(
        "F1 of keywords found in time", f1(fired, unseen_ends),
        "energy threshold", f1(loud, unseen_ends), margin=0.25,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(common.command(run, __doc__, data="CSV, band energies and a flag a line"))
