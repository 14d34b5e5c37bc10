"""The commands `rnnext train` and `rnnext sample`, as a person runs them."""

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import rnnext
from rnnext.app import train
from rnnext.app.cli import main
from rnnext.app.files import load_model
from rnnext.app.interrupt import interruptible
from rnnext.files import KEY, _crc32

TALE = "one cat sat on the mat while two dogs ran over a hill and sang"
WORDS = TALE.split()
SMALL = ["--hidden-size", "24", "--batch-size", "4", "--sequence-length", "16"]
QUICK = [*SMALL, "--dropout", "0", "--learning-rate", "0.02"]


def pattern(length=6000, seed=0):
    rng = np.random.default_rng(seed)
    words = [WORDS[i] for i in rng.integers(0, len(WORDS), length)]
    return " ".join(words)[:length] + "\n"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text(pattern())
    return str(path)


@pytest.fixture(scope="module")
def model(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "words.safetensors"
    assert main(["train", text, "--epochs", "4", "--out", str(path), *QUICK]) == 0
    return str(path)


def sample(capsys, model, *options):
    assert main(["sample", model, *options]) == 0
    return capsys.readouterr().out


def refused(capsys, *argv):
    """Run what must end with one line and exit code 2; return the line."""
    assert main(argv) == 2
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert len(lines) == 1, streams.err
    assert lines[0].startswith("rnnext: error: ")
    assert streams.out == ""
    return lines[0]


def start(*argv, **options):
    command = [sys.executable, "-m", "rnnext", *argv]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


# Training


def test_training_beats_the_counting_models(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", text, "--epochs", "6", *QUICK]) == 0
    streams = capsys.readouterr()
    number = r" +([\d.]+)"
    bits = {
        name: float(re.search(name + number, streams.out)[1])
        for name in ("this model", "bigram", "unigram")
    }
    assert bits["this model"] < bits["bigram"] < bits["unigram"]
    ratio = float(re.search(r"bigram.* ([\d.]+)% of it", streams.out)[1])
    assert ratio == pytest.approx(100 * bits["this model"] / bits["bigram"], abs=0.1)
    assert sorted(os.listdir()) == ["words-lstm.png", "words-lstm.safetensors"]
    assert Path("words-lstm.png").read_bytes().startswith(b"\x89PNG")
    command = re.search(r"^  rnnext (sample words-lstm\.\S+ .*)$", streams.out, re.M)[1]
    assert main(command.split()) == 0
    assert len(capsys.readouterr().out) > 500


def test_without_a_terminal_progress_is_plain_lines(text, tmp_path, capsys):
    out = str(tmp_path / "m.safetensors")
    assert main(["train", text, "--epochs", "1", "--out", out, *QUICK]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    for line in lines:
        assert re.fullmatch(
            r" *\d+%  epoch \d\.\d\d, loss \d\.\d{3}, \d\.\d{3} bits/char, "
            r"[\d,]+ char/s",
            line,
        )
    assert lines[-1].startswith("100%  epoch 1.00")


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_on_a_terminal_progress_is_a_bar_or_lines(text, tmp_path, has_tqdm):
    code = "import sys; from rnnext.app.cli import main; "
    if not has_tqdm:
        code += "sys.modules['tqdm'] = None; "
    argv = ["train", text, "--epochs", "1", "--out", str(tmp_path / "m.npz"), *QUICK]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}sys.exit(main({argv!r}))"],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # how Linux says that the other end has gone
        pass
    os.close(ours)
    assert process.wait(timeout=30) == 0
    assert b" bits/char, " in shown
    assert (b"100%|" in shown) == has_tqdm
    assert (b'pip install "rnnext[app]"' in shown) != has_tqdm


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_whatever_the_threads(text, tmp_path, cell, dtype):
    files = []
    threads = rnnext.get_num_threads()
    for i, n in enumerate(["1", "2", "1"]):
        out = tmp_path / str(i) / "m.safetensors"
        out.parent.mkdir()
        options = ["--epochs", "1", "--layers", "2", "--hidden-size", "40"]
        options += ["--cell", cell, "--dtype", dtype, "--threads", n]
        assert main(["train", text, "--out", str(out), *options]) == 0
        assert rnnext.get_num_threads() == threads
        files.append(out.read_bytes())
    assert files[0] == files[1] == files[2]


def test_the_seed_decides(text, tmp_path, model):
    out = str(tmp_path / "m.safetensors")
    argv = ["train", text, "--epochs", "4", "--out", out, *QUICK]
    assert main(argv) == 0
    assert Path(out).read_bytes() == Path(model).read_bytes()
    assert main([*argv, "--seed", "1"]) == 0
    assert Path(out).read_bytes() != Path(model).read_bytes()


def test_seconds_end_a_training(text, tmp_path, capsys):
    out = str(tmp_path / "m.safetensors")
    assert main(["train", text, "--seconds", "0.5", "--out", out, *QUICK]) == 0
    assert "100%" in capsys.readouterr().err


def test_out_may_be_a_folder_or_a_name(text, tmp_path):
    argv = ["train", text, "--epochs", "1", "--cell", "gru", *QUICK]
    assert main([*argv, "--out", str(tmp_path)]) == 0
    assert main([*argv, "--out", str(tmp_path / "other.npz")]) == 0
    names = ["other.npz", "other.png", "words-gru.png", "words-gru.safetensors"]
    assert sorted(os.listdir(tmp_path)) == names
    pair = [load_model(str(tmp_path / name))[0].state_dict() for name in names[::3]]
    for name, array in pair[0].items():
        assert (array == pair[1][name]).all()


def test_metadata(model):
    with safe_open(model, framework="numpy") as file:
        about = json.loads(file.metadata()[KEY])
    characters = "".join(sorted(set(pattern())))
    layers = dict(about["model"]["layers"])
    sizes = {"input_size": len(characters), "hidden_size": 24, "forget_bias": 1.0}
    assert layers["rnn"] == {"class": "LSTM", "arguments": sizes}
    about = about["metadata"]
    assert about["vocabulary"] == characters
    assert about["training"]["epochs"] == 4
    assert about["training"]["seconds"] is None
    loaded, vocabulary, training = load_model(model)
    assert vocabulary.characters == characters
    assert training == about["training"]
    stored = load_file(model)
    parameters = loaded.state_dict()
    assert list(parameters) == list(loaded.parameters)
    assert parameters.keys() == stored.keys()
    for name, value in parameters.items():
        assert value.tobytes() == stored[name].tobytes()


def test_the_documentation_is_the_default_text(tmp_path, capsys):
    out = str(tmp_path)
    assert main(["train", "--seconds", "1", "--out", out, "--hidden-size", "16"]) == 0
    assert "python-docs: " in capsys.readouterr().out
    assert (tmp_path / "python-docs-lstm.safetensors").exists()


def test_short_text(tmp_path, capsys):
    path = tmp_path / "short.txt"
    path.write_text("ab" * 50)
    argv = ["train", str(path), "--epochs", "1", "--out", str(tmp_path), *SMALL]
    assert main(argv) == 0
    assert "note: batch size 1:" in capsys.readouterr().err


def test_text_of_one_character(tmp_path, capsys):
    path = tmp_path / "a.txt"
    path.write_text("a" * 200)
    argv = ["train", str(path), "--epochs", "1", "--out", str(tmp_path), *SMALL]
    assert main(argv) == 0
    assert re.search(r"this model +0\.000\n", capsys.readouterr().out)


# Ctrl-C


def test_ctrl_c_saves_the_model(text, tmp_path):
    out = tmp_path / "m.safetensors"
    process = start("train", text, "--seconds", "100", "--out", str(out), *QUICK)
    try:
        assert "characters" in process.stdout.readline()
        assert "LSTM" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "rnnext sample" in printed
    assert sorted(os.listdir(tmp_path)) == ["m.png", "m.safetensors"]
    load_model(str(out))


def test_a_second_ctrl_c_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_training_is_told_in_one_line(monkeypatch, capsys):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run", interrupt)
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "\nrnnext: interrupted\n"


# Sampling


def test_sample_is_repeated_by_its_seed(model, capsys):
    options = ["--prompt", "the ", "--length", "80", "--temperature", "1"]
    first = sample(capsys, model, *options, "--seed", "3")
    assert first.startswith("the ")
    assert len(first) == 4 + 80 + 1
    assert sample(capsys, model, *options, "--seed", "3") == first
    assert sample(capsys, model, *options, "--seed", "4") != first
    texts = {sample(capsys, model, *options) for _ in range(3)}
    assert len(texts) == 3


def test_sample_without_prompt_or_length(model, capsys):
    assert len(sample(capsys, model)) == 500 + 1
    assert sample(capsys, model, "--prompt", "the", "--length", "0") == "the\n"


@pytest.mark.parametrize("temperature", ["0", "1e-3", "1e-310"])
def test_cold_samples_take_the_likeliest(model, capsys, temperature):
    options = ["--prompt", "the ", "--length", "60", "--temperature", temperature]
    cold = sample(capsys, model, *options, "--seed", "5")
    assert cold == sample(capsys, model, *options[:-1], "0", "--seed", "6")


def test_hot_samples_take_anything(model, capsys):
    options = ["--length", "2000", "--temperature", "1e300", "--seed", "0"]
    assert set(sample(capsys, model, *options)) == set(pattern())


def test_module_and_console_script(model):
    process = start("sample", model, "--length", "10")
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, len(printed), errors) == (0, 11, "")
    process = start("sample", "nowhere")
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (2, "")
    assert errors == "rnnext: error: cannot read nowhere: No such file or directory\n"


def test_sample_into_a_closed_pipe(model):
    process = start("sample", model, "--length", "100000")
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=30) == 141


