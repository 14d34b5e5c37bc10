"""Generated data: dates in words of four languages, made by the grammar written below.

An encoder reads a date, as "the third of may nineteen eighty-seven" or "3. Mai 1987",
character by character; its final state is all that a decoder gets, which writes
"1987-05-03". The loss reaches the encoder through that state: the decoder's backward
gives the gradient of its initial state, and the encoder's takes it as that of its final
one. Look at `Translator.gradients`: it is the whole of encoder-decoder training.

In training the decoder is told the right character before each ("teacher forcing"); in
use it reads its own, step by step, from a stream. The baseline lets the ten training
sentences that share most character triples vote on year, month and day. No date of the
test is one of the training.

    python examples/machine_translation.py
"""

from __future__ import annotations

import calendar
import sys
from collections import Counter
from pathlib import Path

import common
import numpy as np

import rnnext

FIGURES = "0123456789-"
START = len(FIGURES)  # what the decoder reads first
LENGTH = len("1987-05-03")
VOTERS = 10  # of the baseline
MONTHS = {
    "en": "January February March April May June July August September October "
    "November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November "
    "Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre "
    "décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre "
    "noviembre diciembre",
}
ORDINALS = """
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
""".split()  # noqa: SIM905
UNITS = "one two three four five six seven eight nine".split()  # noqa: SIM905
TEENS = """
ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
""".split()  # noqa: SIM905
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905


# ---------------------------------------------------------------- the grammar


