"""Sentiment of reviews. The data is generated: a grammar that negates.

A review has one to three clauses such as "the soup was hardly a delight". A clause
speaks well or ill of something by a word of praise or of blame; in half of them a
negation turns it round ("never", "far from", "anything but", "failed to be"), the
others may have a harmless adverb in that place ("really", "quite"). A clause may begin
with what was thought before ("friends had called it awful , but ..."), which does not
count. The label is what most clauses say; if as many say the other, what the last says.
So the ground truth is known for every review, and no count of words can find it: "good"
is said in bad reviews as often as in good ones.

The model: word vectors (`Embedding`) into a GRU in both directions, the mean of its
outputs into a linear layer. Words that came in one training review only, and new ones,
are "?".

The baseline is the usual one, logistic regression on the words that occur. A second one
adds all pairs of neighbours, which catches "not good" but not "not a very good".

Look at the figure: one review, read word by word. The model's probability of a good
review turns where the negation meets its word.
"""

from __future__ import annotations

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import common
import numpy as np
from common import Array

import rnnext

THINGS = "food", "soup", "service", "waiter", "room", "view", "music", "wine", "plot"
WORDS = {
    1: ["good", "great", "lovely", "delicious", "charming", "excellent", "pleasant"],
    0: ["bad", "awful", "dreadful", "bland", "rude", "terrible", "unpleasant"],
}
NOUNS = {
    1: ["delight", "pleasure", "triumph", "treat", "joy"],
    0: ["disaster", "disappointment", "letdown", "mess", "shame"],
}
PLAIN = "was", "was really", "was quite", "was rather", "turned out to be", "seemed"
TURNED = (
    "was not",
    "was never",
    "was hardly",
    "was far from",
    "was anything but",
    "failed to be",
    "could not be called",
)
BEFORE = "i had thought it would be", "friends had called it", "i remembered it as"
MARGIN = 0.15
SHOWN = "the food was not good and the waiter was anything but rude"


def clause(says: int, rng: np.random.Generator) -> str:
    """A clause that says well (1) or ill (0) of a thing."""
    turned = rng.random() < 0.5
    said = 1 - says if turned else says
    if rng.random() < 0.3:
        predicate = "a " + str(rng.choice(NOUNS[said]))
    else:
        adverb = str(rng.choice(["", "", "very ", "particularly "]))
        predicate = adverb + str(rng.choice(WORDS[said]))
    verb = str(rng.choice(TURNED if turned else PLAIN))
    text = f"the {rng.choice(THINGS)} {verb} {predicate}"
    if rng.random() < 0.25:
        thought = rng.choice(WORDS[int(rng.integers(2))])
        text = f"{rng.choice(BEFORE)} {thought} , but {text}"
    return text


def review(rng: np.random.Generator) -> tuple[str, int]:
    """A review, and whether it is good."""
    says = rng.integers(0, 2, rng.integers(1, 4))
    text = " and ".join(clause(int(each), rng) for each in says)
    votes = 2 * int(says.sum()) - len(says)
    return text, int(votes > 0) if votes else int(says[-1])


def read(path: Path) -> tuple[list[str], Array]:
    """A person's file: lines of ``label<TAB>text``, the label 0 or 1."""
    texts, labels = [], []
    for n, line in common.read_lines(path):
        label, tab, text = line.partition("\t")
        if not tab or label.strip() not in ("0", "1") or not text.strip():
            raise common.DataError(
                f"{path}:{n}: expected 0 or 1, a tab and a text, got {line[:40]!r}"
            )
        texts.append(text.lower())
        labels.append(int(label))
    if len(labels) < 8 or len(set(labels)) < 2:
        raise common.DataError(
            f"{path}: expected 8 lines or more with both labels, got {len(labels)}"
        )
    return texts, np.array(labels)


class Vocabulary:
    """Words to ids; 0 is for those that training has seen in one review or none."""

    def __init__(self, texts: list[str]) -> None:
        counts = Counter(word for text in texts for word in set(text.split()))
        words = sorted(word for word, count in counts.items() if count > 1)
        self.ids = {word: n for n, word in enumerate(words, 1)}

    def __len__(self) -> int:
        return len(self.ids) + 1

    def __call__(self, text: str) -> Array:
        return np.array([self.ids.get(word, 0) for word in text.split()])


