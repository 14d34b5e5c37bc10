"""Generated data: small videos of a shape that moves, rendered by the code below.

A square, a disc or a cross of random size moves over a noisy 16 x 16 picture, out at
one edge and in at the other: left, right, up, down, or round clockwise or
anticlockwise. No picture by itself, and no mean of pictures, tells left from right: the
order does. Every picture is pooled to 8 x 8 numbers, an LSTM reads the 16 of them, and
the last step gives the activity. The baseline is a linear model of the mean and the
deviation over time.

    python examples/video_activity.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import common
import numpy as np

import rnnext

ACTIVITIES = ("left", "right", "up", "down", "clockwise", "anticlockwise")
SIZE, FRAMES, POOLED = 16, 16, 8
NOISE = 0.35  # standard deviation; the shape is 1, the ground 0


def shape(kind: int, radius: float) -> common.Array:
    """(SIZE, SIZE), in the middle."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    square = np.maximum(abs(x), abs(y)) <= radius
    cross = square & (np.minimum(abs(x), abs(y)) <= radius / 2.5)
    disc = np.hypot(x, y) <= radius
    return np.array((square, disc, cross)[kind], np.float32)


def path(activity: str, rng: np.random.Generator) -> common.Array:
    """Where the middle is at every frame, (FRAMES, 2), rows and columns."""
    t = np.arange(FRAMES)
    start = rng.uniform(0, SIZE, 2)
    if activity.endswith("clockwise"):
        sign = 1 if activity == "clockwise" else -1
        angle = rng.uniform(0, 2 * np.pi) + sign * rng.uniform(0.4, 0.8) * t
        radius = rng.uniform(2.5, 4.5)
        return np.stack([np.sin(angle), np.cos(angle)], axis=1) * radius + start
    speed = rng.uniform(0.7, 1.6)
    ways = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
    drift = rng.uniform(-0.15, 0.15, 2)
    return start + t[:, None] * (speed * np.array(ways[activity]) + drift)


def video(activity: str, rng: np.random.Generator) -> common.Array:
    """(FRAMES, SIZE, SIZE)."""
    thing = shape(int(rng.integers(3)), rng.uniform(1.5, 3.5))
    places = np.round(path(activity, rng)).astype(int)
    frames = np.stack([np.roll(thing, tuple(p), (0, 1)) for p in places])
    frames += NOISE * rng.standard_normal(frames.shape).astype(np.float32)
    return frames


def pooled(frames: common.Array) -> common.Array:
    """(FRAMES, POOLED * POOLED): means of neighbouring pixels."""
    grain = frames.shape[1] // POOLED
    blocks = frames.reshape(len(frames), POOLED, grain, POOLED, grain)
    means: common.Array = blocks.mean(axis=(2, 4))
    return means.reshape(len(frames), -1)


def read_videos(folder: Path) -> tuple[list[common.Array], list[str]]:
    """Files ACTIVITY_anything.npy of frames (T, height, width), 8 pixels or more."""
    if not folder.is_dir():
        raise common.DataError(f"{folder}: expected a folder of .npy files")
    videos, labels = [], []
    for file in sorted(folder.glob("*.npy")):
        try:
            frames = np.load(file, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise common.DataError(f"{file}: {error}") from None
        if frames.ndim != 3 or not len(frames) or min(frames.shape[1:]) < POOLED:
            raise common.DataError(
                f"{file}: expected frames (T, height, width) of {POOLED} pixels or "
                f"more, got {frames.shape}"
            )
        if frames.dtype.kind not in "buif" or not np.isfinite(frames).all():
            raise common.DataError(f"{file}: expected numbers, finite and not complex")
        height, width = (n // POOLED * POOLED for n in frames.shape[1:])
        side = min(height, width)
        videos.append(pooled(frames[:, :side, :side].astype(np.float32)))
        labels.append(file.stem.split("_")[0])
    if len(set(labels)) < 2 or len(videos) < 8:
        raise common.DataError(
            f"{folder}: expected at least 8 files NAME_anything.npy of two activities, "
            f"got {len(videos)} of {sorted(set(labels))}"
        )
    return videos, labels


def moments(videos: list[common.Array]) -> common.Array:
    """What is left without the order: mean and deviation of every pixel."""
    return np.array([np.append(v.mean(axis=0), v.std(axis=0)) for v in videos])


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    if options.data:
        videos, names = read_videos(options.data)
    else:
        count = 900 if options.quick else 4000
        names = [ACTIVITIES[i % len(ACTIVITIES)] for i in range(count)]
        videos = [pooled(video(name, rng)) for name in names]
    classes = sorted(set(names))
    labels = np.array([classes.index(name) for name in names])
    known, unseen = common.split(len(videos), rng)
    model = rnnext.Sequential(
        {
            "rnn": rnnext.LSTM(POOLED**2, 64, forget_bias=1.0, rng=options.seed),
            "last": rnnext.Pool("last"),
            "head": rnnext.Linear(64, len(classes), rng=options.seed + 1),
        }
    )
    size, epochs = 32, 12 if options.quick else 25
    steps = epochs * -(-len(known) // size)
    history = rnnext.train(
        model,
        common.shuffled_batches([videos[i] for i in known], labels[known], size, rng),
        rnnext.softmax_cross_entropy,
        rnnext.Adam(rnnext.schedules.cosine_decay(0.01, steps)),
        epochs=epochs,
        clip=1.0,
    )
    found = common.classify(model, [videos[i] for i in unseen])
    accuracy = float((found == labels[unseen]).mean())

    features = moments(videos)
    linear = common.logistic_regression(features[known], labels[known], len(classes))
    baseline = float((linear(features[unseen]) == labels[unseen]).mean())

    figure, (left, right) = common.axes(2)
    if options.data:
        left.plot(history.loss, color="#0072b2")
        left.set(xlabel="step", ylabel="loss")
    else:
        strip = video("clockwise", np.random.default_rng(options.seed))[:9:4]
        left.imshow(np.concatenate(strip, axis=1), cmap="gray")
        left.set(title="clockwise: pictures 0, 4, 8", xticks=[], yticks=[])
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (labels[unseen], found), 1)
    right.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), vmin=0)
    right.set(xlabel="found", ylabel="activity", xticks=range(len(classes)))
    right.set_yticks(range(len(classes)), classes)
    common.save(figure, options, "video_activity")
    return common.Result(
        "accuracy on videos not seen", accuracy, "mean and deviation", baseline,
        margin=0.3,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(
        common.command(
            run, __doc__, data="a folder of ACTIVITY_name.npy, frames (T, h, w)"
        )
    )