def number(n: int) -> str:
    """10 to 99 in English words."""
    if n < 20:
        return TEENS[n - 10]
    ten = TENS[n // 10 - 2]
    return f"{ten}-{UNITS[n % 10 - 1]}" if n % 10 else ten


def ordinal(n: int) -> str:
    """1 to 31 in English words."""
    if n <= 20:
        return ORDINALS[n - 1]
    if n == 30:
        return "thirtieth"
    return f"{'twenty' if n < 30 else 'thirty'}-{ORDINALS[n % 10 - 1]}"


def sentence(date: tuple[int, int, int], ways: int, rng: np.random.Generator) -> str:
    """One of the first `ways` of six to write a date: year, month, day."""
    year, month, day = date
    names = {language: words.split()[month - 1] for language, words in MONTHS.items()}
    end = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day // 10 != 1 else 0, "th")
    words = f"{number(year // 100)} {number(year % 100)}"
    written = (
        f"{names['en']} {day}{end}, {year}",
        f"{day} {names['en']} {year}",
        f"the {ordinal(day)} of {names['en']} {words}",
        f"{day}. {names['de']} {year}",
        f"le {day} {names['fr']} {year}",
        f"{day} de {names['es']} de {year}",
    )
    return written[rng.integers(ways)].lower()


def pairs(
    count: int, first: int, ways: int, rng: np.random.Generator
) -> list[tuple[str, str]]:
    """Sentences of different dates, `first` to 1999, with what they mean."""
    years, months = range(first, 2000), range(1, 13)
    dates = [
        (year, month, day)
        for year in years
        for month in months
        for day in range(1, calendar.monthrange(year, month)[1] + 1)
    ]
    chosen = rng.permutation(len(dates))[:count]
    return [
        (sentence(dates[i], ways, rng), "{:04}-{:02}-{:02}".format(*dates[i]))
        for i in chosen
    ]


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Lines of a sentence, a tab, and YYYY-MM-DD."""
    found = []
    for n, line in common.read_lines(path):
        words, _, date = line.partition("\t")
        date = date.strip()
        if not words.strip() or len(date) != LENGTH or set(date) - set(FIGURES):
            raise common.DataError(
                f"{path}, line {n}: expected a sentence, a tab and YYYY-MM-DD"
            )
        found.append((words.lower(), date))
    if len(found) < 20:
        raise common.DataError(f"{path}: expected at least 20 lines, got {len(found)}")
    return found


# ---------------------------------------------------------------- the model


class Translator:
    """Two recurrent layers, the final state of one being the first of the other."""

    def __init__(self, characters: str, hidden_size: int, seed: int) -> None:
        self.ids = {c: i for i, c in enumerate(characters, 1)}  # 0: one not seen
        size = len(characters) + 1
        self.encoder = rnnext.GRU(size, hidden_size, rng=seed)
        self.decoder = rnnext.GRU(START + 1, hidden_size, rng=seed + 1)
        self.head = rnnext.Linear(hidden_size, len(FIGURES), rng=seed + 2)
        self.parts: dict[str, rnnext.GRU | rnnext.Linear] = {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "head": self.head,
        }
        # h' = (1 - z) n + z h: update gates that begin near one keep what was read.
        # Without it the day, which stands far from its place, is learnt last or never.
        for layer in (self.encoder, self.decoder):
            with layer.writable() as p:
                p["bias_ih_l0"][hidden_size : 2 * hidden_size] += 2

    def read(self, sentences: list[str]) -> tuple[common.Array, common.Array]:
        """Characters as ids, (T, N), and the lengths."""
        ids = [np.array([self.ids.get(c, 0) for c in s]) for s in sentences]
        return common.padded(ids)

    def gradients(
        self, sentences: list[str], dates: common.Array
    ) -> tuple[float, dict[str, dict[str, common.Array]]]:
        """Loss and gradients, by part. dates: (10, N), places in FIGURES."""
        x, lengths = self.read(sentences)
        _, h, read = self.encoder.forward(x, lengths=lengths)
        start = np.full((1, dates.shape[1]), START)
        y, _, written = self.decoder.forward(np.concatenate([start, dates[:-1]]), h)
        logits, scored = self.head.forward(y)
        loss, dlogits = rnnext.softmax_cross_entropy(logits, dates)

        d_head = self.head.backward(scored, dlogits)
        d_decoder = self.decoder.backward(written, d_head.x)
        # The only way back to the encoder: its final state began the decoder.
        d_encoder = self.encoder.backward(read, dstate=d_decoder.state, need_x=False)
        return loss, {
            "encoder": d_encoder.parameters,
            "decoder": d_decoder.parameters,
            "head": d_head.parameters,
        }

    def translate(self, sentences: list[str]) -> list[str]:
        """Greedily: every figure is the likeliest after those before."""
        x, lengths = self.read(sentences)
        _, h = self.encoder(x, lengths=lengths)
        stream = self.decoder.stream(len(sentences), h)
        ids, written = np.full(len(sentences), START), []
        for _ in range(LENGTH):
            ids = self.head(stream.step(ids)).argmax(axis=1)
            written.append(ids)
        return ["".join(FIGURES[i] for i in date) for date in np.array(written).T]


def train(
    model: Translator,
    data: list[tuple[str, str]],
    steps: int,
    size: int,
    rng: np.random.Generator,
) -> list[float]:
    """The loss of every step."""
    rate = rnnext.schedules.cosine_decay(0.01, steps)
    optimizers = {name: rnnext.Adam(rate) for name in model.parts}
    losses = []
    for _ in range(steps):
        batch = [data[i] for i in rng.integers(len(data), size=size)]
        dates = np.array([[FIGURES.index(c) for c in date] for _, date in batch]).T
        loss, gradients = model.gradients([words for words, _ in batch], dates)
        losses.append(loss)
        for name, part in model.parts.items():
            rnnext.clip_grad_norm(gradients[name], 1.0)
            optimizers[name].step(part, gradients[name])
    return losses


def triples(words: str) -> set[str]:
    """Three characters in a row; the ends count as blanks."""
    words = f" {words} "
    return {words[i : i + 3] for i in range(len(words) - 2)}


def nearest(known: list[tuple[str, str]], sentences: list[str]) -> list[str]:
    """Year, month and day by vote of the training sentences that share most triples."""
    columns = sorted(set().union(*(triples(words) for words, _ in known)))
    place = {triple: i for i, triple in enumerate(columns)}

    def table(lines: list[str]) -> common.Array:
        rows = np.zeros((len(lines), len(columns)), np.float32)
        for row, words in zip(rows, lines, strict=True):
            row[[place[t] for t in triples(words) if t in place]] = 1
        return rows

    shared = table(sentences) @ table([words for words, _ in known]).T
    found = []
    for order in np.argsort(-shared, axis=1, kind="stable")[:, :VOTERS]:
        parts = zip(*(known[i][1].split("-") for i in order), strict=True)
        found.append("-".join(Counter(part).most_common(1)[0][0] for part in parts))
    return found


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    if options.data:
        data = read_pairs(options.data)
        data = [data[i] for i in rng.permutation(len(data))]
        held_out = max(len(data) // 5, 1)
    else:
        sizes = (2500, 1980, 2) if options.quick else (12_000, 1910, 6)
        data = pairs(*sizes, rng)
        held_out = 200 if options.quick else 500
    known, unseen = data[held_out:], data[:held_out]
    characters = "".join(sorted({c for words, _ in known for c in words}))
    model = Translator(characters, 96 if options.quick else 128, options.seed)
    losses = train(model, known, *((800, 32) if options.quick else (1500, 64)), rng)

    sentences, dates = zip(*unseen, strict=True)
    found = model.translate(list(sentences))
    for words, date in list(zip(sentences, found, strict=True))[:4]:
        print(f"  {words} -> {date}")
    figure, (ax,) = common.axes()
    means = np.convolve(losses, np.ones(20) / 20, "valid")
    ax.plot(np.arange(20, len(losses) + 1), means, color="#0072b2")
    ax.set(xlabel="step", ylabel="loss, nats a figure", yscale="log")
    common.save(figure, options, "machine_translation")

    right = np.mean([a == b for a, b in zip(found, dates, strict=True)])
    copied = nearest(known, list(sentences))
    baseline = np.mean([a == b for a, b in zip(copied, dates, strict=True)])
    return common.Result(
        "dates that are right in every figure",
        float(right),
        "nearest sentences",
        float(baseline),
        margin=0.2,
    )


if __name__ == "__main__":
    sys.exit(
        common.command(run, __doc__, data="text, a sentence, a tab and a date a line")
    )