def test_sample_in_an_encoding_without_the_characters(tmp_path):
    path = tmp_path / "umlauts.txt"
    path.write_text("Äpfel und Öl und Übel. " * 20, encoding="utf-8")
    argv = ["train", str(path), "--epochs", "1", "--out", str(tmp_path), *SMALL]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    printed, errors = start(*argv, env=env).communicate(timeout=30)
    assert "Traceback" not in errors
    assert "rnnext sample" in printed


# What is refused


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--epochs", "0"], "--epochs: expected an integer of 1 or more, got '0'"),
        (["--epochs", "1.5"], "--epochs: expected an integer of 1 or more, got '1.5'"),
        (["--seconds", "0"], "--seconds: expected a number above 0, got '0'"),
        (["--seconds", "nan"], "--seconds: expected a number above 0, got 'nan'"),
        (["--layers", "0"], "--layers: expected an integer of 1 or more"),
        (["--hidden-size", "-3"], "--hidden-size: expected an integer of 1 or more"),
        (["--batch-size", "x"], "--batch-size: expected an integer of 1 or more"),
        (["--sequence-length", ""], "--sequence-length: expected an integer of 1"),
        (["--learning-rate", "inf"], "--learning-rate: expected a number above 0"),
        (["--clip", "-1"], "--clip: expected a number above 0, got '-1'"),
        (["--dropout", "1"], "--dropout: expected a number from 0 to less than 1"),
        (["--seed", "-1"], "--seed: expected an integer of 0 or more, got '-1'"),
        (["--threads", "0"], "--threads: expected an integer of 1 or more, got '0'"),
        (["--cell", "cnn"], "--cell: invalid choice: 'cnn'"),
        (["--dtype", "float16"], "--dtype: invalid choice: 'float16'"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
        (["--out", "no/such/m.npz"], "cannot write no/such/m.npz: no folder "),
        (["--checkpoint-seconds", "5"], "--checkpoint-seconds: expected with --checkp"),
        (["--checkpoint-steps", "5"], "--checkpoint-steps: expected with --checkpoint"),
        (["--out", "/dev/null"], "expected a name that ends with .safetensors or .npz"),
    ],
)
def test_wrong_options_of_train(text, capsys, options, expected):
    assert expected in refused(capsys, "train", text, *options)


