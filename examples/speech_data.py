"""A formant synthesiser: ten words, said by speakers of different build.

A voiced sound is a sum of the harmonics of the speaker's pitch, weighted by resonances
(formants) that glide from sound to sound; a hiss is noise in a band. The formants of
the vowels are rounded from Peterson and Barney (1952), men. The words are
five pairs of the same sounds in reverse order. What differs:

speaker      pitch 90 to 250 Hz, vocal tract (all formants times 0.88 to 1.2)
utterance    tempo 0.75 to 1.35, falling pitch, silence before and after, loudness
recording    white noise, 0 to 15 dB below the speech
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

RATE = 8000  # samples a second


class Sound(NamedTuple):
    """Formants and hiss in Hz, loudnesses, and how long in seconds."""

    formants: tuple[int, int, int]
    voice: float
    hiss: tuple[int, int]
    noise: float
    seconds: float


def _voiced(
    f1: int, f2: int, f3: int, seconds: float = 0.11, voice: float = 1
) -> Sound:
    return Sound((f1, f2, f3), voice, (0, 0), 0, seconds)


def _hiss(low: int, high: int, noise: float, seconds: float) -> Sound:
    return Sound((300, 1600, 2500), 0, (low, high), noise, seconds)


SOUNDS = {
    "i": _voiced(270, 2290, 3010),
    "I": _voiced(390, 1990, 2550),
    "e": _voiced(530, 1840, 2480),
    "a": _voiced(730, 1090, 2440),
    "o": _voiced(570, 840, 2410),
    "U": _voiced(440, 1020, 2240),
    "n": _voiced(250, 1500, 2500, 0.09, 0.4),
    "s": _hiss(3000, 4000, 0.5, 0.12),
    "f": _hiss(1500, 4000, 0.15, 0.10),
    "k": _hiss(1500, 2500, 0.6, 0.03),
    "t": _hiss(2500, 4000, 0.6, 0.03),
    ".": Sound((400, 1500, 2500), 0, (0, 0), 0, 0.05),
}
WORDS = {
    "face": "feIs",
    "safe": "seIf",
    "fine": "faIn",
    "knife": "naIf",
    "kiss": "kIs",
    "sick": "sI.k",
    "niece": "nis",
    "seen": "sin",
    "note": "noU.t",
    "tone": "toUn",
}


class Speaker(NamedTuple):
    """Who speaks: pitch in Hz, and the factor of all formants."""

    pitch: float
    tract: float


def drawn_speaker(rng: np.random.Generator) -> Speaker:
    """Anyone; high voices have short vocal tracts, mostly."""
    pitch = float(rng.uniform(90, 250))
    return Speaker(
        pitch, 0.92 + 0.0014 * (pitch - 90) + float(rng.uniform(-0.04, 0.06))
    )


def say(word: str, speaker: Speaker, rng: np.random.Generator) -> Array:
    """One utterance, float32, of 0.3 to 0.8 s."""
    sounds = [SOUNDS[name] for name in "." + WORDS[word] + "."]
    tempo = rng.uniform(0.75, 1.35)
    lengths = [
        int(RATE * sound.seconds * tempo * rng.uniform(0.85, 1.15)) for sound in sounds
    ]
    ends = np.cumsum(lengths)
    time = np.arange(ends[-1])
    # Every quantity holds in the middle half of a sound and glides to the next.
    begins = ends - lengths
    middles = np.stack(
        [begins + 0.25 * np.array(lengths), ends - 0.25 * np.array(lengths)]
    )
    knots = middles.T.ravel()

    def gliding(values: list[float]) -> Array:
        values_now: Array = np.interp(time, knots, np.repeat(values, 2))
        return values_now

    pitch = speaker.pitch * (1.1 - 0.25 * time / len(time)) * rng.uniform(0.93, 1.07)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    harmonics = np.arange(1, int(RATE / 2 / pitch.max()) + 1)[:, None]
    strength = np.zeros((len(harmonics), len(time)))
    for place, loudness in enumerate((1.0, 0.5, 0.25)):
        formant = speaker.tract * gliding([sound.formants[place] for sound in sounds])
        width = 60 + 40 * place
        strength += loudness / (1 + ((harmonics * pitch - formant) / width) ** 2)
    voice = (strength * np.sin(harmonics * phase)).sum(axis=0)
    speech = voice * gliding([sound.voice for sound in sounds])

    for sound, begin, end in zip(sounds, begins, ends, strict=True):
        if sound.noise:
            speech[begin:end] += sound.noise * _band(end - begin, sound.hiss, rng)
    loud = np.sqrt((speech**2).mean())
    noise = 10 ** (-rng.uniform(0, 15) / 20) * loud
    speech += noise * rng.standard_normal(len(speech))
    volume = rng.uniform(0.05, 0.2) / loud
    sound_wave: Array = (volume * speech).astype(np.float32)
    return sound_wave


def _band(n: int, band: tuple[int, int], rng: np.random.Generator) -> Array:
    """White noise with only the frequencies of a band left, faded in and out."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    spectrum[(hertz < band[0]) | (hertz > band[1])] = 0
    noise: Array = np.fft.irfft(spectrum, n) * np.sin(np.pi * (np.arange(n) + 0.5) / n)
    return noise
