"""Melodies that go on. The data is real: tunes of the public domain, typed in by hand.

`music_data` has some 25 folk tunes and hymns, all in C major or A minor; each is used
in all twelve keys. A tune is a text of two kinds of signs in turn: a pitch, how long it
lasts, the next pitch ... and a sign for the end.

The model reads sign by sign (an LSTM on token ids) and says how probable each next sign
is. Its perplexity on tunes that it has never seen is of how many equally probable notes
a note is one, as it were: lower is better.

The baseline is a table of which pitch follows which and which length follows which,
smoothed by how frequent they are, from the same tunes in the same keys. It cannot know
the key: after a C of whatever key any other may come. The LSTM hears the key in the
first notes, and keeps it.

Look at, and listen to, the tune that it makes up: ``music.mid`` beside the figure. It
keeps to one key and its phrases are of a length, mostly.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import common
import numpy as np
from common import Array
from music_data import (
    HIGHEST,
    LONGEST,
    LOWEST,
    TUNES,
    Note,
    parse,
    transposed,
    write_midi,
)

import rnnext

EDGE, REST, PITCH = 0, 1, 2  # of a tune; the first of the pitches
LENGTH = PITCH + HIGHEST - LOWEST + 1  # of 1 eighth
SIGNS = LENGTH + LONGEST
KEYS = range(-5, 7)
MARGIN = 3.0


def encoded(notes: list[Note]) -> Array:
    """A tune as token ids: the edge, pitch and length in turn, the edge."""
    tokens = [EDGE]
    for pitch, length in notes:
        tokens.append(REST if pitch is None else PITCH + pitch - LOWEST)
        tokens.append(LENGTH + length - 1)
    return np.array([*tokens, EDGE])


def decoded(tokens: list[int]) -> list[Note]:
    """And back, without the edges."""
    return [
        Note(None if pitch == REST else pitch - PITCH + LOWEST, length - LENGTH + 1)
        for pitch, length in zip(tokens[::2], tokens[1::2], strict=True)
    ]


def read(path: Path) -> list[list[Note]]:
    """A person's file: a tune a line, as in `music_data`."""

    def tune(n: int, line: str) -> list[Note]:
        try:
            return parse(line)
        except ValueError as error:
            raise common.DataError(f"{path}:{n}: {error}") from None

    tunes = [tune(n, line) for n, line in common.read_lines(path)]
    if len(tunes) < 4:
        raise common.DataError(f"{path}: expected 4 tunes or more, got {len(tunes)}")
    return tunes


def in_all_keys(tunes: list[list[Note]]) -> list[Array]:
    """Token ids of every tune in every key."""
    return [encoded(transposed(tune, by)) for tune in tunes for by in KEYS]


class Table:
    """The baseline: which sign follows the last one of its kind."""

    def __init__(self, sequences: list[Array]) -> None:
        self.pairs = np.zeros((SIGNS, SIGNS))
        for tokens in sequences:
            before, after = self._pairs(tokens)
            np.add.at(self.pairs, (before, after), 1)
        single = self.pairs.sum(axis=0) + 0.01
        kinds = np.arange(SIGNS) >= LENGTH
        for kind in (kinds, ~kinds):
            single[kind] /= single[kind].sum()
        total = self.pairs.sum(axis=1, keepdims=True)
        self.probability = (self.pairs + 2 * single) / (total + 2)

    @staticmethod
    def _pairs(tokens: Array) -> tuple[Array, Array]:
        pitches = tokens[1::2]
        lengths = tokens[2:-1:2]
        before = np.concatenate([[EDGE], pitches[:-1], [EDGE], lengths[:-1]])
        return before, np.concatenate([pitches, lengths])

    def nats(self, tokens: Array) -> float:
        """Surprise at a tune."""
        return float(-np.log(self.probability[self._pairs(tokens)]).sum())


def batch(sequences: list[Array]) -> tuple[Array, Array, Array]:
    """What comes, and what comes next, (T, N) each, and the lengths."""
    tokens, lengths = common.padded(sequences)
    return tokens[:-1], tokens[1:], lengths - 1


