"""Translation, videos, names and the stream: short runs, and people's own data."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnext

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAMES = ("machine_translation", "named_entities", "streaming", "video_activity")


@pytest.fixture(scope="module", autouse=True)
def _path():
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


def run(name, *argv):
    """The exit code."""
    module = importlib.import_module(name)
    common = importlib.import_module("common")
    return common.command(module.run, module.__doc__, data="it", argv=list(argv))


@pytest.mark.parametrize("name", NAMES)
def test_beats_its_baseline(name, tmp_path, capsys):
    assert run(name, "--quick", "--out", str(tmp_path)) == 0
    assert "better by" in capsys.readouterr().out
    assert (tmp_path / f"{name}.png").stat().st_size > 2000
    assert importlib.import_module(name).__doc__.startswith("Generated data")


def test_a_stream_has_the_bits_of_the_whole_and_is_timed():
    module = importlib.import_module("streaming")
    x, _ = module.recording(300, np.random.default_rng(0))
    layers = {"rnn": rnnext.GRU(10, 8, rng=0), "head": rnnext.Linear(8, 2, rng=1)}
    score, states, seconds = module.listen(rnnext.Sequential(layers), x)
    assert states.tobytes() == layers["rnn"](x)[0].tobytes()
    assert score.shape == seconds.shape == (300,)
    assert (seconds > 0).all()


def test_delays_and_false_alarms():
    module = importlib.import_module("streaming")
    assert module.delays([48, 50, 210, 400], [50, 200, 300]) == [-2, 10]
    assert module.f1([48, 50, 210, 400], [50, 200, 300]) == 4 / 7


def test_the_gradient_of_the_encoder_comes_through_the_state():
    module = importlib.import_module("machine_translation")
    model = module.Translator("abc", 5, 0)
    dates = np.random.default_rng(0).integers(0, 11, (10, 2))
    _, gradients = model.gradients(["abca", "cb"], dates)
    step, name = 1e-2, "weight_hh_l0"
    around = []
    for sign in (1, -1):
        with model.encoder.writable() as p:
            p[name][1, 2] += sign * step
        around.append(model.gradients(["abca", "cb"], dates)[0])
        with model.encoder.writable() as p:
            p[name][1, 2] -= sign * step
    slope = (around[0] - around[1]) / (2 * step)
    assert gradients["encoder"][name][1, 2] == pytest.approx(slope, rel=0.05, abs=1e-5)


def videos(folder):
    module = importlib.import_module("video_activity")
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i, way in enumerate(("left", "right") * 10):
        np.save(folder / f"{way}_{i}.npy", module.video(way, rng))


def tagged(path):
    module = importlib.import_module("named_entities")
    known, _ = module.sentences(60, np.random.default_rng(0))
    text = "\n\n".join("\n".join(f"{w} {t}" for w, t in s) for s in known)
    path.write_text(text, encoding="utf-8")


def dated(path):
    module = importlib.import_module("machine_translation")
    data = module.pairs(60, 1990, 2, np.random.default_rng(0))
    path.write_text("\n".join("\t".join(pair) for pair in data), encoding="utf-8")


def recorded(path):
    module = importlib.import_module("streaming")
    x, ends = module.recording(1500, np.random.default_rng(0))
    flags = np.zeros((len(x), 1), np.float32)
    flags[ends] = 1
    np.savetxt(path, np.append(x, flags, axis=1), fmt="%.4f", delimiter=",")


OWN = {
    "machine_translation": dated,
    "named_entities": tagged,
    "streaming": recorded,
    "video_activity": videos,
}


@pytest.mark.parametrize("name", NAMES)
def test_data_of_ones_own(name, tmp_path, capsys):
    path = tmp_path / "data"
    OWN[name](path)
    options = ("--quick", "--data", str(path), "--out", str(tmp_path))
    assert run(name, *options) == 0
    assert "none is promised for your data" in capsys.readouterr().out


def test_too_many_threads_are_told(capsys):
    with pytest.raises(SystemExit, match="2"):
        run("video_activity", "--threads", "99999")
    assert "--threads: n: expected 1 to 1024, got 99999" in capsys.readouterr().err


def test_the_gallery_has_a_help(capsys):
    assert importlib.import_module("gallery").main(["--help"]) == 0
    assert "python examples/gallery.py dna speech" in capsys.readouterr().out


def test_a_seed_decides(tmp_path):
    tagged(tmp_path / "data")
    figures = []
    for seed in ("1", "1", "2"):
        options = ("--data", str(tmp_path / "data"), "--out", str(tmp_path))
        run("named_entities", "--quick", "--seed", seed, *options)
        figures.append((tmp_path / "named_entities.png").read_bytes())
    assert figures[0] == figures[1] != figures[2]


@pytest.mark.parametrize("name", ["streaming", "video_activity"])
def test_a_seed_decides_the_numbers(name, tmp_path):
    module, common = map(importlib.import_module, (name, "common"))
    OWN[name](tmp_path / "data")
    options = common.Options(True, 3, tmp_path, tmp_path / "data", None)
    assert module.run(options) == module.run(options)


def test_a_seed_decides_the_losses_of_the_translator():
    module = importlib.import_module("machine_translation")
    losses = []
    for seed in (1, 1, 2):
        rng = np.random.default_rng(seed)
        data = module.pairs(40, 1990, 6, rng)
        model = module.Translator("abcdefghijklmnopqrstuvwxyz", 8, seed)
        losses.append(module.train(model, data, 5, 4, rng))
    assert losses[0] == losses[1] != losses[2]


WRONG = {
    "machine_translation": {
        "nothing\n": "line 1: expected a sentence, a tab and YYYY-MM-DD",
        "may 3\t1987-05-3\n": "line 1: expected a sentence",
        "may 3\t1987-05-03\n": "expected at least 20 lines, got 1",
    },
    "named_entities": {
        "Anna B-PER\nruns\n": "line 2: expected a word and one of O, B-PER",
        "Anna X\n": "line 1: expected a word",
        "Anna B-PER\n": "expected 8 sentences",
    },
    "streaming": {
        "1,2,x\n": "line 1: expected numbers",
        "1,2,0\n1,0\n": "line 2: expected energies and a flag, 3 columns",
        "1,nan,0\n": "line 1: expected finite numbers",
        "1,2,0\n": "expected 200 steps and 4 keywords or more, got 1 and 0",
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data_is_told(name, tmp_path, capsys):
    path = tmp_path / "data"
    for text, message in WRONG[name].items():
        path.write_text(text, encoding="utf-8")
        assert run(name, "--quick", "--data", str(path), "--out", str(tmp_path)) == 2
        assert message in capsys.readouterr().err
    assert run(name, "--data", str(tmp_path / "no"), "--out", str(tmp_path)) == 2


def test_wrong_videos_are_told(tmp_path, capsys):
    def told(message):
        options = ("--quick", "--data", str(tmp_path / "in"), "--out", str(tmp_path))
        assert run("video_activity", *options) == 2
        assert message in capsys.readouterr().err

    told("expected a folder of .npy files")
    (tmp_path / "in").mkdir()
    told("expected at least 8 files")
    np.save(tmp_path / "in" / "left_1.npy", np.zeros((3, 4)))
    told("expected frames (T, height, width) of 8 pixels or more, got (3, 4)")
    np.save(tmp_path / "in" / "left_1.npy", np.full((3, 8, 8), np.nan))
    told("left_1.npy: expected numbers, finite and not complex")
    for content in (b"no array", b""):
        (tmp_path / "in" / "left_1.npy").write_bytes(content)
        told("left_1.npy")