def test_wrong_texts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("")
    Path("short.txt").write_text("short")
    Path("latin.txt").write_bytes(b"\xe4" * 1000)
    Path("folder").mkdir()
    for name, expected in {
        "missing.txt": "cannot read missing.txt: No such file or directory",
        "folder": "cannot read folder: Is a directory",
        "empty.txt": "empty.txt is empty: at least 100 are needed",
        "short.txt": "short.txt has only 5 characters: at least 100 are needed",
        "latin.txt": "cannot read latin.txt: not UTF-8 text (byte 0xe4: ",
        "nul\0.txt": "embedded null byte",
    }.items():
        assert expected in refused(capsys, "train", name)
    assert sorted(os.listdir()) == ["empty.txt", "folder", "latin.txt", "short.txt"]


def test_a_loss_that_explodes(text, tmp_path, capsys):
    argv = ["train", text, "--learning-rate", "1e38", "--clip", "1e38", "--epochs", "9"]
    assert main([*argv, "--out", str(tmp_path), *SMALL]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].endswith("loss is not a finite number: lower --learning-rate")


def test_no_command_is_told_in_one_line(capsys):
    assert "COMMAND" in refused(capsys)
    assert "invalid choice: 'frob'" in refused(capsys, "frob")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--temperature", "-1"], "--temperature: expected 0 or more, got '-1'"),
        (["--temperature", "nan"], "--temperature: expected 0 or more, got 'nan'"),
        (["--length", "-1"], "--length: expected an integer of 0 or more, got '-1'"),
        (["--seed", "x"], "--seed: expected an integer of 0 or more, got 'x'"),
        (["--prompt", "zebra Q"], "the model has never seen: 'Q', 'b', 'z'"),
        (["--prompt", "\udcff"], r"the model has never seen: '\udcff'"),
    ],
)
def test_wrong_options_of_sample(model, capsys, options, expected):
    assert expected in refused(capsys, "sample", model, *options)


