"""Promoters in DNA. The data is generated: motif models with a spacing that decides.

A bacterial promoter has two boxes, near TTGACA and near TATAAT, and the enzyme that
binds them wants 16 to 18 letters in between (Hawley and McClure 1983). A sequence here
is 50 to 80 letters at random with one pair of boxes somewhere, of which every letter is
the consensus with probability 0.95. It is a promoter (label 1) if the spacing is 16 to
18. Of the others (label 0) half lack one of the boxes, which a scan for motifs can see,
and half have both with a spacing of 6 to 12 or 22 to 28: only the distance tells these
from promoters.

The model reads the sequence in both directions by a GRU, three letters at a time at
every place (token ids, 64 of them); the maximum over all steps of its outputs goes
into a linear layer. What it has to learn is to recognise a box, to count, and to
recognise the other.

The baselines count words of four letters, whose order is lost, or know both motifs and
scan for their best matches, but know nothing of the spacing.

Look at the figure: the model is shown sequences with every spacing. Its probability of
a promoter is high from 16 to 18, low where it has seen others, and passes from one to
the other in between, at spacings that were never in the training data.
"""

from __future__ import annotations

import sys
from pathlib import Path

import common
import numpy as np
from common import Array

import rnnext

LETTERS = "ACGT"
BOXES = "TTGACA", "TATAAT"
CONSERVED = 0.95  # probability of the consensus at each letter of a box
RIGHT = (16, 17, 18)
WRONG = (*range(6, 13), *range(22, 29))
WORD = 3  # letters that the model sees at a time
MARGIN = 0.1


def encoded(text: str) -> Array:
    """Letters to ids."""
    return np.array([LETTERS.index(letter) for letter in text])


def drawn_box(box: str, rng: np.random.Generator) -> Array:
    """One occurrence of a motif: each letter conserved, or any at random."""
    kept = rng.random(len(box)) < (CONSERVED - 0.25) / 0.75
    return np.where(kept, encoded(box), rng.integers(0, 4, len(box)))


def sequence(
    spacing: int, rng: np.random.Generator, without: int | None = None
) -> Array:
    """Random letters with the boxes, `spacing` letters apart, but for `without`."""
    boxes = [drawn_box(box, rng) for box in BOXES]
    letters = rng.integers(0, 4, rng.integers(50, 81))
    first = rng.integers(0, len(letters) - 12 - spacing + 1)
    second = first + 6 + spacing
    for place, box in enumerate(boxes):
        if place != without:
            start = second if place else first
            letters[start : start + 6] = box
    return letters


def generated(n: int, rng: np.random.Generator) -> tuple[list[Array], Array]:
    """`n` sequences, and whether each is a promoter."""
    labels = rng.integers(0, 2, n)
    sequences = []
    for label in labels:
        lacking = not label and rng.random() < 0.5
        spacing = rng.choice(RIGHT if label or lacking else WRONG)
        without = int(rng.integers(2)) if lacking else None
        sequences.append(sequence(int(spacing), rng, without))
    return sequences, labels


def read(path: Path) -> tuple[list[Array], Array]:
    """A person's file: lines of ``label,sequence``."""
    sequences, labels = [], []
    for n, line in common.read_lines(path):
        label, comma, letters = line.strip().partition(",")
        letters = letters.strip().upper()
        if not comma or label.strip() not in ("0", "1") or not letters:
            raise common.DataError(
                f"{path}:{n}: expected 0 or 1, a comma and letters, got {line[:40]!r}"
            )
        if wrong := set(letters) - set(LETTERS):
            raise common.DataError(
                f"{path}:{n}: expected the letters {LETTERS}, got {min(wrong)!r}"
            )
        sequences.append(encoded(letters))
        labels.append(int(label))
    if len(labels) < 8 or len(set(labels)) < 2:
        raise common.DataError(
            f"{path}: expected 8 lines or more with both labels, got {len(labels)}"
        )
    return sequences, np.array(labels)


