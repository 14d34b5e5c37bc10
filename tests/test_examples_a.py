"""Speech, music, sentiment, DNA, time series: the examples, run as people run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAMES = "speech", "music", "sentiment", "dna", "forecast"


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """An example's exit code and what it says, on one thread."""
    program = [sys.executable, EXAMPLES / f"{name}.py", *arguments]
    return subprocess.run(
        [*map(str, program)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"RNNEXT_NUM_THREADS": "1"},
    )


def table(output: str) -> list[str]:
    """The lines that do not depend on the folder or the clock."""
    lines = (line for line in output.splitlines() if not line.startswith("figure: "))
    return [
        re.sub(r" \(\d+ s\)", "", line) for line in lines if "a new tune" not in line
    ]


@pytest.mark.parametrize("name", NAMES)
def test_margin_and_figure(name: str, tmp_path: Path) -> None:
    first = run(name, "--quick", "--seed", 0, "--out", tmp_path / "1")
    assert first.returncode == 0, first.stdout + first.stderr
    gain, margin = map(float, re.findall(r"(?:by|margin:) (-?[\d.]*\d)", first.stdout))
    assert gain >= margin > 0
    figure = (tmp_path / "1" / f"{name}.png").read_bytes()
    assert figure.startswith(b"\x89PNG")
    assert len(figure) < 60_000
    again = run(name, "--quick", "--seed", 0, "--out", tmp_path / "2")
    assert table(again.stdout) == table(first.stdout)
    assert (tmp_path / "2" / f"{name}.png").read_bytes() == figure


def write_wav(path: Path, n: int = 4000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16000)
        noise = np.random.default_rng(n).integers(-9000, 9000, n * channels)
        file.writeframes(noise.astype("<i2").tobytes())


def own_data(name: str, folder: Path) -> Path:
    """A small set in the format of ``--data``."""
    rng = np.random.default_rng(0)
    if name == "speech":
        for n in range(12):
            write_wav(
                folder / f"{'yes' if n % 2 else 'no'}_{n % 3}_{n}.wav", 4000 + 300 * n
            )
        return folder
    path = folder / "own.txt"
    lines = {
        "music": [
            "c:2 d e4 f#:1 r bb3:4",
            "e d c",
            "g:2 g a:4",
            "c e g c5",
            "g f e d c",
        ],
        "sentiment": [
            f"{n % 2}\tit is {'good' if n % 2 else 'bad'}" for n in range(16)
        ],
        "dna": [f"{n % 2},{'ACGTTG' * (n + 1)}" for n in range(16)],
        "forecast": ["month,value"]
        + [f"{n},{v:.3f}" for n, v in enumerate(rng.uniform(1, 9, 120))],
    }[name]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_own_data(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = own_data(name, tmp_path / "data")
    done = run(name, "--quick", "--data", data, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "none is promised for your data" in done.stdout
    assert (tmp_path / f"{name}.png").is_file()


BAD = [
    ("music", "c d\nc h", r"own.txt:2: expected a note as .*got 'h'"),
    ("music", "c d", "expected 4 tunes or more, got 1"),
    ("music", "", "the file is empty"),
    ("sentiment", "1\tgood\n2\tbad", r"own.txt:2: expected 0 or 1, a tab and a text"),
    ("sentiment", "1\tgood", "8 lines or more with both labels"),
    ("dna", "1,ACGT\n0,ACNT", r"own.txt:2: expected the letters ACGT, got 'N'"),
    ("dna", "ACGT", r"own.txt:1: expected 0 or 1, a comma"),
    (
        "forecast",
        "1\n2\nx",
        r"own.txt:3: expected a number in the last column, got 'x'",
    ),
    ("forecast", "1\n2", "expected 60 finite numbers or more"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_bad_data(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text(text, encoding="utf-8")
    done = run(name, "--quick", "--data", tmp_path / "own.txt", "--out", tmp_path)
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr


def test_bad_recordings(tmp_path: Path) -> None:
    def error() -> str:
        done = run("speech", "--quick", "--data", tmp_path, "--out", tmp_path)
        assert done.returncode == 2
        return done.stderr

    assert "two words and two speakers" in error()
    (tmp_path / "yes_1.wav").write_bytes(b"")
    assert "expected a name as WORD_SPEAKER_NUMBER.wav, got yes_1.wav" in error()
    (tmp_path / "yes_1.wav").rename(tmp_path / "yes_1_1.wav")
    assert "yes_1_1.wav: expected a WAV file" in error()
    write_wav(tmp_path / "yes_1_1.wav", channels=2)
    assert "expected one channel, 16 bits, 8000 Hz or more, got 2 channels" in error()


@pytest.mark.parametrize("name", NAMES)
def test_missing_file_and_wrong_option(name: str, tmp_path: Path) -> None:
    missing = run(name, "--data", tmp_path / "none", "--out", tmp_path)
    assert missing.returncode == 2
    assert "there is none" in missing.stderr
    wrong = run(name, "--seed", "-1")
    assert wrong.returncode == 2
    assert "expected an integer from 0, got '-1'" in wrong.stderr


def test_midi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import music_data

    music_data.write_midi(tmp_path / "a.mid", music_data.parse("c:1 r:4 f#5:2"))
    written = (tmp_path / "a.mid").read_bytes()
    assert written[:14] == b"MThd\0\0\0\6\0\0\0\1\0\x60"
    assert int.from_bytes(written[18:22], "big") == len(written) - 22
    # 48 ticks of C4, then F#5 after 192 (81 40 in sevens of bits) for 96.
    assert (
        b"\x00\x90\x3c\x5a\x30\x80\x3c\x00\x81\x40\x90\x4e\x5a\x60\x80\x4e\x00"
        in written
    )
    assert written.endswith(b"\0\xff\x2f\0")


def test_margin_that_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import common

    better = common.Result("error", 1.0, "a baseline", 2.0, 0.9, lower_is_better=True)
    worse = common.Result("accuracy", 0.8, "a baseline", 0.75, 0.1)
    assert common.report(better, False, 1) == 0
    assert common.report(worse, False, 1) == 1
    assert "the margin is not reached" in capsys.readouterr().err
    assert common.report(worse, True, 1) == 0


def test_gallery_finds_every_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import gallery

    assert set(NAMES) <= set(gallery.examples())
    assert not {"common", "gallery", "speech_data", "music_data"} & set(
        gallery.examples()
    )
    stored = {path.stem for path in gallery.GALLERY.glob("*.png")}
    assert set(NAMES) <= stored
    assert all(
        path.stat().st_size <= gallery.LARGEST for path in gallery.GALLERY.glob("*")
    )
    assert gallery.main(["nothing"]) == 2