def with_pairs(text: str) -> str:
    """The words and the pairs of neighbours."""
    words = text.split()
    return " ".join([*words, *map("_".join, pairwise(words))])


def bag_of_words(known: list[str], labels: Array, unknown: list[str]) -> Array:
    """What logistic regression on the words of `known` makes of `unknown`."""
    vocabulary = Vocabulary(known)

    def occurs(texts: list[str]) -> Array:
        rows = np.zeros((len(texts), len(vocabulary)), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[vocabulary(text)] = 1
        return rows

    predict = common.logistic_regression(occurs(known), labels, 2)
    classes: Array = predict(occurs(unknown))
    return classes


def classifier(words: int, rng: np.random.Generator) -> rnnext.Sequential:
    """Word ids (T, N) to logits (N, 2)."""
    return rnnext.Sequential(
        {
            "embedding": rnnext.Embedding(words, 24, rng=rng),
            "dropout": rnnext.Dropout(0.1, rng=rng),
            "gru": rnnext.GRU(24, 32, bidirectional=True, rng=rng),
            "pool": rnnext.Pool("mean"),
            "head": rnnext.Linear(64, 2, rng=rng),
        }
    )


def probability_so_far(model: rnnext.Sequential, ids: Array) -> Array:
    """Of a good review, after each word."""
    first_words = [ids[: n + 1] for n in range(len(ids))]
    x, lengths = common.padded(first_words)
    logits, _ = model(x, lengths=lengths)
    probability: Array = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    return probability


def run(options: common.Options) -> common.Result:
    """Train, compare, draw."""
    rng = np.random.default_rng(options.seed)
    if options.data is None:
        pairs = [review(rng) for _ in range(4000 if options.quick else 12000)]
        texts, labels = [text for text, _ in pairs], np.array([n for _, n in pairs])
    else:
        texts, labels = read(options.data)
    train, test = common.split(len(texts), rng)
    known, unknown = ([texts[i] for i in part] for part in (train, test))

    vocabulary = Vocabulary(known)
    model = classifier(len(vocabulary), rng)
    epochs = 8 if options.quick else 12
    history = rnnext.train(
        model,
        common.shuffled_batches([*map(vocabulary, known)], labels[train], 64, rng),
        rnnext.softmax_cross_entropy,
        rnnext.Adam(rnnext.schedules.cosine_decay(0.01, epochs * -(-len(known) // 64))),
        epochs=epochs,
        clip=1.0,
        rng=rng,
    )

    def accuracy(classes: Array) -> float:
        return float((classes == labels[test]).mean())

    counted = {
        "bag of words": accuracy(bag_of_words(known, labels[train], unknown)),
        "bag of words and pairs": accuracy(
            bag_of_words(
                [*map(with_pairs, known)], labels[train], [*map(with_pairs, unknown)]
            )
        ),
    }
    best = max(counted, key=lambda name: counted[name])

    figure, (left, right) = common.axes(2)
    left.plot([epoch["loss"] for epoch in history.epochs])
    left.set(xlabel="epoch", ylabel="cross-entropy (nats)", title="Training")
    shown = SHOWN if options.data is None else min(unknown, key=len)
    words = shown.split()[:16]
    right.axhline(0.5, color="0.8")
    right.plot(probability_so_far(model, vocabulary(" ".join(words))), ".-")
    right.set_xticks(range(len(words)), words, rotation=60, ha="right", fontsize=8)
    right.set(ylabel="P(good review)", ylim=(0, 1))
    common.save(figure, options, "sentiment")
    return common.Result(
        metric=f"accuracy, {len(test)} held-out reviews",
        value=accuracy(common.classify(model, [*map(vocabulary, unknown)])),
        baseline=best,
        baseline_value=counted.pop(best),
        margin=MARGIN,
        others=counted,
    )


if __name__ == "__main__":
    data = "lines of label, tab, text; label 0 (bad) or 1 (good)"
    sys.exit(common.command(run, __doc__, data=data))