def words(letters: Array, size: int = WORD) -> Array:
    """The word of `size` letters that begins at each place, as an id."""
    letters = np.pad(letters, (0, max(0, size - len(letters))))
    windows = np.lib.stride_tricks.sliding_window_view(letters, size)
    return windows @ 4 ** np.arange(size)


def word_counts(sequences: list[Array]) -> Array:
    """How often every word of four letters occurs, (N, 256)."""
    counts = [np.bincount(words(letters, 4), minlength=256) for letters in sequences]
    return np.array(counts, np.float32)


def box_scores(sequences: list[Array]) -> Array:
    """Letters that agree with each motif at its best place, and how well both do."""
    rows = []
    for letters in sequences:
        padded = np.pad(letters, (0, max(0, 6 - len(letters))))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 6)
        best = [(windows == encoded(box)).sum(axis=1).max() for box in BOXES]
        rows.append([*best, min(best), len(letters)])
    return np.array(rows, np.float32)


def classifier(hidden: int, rng: np.random.Generator) -> rnnext.Sequential:
    """Words (T, N) to logits (N, 2)."""
    return rnnext.Sequential(
        {
            "gru": rnnext.GRU(4**WORD, hidden, bidirectional=True, rng=rng),
            "pool": rnnext.Pool("max"),
            "head": rnnext.Linear(2 * hidden, 2, rng=rng),
        }
    )


def probability_by_spacing(model: rnnext.Sequential, n: int) -> tuple[Array, Array]:
    """Spacings, and the mean probability of a promoter at each, in `n` sequences."""
    spacings, means = np.arange(6, 31), []
    for spacing in spacings.tolist():
        rng = np.random.default_rng(12345)
        x, lengths = common.padded([words(sequence(spacing, rng)) for _ in range(n)])
        logits, _ = model(x, lengths=lengths)
        means.append(float((1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))).mean()))
    return spacings, np.array(means)


def run(options: common.Options) -> common.Result:
    """Train, compare, draw."""
    rng = np.random.default_rng(options.seed)
    if options.data is None:
        sequences, labels = generated(5000 if options.quick else 12000, rng)
    else:
        sequences, labels = read(options.data)
    train, test = common.split(len(sequences), rng)
    known, unknown = ([sequences[i] for i in part] for part in (train, test))

    model = classifier(24 if options.quick else 32, rng)
    epochs = 8 if options.quick else 15
    steps = epochs * -(-len(train) // 64)
    history = rnnext.train(
        model,
        common.shuffled_batches([*map(words, known)], labels[train], 64, rng),
        rnnext.softmax_cross_entropy,
        rnnext.Adam(rnnext.schedules.cosine_decay(0.01, steps)),
        epochs=epochs,
        clip=1.0,
    )

    def accuracy(classes: Array) -> float:
        return float((classes == labels[test]).mean())

    counted = {}
    for name, features in (
        ("words of four letters", word_counts),
        ("motifs without spacing", box_scores),
    ):
        predict = common.logistic_regression(features(known), labels[train], 2)
        counted[name] = accuracy(predict(features(unknown)))
    best = max(counted, key=lambda name: counted[name])

    figure, (left, right) = common.axes(2)
    left.plot([epoch["loss"] for epoch in history.epochs])
    left.set(xlabel="epoch", ylabel="cross-entropy (nats)", title="Training")
    spacings, probability = probability_by_spacing(model, 100)
    right.axvspan(15.5, 18.5, color="C2", alpha=0.2, label="promoters")
    right.plot(spacings, probability, ".-")
    right.set(xlabel="letters between the boxes", ylabel="P(promoter)", ylim=(0, 1))
    right.legend(frameon=False)
    common.save(figure, options, "dna")
    return common.Result(
        metric=f"accuracy, {len(test)} held-out sequences",
        value=accuracy(common.classify(model, [*map(words, unknown)])),
        baseline=best,
        baseline_value=counted.pop(best),
        margin=MARGIN,
        others=counted,
    )


if __name__ == "__main__":
    sys.exit(common.command(run, __doc__, data="lines of label,sequence; label 0 or 1"))
