"""Spoken words. The data is synthetic: a formant synthesiser with known speakers.

`speech_data` says ten words in the voices of many speakers, who differ in pitch, vocal
tract and tempo, with noise; so utterances are of different lengths. The words are pairs
of the same sounds in reverse, as "face" and "safe". Those who are tested are never
heard in training.

The model: a mel spectrogram (the logarithm of the energy in 24 bands that widen as the
ear's do, every 10 ms), a GRU in both directions over its frames, the mean of the
outputs over the frames that exist, a linear layer. `lengths` says which exist.

The baseline knows the same spectrogram but not the order of its frames: the mean and
standard deviation over time of each band, and logistic regression.

Look at the figure: a word is a movement, and the table at the right shows what is taken
for what. The baseline often takes "face" for "safe".
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import common
import numpy as np
from common import Array
from speech_data import RATE, WORDS, drawn_speaker, say

import rnnext

BANDS = 24
HOP, WINDOW = 0.010, 0.025  # seconds
MARGIN = 0.2


def mel_filters(rate: int, bins: int) -> Array:
    """Triangles over the bins of a spectrum, evenly spaced in mel, (bins, BANDS)."""

    def mel(hertz: Array | float) -> Array:
        return 2595 * np.log10(1 + np.asarray(hertz) / 700)

    # To 4 kHz whatever the rate, so that recordings of all rates are alike.
    edges = np.linspace(mel(100.0), mel(4000.0), BANDS + 2)
    place = mel(np.linspace(0, rate / 2, bins))[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def mel_spectrogram(sound: Array, rate: int = RATE) -> Array:
    """Log energies (T, BANDS) with the utterance's own mean and deviation taken out."""
    window, hop = int(WINDOW * rate), int(HOP * rate)
    emphasised = np.append(sound[:1], sound[1:] - 0.95 * sound[:-1])
    emphasised = np.pad(emphasised, (0, max(0, window - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, window)[::hop]
    n = 1 << (2 * window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hanning(window), n)) ** 2
    energies = np.log(power @ mel_filters(rate, power.shape[1]) + 1e-6)
    scaled = (energies - energies.mean()) / (energies.std() + 1e-6)
    features: Array = scaled.astype(np.float32)
    return features


def generated(
    speakers: int, rng: np.random.Generator
) -> tuple[list[Array], list[str], Array]:
    """Spectrograms, words and speakers: everybody says every word twice."""
    sounds, words, who = [], [], []
    for number in range(speakers):
        speaker = drawn_speaker(rng)
        for word in 2 * list(WORDS):
            sounds.append(mel_spectrogram(say(word, speaker, rng)))
            words.append(word)
            who.append(number)
    return sounds, words, np.array(who)


def read_wav(path: Path) -> tuple[Array, int]:
    """The samples of a file, from -1 to 1, and its rate."""
    try:
        with wave.open(str(path)) as file:
            shape = file.getnchannels(), file.getsampwidth()
            rate, data = file.getframerate(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise common.DataError(f"{path}: expected a WAV file: {error}") from None
    if shape != (1, 2) or rate < 8000:
        raise common.DataError(
            f"{path}: expected one channel, 16 bits, 8000 Hz or more, got {shape[0]} "
            f"channels, {8 * shape[1]} bits, {rate} Hz"
        )
    samples = np.frombuffer(data, "<i2")
    if len(samples) < WINDOW * rate:
        raise common.DataError(
            f"{path}: expected 25 ms or more, got {len(samples)} samples"
        )
    return samples.astype(np.float32) / 32768, rate


def read(folder: Path) -> tuple[list[Array], list[str], Array]:
    """A person's recordings, named ``WORD_SPEAKER_NUMBER.wav``."""
    if not folder.is_dir():
        raise common.DataError(
            f"{folder}: expected a folder of WAV files, there is none"
        )
    sounds, words, names = [], [], []
    for path in sorted(folder.glob("*.wav")):
        parts = path.stem.split("_")
        if len(parts) != 3:
            raise common.DataError(
                f"{path}: expected a name as WORD_SPEAKER_NUMBER.wav, got {path.name}"
            )
        sounds.append(mel_spectrogram(*read_wav(path)))
        words.append(parts[0])
        names.append(parts[1])
    if len(set(words)) < 2 or len(set(names)) < 2:
        raise common.DataError(
            f"{folder}: expected two words and two speakers or more in *.wav, got "
            f"{len(set(words))} and {len(set(names))}"
        )
    return sounds, words, np.unique(names, return_inverse=True)[1]


def classifier(
    classes: int, hidden: int, rng: np.random.Generator
) -> rnnext.Sequential:
    """Spectrograms (T, N, BANDS) to logits (N, classes)."""
    return rnnext.Sequential(
        {
            "gru": rnnext.GRU(BANDS, hidden, bidirectional=True, rng=rng),
            "pool": rnnext.Pool("mean"),
            "dropout": rnnext.Dropout(0.2, rng=rng),
            "head": rnnext.Linear(2 * hidden, classes, rng=rng),
        }
    )


def orderless(sounds: list[Array]) -> Array:
    """Mean and deviation of every band over time, (N, 2 BANDS)."""
    return np.array([np.append(x.mean(axis=0), x.std(axis=0)) for x in sounds])


def run(options: common.Options) -> common.Result:
    """Train, compare, draw."""
    rng = np.random.default_rng(options.seed)
    if options.data is None:
        sounds, words, who = generated(24 if options.quick else 80, rng)
    else:
        sounds, words, who = read(options.data)
    names, labels = np.unique(words, return_inverse=True)
    _, tested = common.split(who.max() + 1, rng)
    held_out = np.isin(who, tested)
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    known, unknown = ([sounds[i] for i in part] for part in (train, test))

    model = classifier(len(names), 24 if options.quick else 48, rng)
    epochs = 25 if options.quick else 30
    steps = epochs * -(-len(train) // 32)
    rnnext.train(
        model,
        common.shuffled_batches(known, labels[train], 32, rng),
        rnnext.softmax_cross_entropy,
        rnnext.Adam(rnnext.schedules.cosine_decay(0.01, steps)),
        epochs=epochs,
        clip=1.0,
        rng=rng,
    )
    classes = common.classify(model, unknown)
    predict = common.logistic_regression(orderless(known), labels[train], len(names))

    figure, (left, right) = common.axes(2)
    shown = test[int(np.argmax(labels[test]))]
    left.imshow(sounds[shown].T, origin="lower", aspect="auto", cmap="magma")
    left.set(title=f'"{words[shown]}"', xlabel="frame of 10 ms", ylabel="mel band")
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (labels[test], classes), 1)
    right.imshow(table / np.maximum(table.sum(axis=1, keepdims=True), 1), cmap="Blues")
    right.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    right.set_yticks(range(len(names)), names, fontsize=8)
    right.set(title="Said (rows), recognised (columns)")
    common.save(figure, options, "speech")
    return common.Result(
        metric=f"accuracy, {len(test)} utterances of {len(tested)} unknown speakers",
        value=float((classes == labels[test]).mean()),
        baseline="mean spectrum",
        baseline_value=float((predict(orderless(unknown)) == labels[test]).mean()),
        margin=MARGIN,
    )


if __name__ == "__main__":
    data = "a folder of WORD_SPEAKER_NUMBER.wav, 16 bits, one channel, 8 kHz or more"
    sys.exit(common.command(run, __doc__, data=data))
