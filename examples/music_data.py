"""Melodies of the public domain, in C major or A minor, and what writes one as MIDI.

A note is a name, an octave if it is not the fourth, and a length in eighths if it is
not that of the note before: ``c:2 d e g3:4 r`` is C, D and E of a quarter each, the G
below of a half, and a rest of a half.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import NamedTuple

LOWEST, HIGHEST = 36, 96  # MIDI's numbers of the pitches that a tune may use
LONGEST = 16


class Note(NamedTuple):
    """A pitch as MIDI numbers it, None for a rest, and a length in eighths."""

    pitch: int | None
    length: int


def parse(text: str) -> list[Note]:
    """A tune from its notation; ValueError names the note that is none."""
    notes, length = [], 2
    for word in text.split():
        match = re.fullmatch(r"(r|[a-g][#b]?)([0-9]?)(?::([0-9]+))?", word)
        length = int(match[3]) if match and match[3] else length
        if not match or not 1 <= length <= LONGEST:
            raise ValueError(
                f"expected a note as c, f#, bb3 or g:4, of 1 to {LONGEST} eighths, "
                f"got {word!r}"
            )
        if match[1] == "r":
            notes.append(Note(None, length))
            continue
        semitone = [0, 2, 4, 5, 7, 9, 11]["cdefgab".index(match[1][0])]
        semitone += {"": 0, "#": 1, "b": -1}[match[1][1:]]
        pitch = 12 * (int(match[2] or 4) + 1) + semitone
        if not LOWEST <= pitch - 5 <= pitch + 6 <= HIGHEST:
            raise ValueError(f"expected notes from f2 to f#6, got {word!r}")
        notes.append(Note(pitch, length))
    return notes


def transposed(notes: list[Note], by: int) -> list[Note]:
    """The tune `by` semitones higher."""
    return [
        Note(None if note.pitch is None else note.pitch + by, note.length)
        for note in notes
    ]


def write_midi(path: Path, notes: list[Note], eighths_per_minute: int = 220) -> None:
    """A file of the Standard MIDI format with one track of one voice."""

    def variable(number: int) -> bytes:  # seven bits a byte, all but the last marked
        found = [number & 127]
        while number := number >> 7:
            found.append(number & 127 | 128)
        return bytes(reversed(found))

    microseconds = 2 * 60_000_000 // eighths_per_minute  # of a quarter
    track = b"\0\xff\x51\x03" + microseconds.to_bytes(3, "big")
    wait = 0
    for pitch, length in notes:
        ticks = 48 * length
        if pitch is None:
            wait += ticks
            continue
        track += variable(wait) + bytes([0x90, pitch, 90])
        track += variable(ticks) + bytes([0x80, pitch, 0])
        wait = 0
    track += b"\0\xff\x2f\0"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96)  # 96 ticks a quarter
    path.write_bytes(header + b"MTrk" + struct.pack(">I", len(track)) + track)


TUNES = {
    "Twinkle, twinkle": """c:2 c g g a a g:4 f:2 f e e d d c:4
        g:2 g f f e e d:4 g:2 g f f e e d:4 c:2 c g g a a g:4 f:2 f e e d d c:4""",
    "Frere Jacques": """c:2 d e c c d e c e f g:4 e:2 f g:4
        g:1 a g f e:2 c g:1 a g f e:2 c c g3 c:4 c:2 g3 c:4""",
    "Ode to joy": """e:2 e f g g f e d c c d e e:3 d:1 d:4
        e:2 e f g g f e d c c d e d:3 c:1 c:4 d:2 d e c d e:1 f e:2 c
        d e:1 f e:2 d c d g3:4 e:2 e f g g f e d c c d e d:3 c:1 c:4""",
    "Mary had a little lamb": """e:2 d c d e e e:4 d:2 d d:4 e:2 g g:4
        e:2 d c d e e e e d d e d c:8""",
    "Au clair de la lune": """c:2 c c d e:4 d c:2 e d d c:8 c:2 c c d e:4 d
        c:2 e d d c:8 d:2 d d d a3:4 a3 d:2 c b3 a3 g3:8 c:2 c c d e:4 d
        c:2 e d d c:8""",
    "London bridge": """g:3 a:1 g:2 f e f g:4 d:2 e f:4 e:2 f g:4
        g:3 a:1 g:2 f e f g:4 d:4 g e:2 c:6""",
    "Jingle bells": """e:2 e e:4 e:2 e e:4 e:2 g c:3 d:1 e:8 f:2 f f:3 f:1 f:2 e e e:1 e
        e:2 d d e d:4 g e:2 e e:4 e:2 e e:4 e:2 g c:3 d:1 e:8
        f:2 f f:3 f:1 f:2 e e e:1 e g:2 g f d c:8""",
    "Row, row, row your boat": """c:3 c c:2 d:1 e:3 e:2 d:1 e:2 f:1 g:6
        c5:1 c5 c5 g g g e e e c c c g:2 f:1 e:2 d:1 c:6""",
    "Haenschen klein": """g:2 e e:4 f:2 d d:4 c:2 d e f g g g:4
        g:2 e e:4 f:2 d d:4 c:2 e g g c:8 d:2 d d d d e f:4 e:2 e e e e f g:4
        g:2 e e:4 f:2 d d:4 c:2 e g g c:8""",
    "Alle meine Entchen": """c:2 d e f g:4 g a:2 a a a g:8 a:2 a a a g:8
        f:2 f f f e:4 e d:2 d d d c:8""",
    "Amazing grace": """g3:2 c:4 e:1 c e:4 d:2 c:4 a3:2 g3:4 g3:2
        c:4 e:1 c e:4 d:2 g:8 e:2 g:3 e:1 g e c:4 g3:2 a3:3 c:1 c a3 g3:4 g3:2
        c:4 e:1 c e:4 d:2 c:8""",
    "When the saints": """c:2 e f g:8 c:2 e f g:8 c:2 e f g:4 e c e d:8
        e:2 e d c:6 c:2 e:4 g g f:6 f:2 e f g:4 e c d c:8""",
    "Auld lang syne": """g3:2 c:3 c:1 c:2 e d:3 c:1 d:2 e c:3 c:1 e:2 g a:6 a:2
        g:3 e:1 e:2 c d:3 c:1 d:2 e c:3 a3:1 a3:2 g3 c:6 a:2
        g:3 e:1 e:2 c d:3 c:1 d:2 a g:3 e:1 e:2 g a:6 a:2
        g:3 e:1 e:2 c d:3 c:1 d:2 e c:3 a3:1 a3:2 g3 c:6""",
    "Good King Wenceslas": """c:2 c c d c c g3:4 a3:2 g3 a3 b3 c:4 c
        c:2 c c d c c g3:4 a3:2 g3 a3 b3 c:4 c g:2 f e d e d c:4
        a3:2 g3 a3 b3 c:4 c g3:2 g3 a3 b3 c c d:4 g:2 f e d c:4 f c:8""",
    "Joy to the world": """c5:4 b:3 a:1 g:6 f:2 e:4 d c:6 g:2 a:6 a:2 b:6 b:2 c5:6
        c5:2 c5 b a g g:3 f:1 e:2 c5 c5 b a g g:3 f:1 e:2
        e e e e e:1 f g:6 f:1 e d:2 d d d:1 e f:6 e:1 d c:2 c5:4 a:2 g:3 f:1 e:2 f
        e:4 d c:8""",
    "Oh, Susanna": """c:1 d e:2 g g:3 a:1 g:2 e c:3 d:1 e:2 e d c d:6
        c:1 d e:2 g g:3 a:1 g:2 e c:3 d:1 e:2 e d d c:6
        f:4 f a:2 a:4 a:2 g g e c d:6
        c:1 d e:2 g g:3 a:1 g:2 e c:3 d:1 e:2 e d d c:6""",
    "Yankee Doodle": """c:1 c d e c e d g3 c c d e c:2 b3 c:1 c d e f e d c
        b3 g3 a3 b3 c:2 c a3:1 b3 a3 g3 a3 b3 c:2 g3:1 a3 g3 f3 e3:2 g3
        a3:1 b3 a3 g3 a3 b3 c a3 g3 c b3 d c:2 c""",
    "Old MacDonald": """c:2 c c g3 a3 a3 g3:4 e:2 e d d c:6 g3:2 c c c g3 a3 a3 g3:4
        e:2 e d d c:8 g3:1 g3 c:2 c c g3:1 g3 c:2 c c:4 c:1 c c:2 c:1 c c:2
        c:1 c c c c:2 c c c c g3 a3 a3 g3:4 e:2 e d d c:8""",
    "O Tannenbaum": """g3:1 c c:3 c:1 d:2 e:1 e e:3 e:1 d e f:2 b3 d c:4
        g3:1 c c:3 c:1 d:2 e:1 e e:3 e:1 d e f:2 b3 d c:4 g:1 g e a:3 g:1 g f f:3
        f:1 f d g:3 f:1 f e e:2 g3:1 c c:3 c:1 d:2 e:1 e e:3 e:1 d e f:2 b3 d c:4""",
    "Lullaby of Brahms": """e:1 e g:4 e:1 e g:4 e:1 g c5:2 b:3 a:1 a:2 g d:1 e f:2 d
        d:1 e f:4 d:1 f b a g:2 b c5:4 c:1 c c5:4 a:1 f g:4 e:1 c f:2 g a g:4
        c:1 c c5:4 a:1 f g:4 e:1 c f:2 e d c:4""",
    "Silent night": """g:3 a:1 g:2 e:6 g:3 a:1 g:2 e:6 d5:4 d5:2 b:6 c5:4 c5:2 g:6
        a:4 a:2 c5:3 b:1 a:2 g:3 a:1 g:2 e:6 a:4 a:2 c5:3 b:1 a:2 g:3 a:1 g:2 e:6
        d5:4 d5:2 f5:3 d5:1 b:2 c5:6 e5 c5:2 g e g:3 f:1 d:2 c:6""",
    "Deck the halls": """g:3 f:1 e:2 d c d e c d:1 e f d e:3 d:1 c:2 b3 c:4
        g:3 f:1 e:2 d c d e c d:1 e f d e:3 d:1 c:2 b3 c:4
        d:3 e:1 f:2 d e:3 f:1 g:2 d e:1 f# g:2 a:1 b c5:2 b a g:4
        g:3 f:1 e:2 d c d e c a:1 a a a g:3 f:1 e:2 d c:4""",
    "Korobeiniki": """e5:2 b:1 c5 d5:2 c5:1 b a:2 a:1 c5 e5:2 d5:1 c5 b:3 c5:1 d5:2 e5
        c5 a a:4 d5:3 f5:1 a5:2 g5:1 f5 e5:3 c5:1 e5:2 d5:1 c5 b:2 b:1 c5 d5:2 e5
        c5 a a:4""",
    "Greensleeves": """a:2 c5:4 d5:2 e5:3 f5:1 e5:2 d5:4 b:2 g:3 a:1 b:2 c5:4 a:2 a:3
        g#:1 a:2 b:4 g#:2 e:4 a:2 c5:4 d5:2 e5:3 f5:1 e5:2 d5:4 b:2 g:3 a:1 b:2
        c5:3 b:1 a:2 g#:3 f#:1 g#:2 a:6""",
    "Scarborough fair": """a:4 a:2 e5:4 e5:2 b:3 c5:1 b:2 a:6 e5:4 g5:2 a5:4 g5:2
        e5 f#5 d5 e5:6 a5:4 a5:2 a5:4 g5:2 e5:4 e5:2 d5 c5 b g:6
        a:4 e5:2 d5:4 c5:2 b a g a:6""",
}