def test_wrong_models(model, tmp_path, monkeypatch, capsys):
    content = Path(model).read_bytes()
    tensors = load_file(model)
    with safe_open(model, framework="numpy") as file:
        about = json.loads(file.metadata()[KEY])
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("empty").write_bytes(b"")
    Path("text").write_text(pattern())
    Path("truncated").write_bytes(content[:-7])
    Path("header").write_bytes(content[:100])
    save_file(tensors, "foreign")
    save_file(tensors, "noise", {KEY: "{"})
    save_file(tensors, "deep", {KEY: "[" * 100_000})
    save_file(tensors, "other", {KEY: "[]"})
    save_file(tensors, "newer", {KEY: json.dumps(about | {"version": 2})})
    del about["crc32"]

    def forged(name, about=about, tensors=tensors):
        text = json.dumps(about | {"crc32": _crc32(about, tensors)})
        save_file(tensors, name, {KEY: text})

    def of_layer(**change):
        layers = json.loads(json.dumps(about["model"]["layers"]))
        layers[0][1]["arguments"] |= change
        return about | {"model": {"class": "Sequential", "layers": layers}}

    forged("larger", of_layer(hidden_size=10**9))
    forged("deeper", of_layer(num_layers=10**9))
    forged("negative", of_layer(hidden_size=-24))
    forged("float", of_layer(hidden_size=24.0))
    forged("dtype", of_layer(dtype="float64"))
    forged("extra", of_layer(colour="red"))
    forged("reversed", of_layer(reverse=True))
    forged("vocabulary", about | {"metadata": {"vocabulary": "ab"}})
    forged("layer", about | {"model": about["model"]["layers"][0][1]})
    bad = tensors | {"head.bias": np.full_like(tensors["head.bias"], np.nan)}
    forged("nan", tensors=bad)
    rnnext.save("another.npz", rnnext.GRU(3, 4))
    for name, expected in {
        "missing": "cannot read missing: No such file or directory",
        "folder": "cannot read folder: Is a directory",
        "empty": "empty: not a file of rnnext.save: ",
        "text": "expected a file that `rnnext train` wrote",
        "truncated": "truncated: not a file of rnnext.save: ",
        "header": "header: not a file of rnnext.save: ",
        "foreign": "its metadata is of another program",
        "noise": "noise: not a file of rnnext.save: ",
        "deep": "deep: not a file of rnnext.save: ",
        "other": "its configuration is incomplete",
        "newer": "version 2, this rnnext reads 1",
        "larger": "its configuration asks for more numbers than it holds",
        "deeper": "its configuration asks for more numbers than it holds",
        "negative": "hidden_size: expected 1 or more, got -24",
        "float": "hidden_size: expected an integer, got float",
        "dtype": "expected one dtype, got ",
        "extra": "unknown argument 'colour'",
        "reversed": "reversed is not a model of `rnnext train`: it is ",
        "vocabulary": "its vocabulary does not fit it",
        "layer": "layer: not a file of rnnext.save: its arrays are not those of",
        "nan": "nan holds weights that are not finite numbers",
        "another.npz": "is not a model of `rnnext train`: it is GRU(3, 4)",
    }.items():
        assert expected in refused(capsys, "sample", name)


def test_a_folder_that_takes_no_file_is_found_before_training(
    text, tmp_path, monkeypatch, capsys
):
    def refuse(dir):  # what permissions do not tell
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    out = str(tmp_path / "model.npz")
    line = refused(capsys, "train", text, "--out", out, *QUICK)
    assert line.endswith(f"cannot write {out}: Read-only file system in {tmp_path}")


@pytest.mark.parametrize("command", ["train", "sample"])
def test_without_safetensors_nothing_starts(
    command, text, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    line = refused(capsys, command, text)
    assert line.endswith('needs safetensors: pip install "rnnext[app]"')
    assert os.listdir() == []


def test_without_matplotlib_there_is_no_curve(text, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    argv = ["train", text, "--epochs", "1", "--out", str(tmp_path), *QUICK]
    assert main(argv) == 0
    streams = capsys.readouterr()
    note = 'note: the loss curve needs matplotlib: pip install "rnnext[app]"'
    assert streams.err.splitlines()[0] == note
    assert os.listdir(tmp_path) == ["words-lstm.safetensors"]


def test_help_and_version(capsys):
    for argv in (["--help"], ["train", "--help"], ["sample", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as ending:
            main(argv)
        assert ending.value.code == 0
    assert capsys.readouterr().out.endswith(f"{rnnext.__version__}\n")
