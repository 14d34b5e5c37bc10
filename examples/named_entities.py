"""Generated data: sentences of the grammar below, whose names are made of syllables.

Every word of a sentence gets a tag: part of a person's, a place's or a firm's name, or
none. Two thirds of the names of the held-out sentences appear in no training sentence,
and persons, places and firms draw from the same syllables: only the words around tell
which it is, and in two of the sentences not even they.
So words are read in both directions, by a bidirectional GRU; a word that is rare in
training is read as its shape (capital, figures). The baseline is the usual first one, a
dictionary of the names of the training set. The measure is F1 of whole names.

    python examples/named_entities.py
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import common
import numpy as np

import rnnext

SYLLABLES = """
ka lo mi ra ten vor sel du bri han os tal ne gar fi lund wes po
""".split()  # noqa: SIM905
TEMPLATES = """
{PER} flew to {LOC} on Monday .
{PER} of {ORG} said that profits rose by {N} per cent .
Shares of {ORG} fell after {PER} resigned .
The mayor of {LOC} , {PER} , opened the bridge .
{ORG} will build a plant in {LOC} next year .
In {LOC} the rain stopped for {N} days .
{PER} and {PER} met in {LOC} .
Last week {PER} joined {ORG} as its chief .
The river near {LOC} is {N} miles long .
{ORG} , based in {LOC} , hired {N} people .
She told {PER} that {ORG} had moved to {LOC} .
According to {ORG} , {PER} is not available .
The train from {LOC} to {LOC} was late .
{PER} , who lives in {LOC} , wrote a book .
A court in {LOC} fined {ORG} {N} million .
Nobody at {ORG} had heard of {PER} .
The old town of {LOC} was quiet on Monday .
Nobody had heard of {ANY} .
{ANY} was in the news again .
It was {PER} who bought the house .
"""
KINDS = ("PER", "LOC", "ORG")
TAGS = ("O", *(f"{part}-{kind}" for kind in KINDS for part in "BI"))

Sentence = list[tuple[str, str]]  # words with their tags


def name(rng: np.random.Generator, words: int) -> list[str]:
    """Capitalised words of two or three syllables."""
    return [
        "".join(rng.choice(SYLLABLES, rng.integers(2, 4))).capitalize()
        for _ in range(words)
    ]


def sentence(rng: np.random.Generator, names: dict[str, list[list[str]]]) -> Sentence:
    """One template, filled."""
    lines = TEMPLATES.strip().splitlines()
    words: Sentence = []
    for word in lines[rng.integers(len(lines))].split():
        kind = word.strip("{}")
        if kind == "ANY":
            kind = str(rng.choice(KINDS))
        if kind == "N":
            words.append((str(rng.integers(2, 90)), "O"))
        elif kind in KINDS:
            first, *rest = names[kind][rng.integers(len(names[kind]))]
            words.append((first, f"B-{kind}"))
            words += [(more, f"I-{kind}") for more in rest]
        else:
            words.append((word, "O"))
    return words


def sentences(
    count: int, rng: np.random.Generator
) -> tuple[list[Sentence], list[Sentence]]:
    """For training, and held out: with two thirds of names of their own."""

    def names(many: int) -> dict[str, list[list[str]]]:
        return {
            k: [name(rng, int(rng.integers(1, 3))) for _ in range(many)] for k in KINDS
        }

    known, new = names(150), names(100)
    seen = {word for kind in KINDS for n in known[kind] for word in n}
    mixed = {
        kind: [n for n in new[kind] if not seen & set(n)] + known[kind][:50]
        for kind in KINDS
    }
    return (
        [sentence(rng, known) for _ in range(count)],
        [sentence(rng, mixed) for _ in range(count // 4)],
    )


def read_sentences(path: Path) -> list[Sentence]:
    """Lines of a word and its tag (O, B-PER, I-PER ...), blank between sentences."""
    found: list[Sentence] = []
    last = -1
    for n, line in common.read_lines(path):
        if n > last + 1:  # lines that are empty are not in the list
            found.append([])
        last = n
        parts = line.split()
        if len(parts) != 2 or parts[1] not in TAGS:
            raise common.DataError(
                f"{path}, line {n}: expected a word and one of {', '.join(TAGS)}"
            )
        found[-1].append((parts[0], parts[1]))
    if len(found) < 8:
        raise common.DataError(
            f"{path}: expected 8 sentences or more, got {len(found)}"
        )
    return found


def shape(word: str) -> str:
    """What is seen of a word that is not known."""
    if word[0].isdigit():
        return "<figures>"
    return "<Capital>" if word[0].isupper() else "<small>"


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """Names in a sentence: first word, word after the last, kind."""
    found: set[tuple[int, int, str]] = set()
    start = None
    for i, tag in enumerate([*tags, "O"]):
        if start is not None and not tag.startswith("I-"):
            found.add((start, i, tags[start][2:]))
            start = None
        if tag.startswith("B-"):
            start = i
    return found


def f1(right: list[list[str]], found: list[list[str]]) -> float:
    """Of whole names: limits and kind."""
    hits = total = 0
    for a, b in zip(right, found, strict=True):
        hits += len(spans(a) & spans(b))
        total += len(spans(a)) + len(spans(b))
    return 2 * hits / max(total, 1)


def look_up(known: list[Sentence], unseen: list[Sentence]) -> list[list[str]]:
    """Every word gets the tag that it had most often."""
    counts: dict[str, Counter[str]] = {}
    for s in known:
        for word, tag in s:
            counts.setdefault(word, Counter())[tag] += 1
    best = {word: c.most_common(1)[0][0] for word, c in counts.items()}
    return [[best.get(word, "O") for word, _ in s] for s in unseen]


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    if options.data:
        data = read_sentences(options.data)
        first, second = common.split(len(data), rng)
        known, unseen = [data[i] for i in first], [data[i] for i in second]
    else:
        known, unseen = sentences(800 if options.quick else 4000, rng)
    counts = Counter(word for s in known for word, _ in s)
    # A name is rare beside the words of the grammar, and is then read as its shape.
    common_words = sorted(w for w, n in counts.items() if n >= len(known) / 50)
    ids = {
        w: i for i, w in enumerate(["<figures>", "<Capital>", "<small>", *common_words])
    }

    def read(s: Sentence) -> common.Array:
        return np.array([ids[w] if w in ids else ids[shape(w)] for w, _ in s])

    model = rnnext.Sequential(
        {
            "words": rnnext.Embedding(len(ids), 24, rng=options.seed),
            "rnn": rnnext.GRU(24, 32, bidirectional=True, rng=options.seed + 1),
            "head": rnnext.Linear(64, len(TAGS), rng=options.seed + 2),
        }
    )

    def epoch() -> Iterator[tuple[common.Array, common.Array, common.Array]]:
        order = rng.permutation(len(known))
        for chosen in np.split(order, range(32, len(order), 32)):
            x, lengths = common.padded([read(known[i]) for i in chosen])
            tags, _ = common.padded(
                [np.array([TAGS.index(tag) for _, tag in known[i]]) for i in chosen]
            )
            yield x, tags, lengths

    history = rnnext.train(
        model,
        epoch,
        rnnext.softmax_cross_entropy,  # masked by the lengths
        rnnext.Adam(0.005),
        epochs=6 if options.quick else 8,
        clip=1.0,
    )
    x, lengths = common.padded([read(s) for s in unseen])
    logits, _ = model(x, lengths=lengths)
    found = [
        [TAGS[i] for i in logits[:length, n].argmax(axis=1)]
        for n, length in enumerate(lengths)
    ]
    right = [[tag for _, tag in s] for s in unseen]
    figure, (left, bars) = common.axes(2)
    left.plot(history.loss, color="#0072b2")
    left.set(xlabel="step", ylabel="loss, nats a word", yscale="log")
    for i, kind in enumerate(KINDS):
        own = [[t if t[2:] == kind else "O" for t in tags] for tags in right]
        theirs = [[t if t[2:] == kind else "O" for t in tags] for tags in found]
        bars.bar(i, f1(own, theirs), color="#0072b2")
    bars.set(ylabel="F1 of whole names", ylim=(0, 1))
    bars.set_xticks(range(len(KINDS)), ["person", "place", "firm"])
    common.save(figure, options, "named_entities")
    return common.Result(
        "F1 of whole names", f1(right, found), "dictionary",
        f1(right, look_up(known, unseen)), margin=0.3,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(
        common.command(
            run,
            __doc__,
            data="text, a word and its tag a line, blank between sentences",
        )
    )