def perplexity(model: rnnext.Sequential, sequences: list[Array]) -> float:
    """Of a note of these tunes."""
    x, targets, lengths = batch(sequences)
    logits, _ = model(x, lengths=lengths)
    mean, _ = rnnext.softmax_cross_entropy(logits, targets, lengths=lengths)
    return float(np.exp(mean * lengths.sum() / notes_in(sequences)))


def notes_in(sequences: list[Array]) -> int:
    """How many notes, the end of a tune counted as one."""
    return sum(len(tokens) // 2 for tokens in sequences)


def made_up(model: rnnext.Sequential, rng: np.random.Generator) -> list[Note]:
    """A new tune of 16 to 64 notes, sign by sign by a stream."""
    stream = model.stream(1)
    tokens: list[int] = []
    sign = EDGE
    while len(tokens) < 128:
        logits = stream.step(np.array([sign]))[0].astype(np.float64) / 0.8
        wrong = np.arange(SIGNS) >= LENGTH
        if len(tokens) % 2:
            wrong = ~wrong
        wrong[EDGE] |= len(tokens) < 32
        logits[wrong] = -np.inf
        p = np.exp(logits - logits.max())
        sign = int(rng.choice(SIGNS, p=p / p.sum()))
        if sign == EDGE:
            break
        tokens.append(sign)
    return decoded(tokens)


def run(options: common.Options) -> common.Result:
    """Train, compare, draw and write a tune."""
    rng = np.random.default_rng(options.seed)
    if options.data is None:
        tunes = [parse(text) for text in TUNES.values()]
    else:
        tunes = read(options.data)
    train, test = common.split(len(tunes), rng)
    known, unknown = (in_all_keys([tunes[i] for i in part]) for part in (train, test))

    hidden = 64 if options.quick else 96
    model = rnnext.Sequential(
        {
            "lstm": rnnext.LSTM(SIGNS, hidden, rng=rng),
            "dropout": rnnext.Dropout(0.3, rng=rng),
            "head": rnnext.Linear(hidden, SIGNS, rng=rng),
        }
    )

    def batches() -> Iterator[tuple[Array, Array, Array]]:
        for chosen in np.split(rng.permutation(len(known)), range(16, len(known), 16)):
            yield batch([known[i] for i in chosen])

    epochs = 25 if options.quick else 50
    steps = epochs * -(-len(known) // 16)
    course: list[float] = []
    rnnext.train(
        model,
        batches,
        rnnext.softmax_cross_entropy,
        rnnext.AdamW(rnnext.schedules.cosine_decay(0.01, steps), weight_decay=0.02),
        epochs=epochs,
        clip=1.0,
        rng=rng,
        on_epoch=lambda _: course.append(perplexity(model, unknown)),
    )
    table = Table(known)
    baseline = np.exp(sum(map(table.nats, unknown)) / notes_in(unknown))

    tune = made_up(model, np.random.default_rng(options.seed))
    path = options.out / "music.mid"
    write_midi(path, tune)
    print(f"a new tune: {path}")

    figure, (left, right) = common.axes(2)
    left.plot(range(1, epochs + 1), course, label="rnnext")
    left.axhline(baseline, color="0.6", label="table of pairs")
    left.set(xlabel="epoch", ylabel="perplexity of a note", ylim=(1, 3 * baseline))
    left.legend(frameon=False)
    begin = 0
    for pitch, length in tune:
        if pitch is not None:
            right.barh(pitch, length - 0.2, left=begin, color="C0")
        begin += length
    right.set(xlabel="eighths", ylabel="pitch (MIDI)", title="A tune of its own")
    common.save(figure, options, "music")
    return common.Result(
        metric=f"perplexity of a note, {len(test)} held-out tunes",
        value=perplexity(model, unknown),
        baseline="table of pairs",
        baseline_value=float(baseline),
        margin=MARGIN,
        lower_is_better=True,
    )


if __name__ == "__main__":
    data = "a text, one tune a line, as c:2 d e g3:4 (lengths in eighths, r is a rest)"
    sys.exit(common.command(run, __doc__, data=data))
