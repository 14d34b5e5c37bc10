"""The command `rnnext bench`, its plan, and the NumPy loop that it compares with."""

import json
import math
import re
import sys

import numpy as np
import pytest
from conftest import assert_close, make_layer

import rnnext
from rnnext._roofline import GATES, Machine
from rnnext.app import bench, numpy_loop
from rnnext.app.cli import main
from rnnext.app.timing import samples, settle

MACHINE = Machine(
    2,
    {"float32": 200e9, "float64": 100e9},
    {"float32": 100e9, "float64": 50e9},
    {"L1": 400e9, "L2": 200e9, "L3": 150e9, "DRAM": 20e9},
    {"L1": 32 << 10, "L2": 512 << 10, "L3": 32 << 20},
    1e-7,
)
SMALL = [(2, 3, 4, 5), (5, 1, 8, 16)]


@pytest.fixture
def small(monkeypatch):
    """A few small shapes, so that the command is quick."""
    monkeypatch.setattr(bench, "SHAPES", SMALL)
    monkeypatch.setattr(bench, "STEP_SIZES", [8])


def lines_of(capsys, *options):
    assert main(["bench", "--seconds", "0.2", *options]) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    return streams.out.splitlines()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_report(small, capsys, dtype, tmp_path):
    path = tmp_path / "bench.json"
    options = ["--dtype", dtype, "--threads", "1", "--json", str(path)]
    lines = lines_of(capsys, *options)
    assert lines[0].startswith(f"rnnext {rnnext.__version__}, ")
    assert f", {dtype}; the loop: NumPy {np.__version__}" in lines[0]
    assert re.match(r"threads: 1; peak, GFLOP/s: float32 \d+ \(one core", lines[1])
    assert re.match(r"reading, GB/s: L1 \d+, L2 \d+, L3 \d+, DRAM \d+;", lines[2])
    table = [line.split() for line in lines[5:-2]]
    assert lines[4].split()[:2] == ["work", "cell"]
    assert [row[:2] for row in table[:3]] == [["step", cell] for cell in GATES]
    assert len(table) == 3 * (1 + 2 * len(SMALL))
    assert re.fullmatch(
        r"NumPy / rnnext, geometric means: step [\d.]+ inference [\d.]+ "
        r"training [\d.]+",
        lines[-1],
    )

    found = json.loads(path.read_text())
    assert found["config"]["threads"] == found["machine"]["threads"] == 1
    assert len(found["results"]) == len(table)
    for entry, row in zip(found["results"], table, strict=True):
        assert [entry["work"], entry["cell"]] == row[:2]
        assert ", ".join(map(str, entry["shape"])) == " ".join(row[2:6])
        assert entry["dtype"] == dtype
        figures = ("seconds", "gflops", "peak", "roofline", "numpy")
        assert all(0 < entry[name] < math.inf for name in figures)
        microseconds, gflops = (float(x.replace(",", "")) for x in row[6:8])
        assert microseconds == pytest.approx(entry["seconds"] * 1e6, abs=0.06)
        assert gflops == pytest.approx(entry["gflops"], abs=0.06)
        ratio = entry["numpy"] / entry["seconds"]
        assert float(row[-1]) == pytest.approx(ratio, abs=0.06)


def test_threads_are_as_before(small, capsys, threads):
    threads(3)
    assert lines_of(capsys, "--threads", "2")[1].startswith("threads: 2;")
    assert rnnext.get_num_threads() == 3
    assert lines_of(capsys)[1].startswith("threads: 3;")


def test_too_little_time_leaves_cases_out(monkeypatch, capsys):
    monkeypatch.setattr(bench, "SHAPES", [*SMALL, (100, 200, 2000, 2000)])
    monkeypatch.setattr(bench, "STEP_SIZES", [])
    lines = lines_of(capsys)
    left_out = "left out, as they take longer than --seconds allows: 6 cases"
    assert lines[-1] == left_out
    assert not any("2000" in line for line in lines)


def test_plan_shares_the_time():
    wanted = bench.cases("float32")
    assert len(wanted) == len(set(wanted)) == 87
    planned = bench.plan(wanted, MACHINE, 60.0)
    assert [case for case, _ in planned] == wanted
    assert sum(seconds for _, seconds in planned) == pytest.approx(60.0)
    for case, seconds in planned:
        assert seconds > bench.BOUNDS * MACHINE.bound(case.call)


def test_plan_leaves_out_the_largest_first():
    wanted = bench.cases("float32")
    planned = bench.plan(wanted, MACHINE, 5.0)
    kept = {case for case, _ in planned}
    out = [case for case in wanted if case not in kept]
    assert out
    assert max(MACHINE.bound(case.call) for case in kept) <= min(
        MACHINE.bound(case.call) for case in out
    )
    assert sum(seconds for _, seconds in planned) == pytest.approx(5.0)
    assert bench.plan(wanted, MACHINE, 1e-9) == []


def test_without_time_for_anything(capsys):
    """No row, no mean: still a report."""
    assert main(["bench", "--seconds", "1e-9"]) == 0
    assert "87 cases" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--threads", "0"], "--threads: expected an integer of 1 or more, got '0'"),
        (["--threads", "5000"], "--threads: n: expected 1 to 1024, got 5000"),
        (["--seconds", "0"], "--seconds: expected a number above 0, got '0'"),
        (["--seconds", "nan"], "--seconds: expected a number above 0, got 'nan'"),
        (["--dtype", "float16"], "--dtype: invalid choice: 'float16'"),
        (["--json", "missing/bench.json"], "missing"),
        (["--quick"], "unrecognized arguments: --quick"),
    ],
)
def test_wrong_options(capsys, tmp_path, monkeypatch, options, expected):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *options]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    (line,) = streams.err.splitlines()
    assert line.startswith("rnnext: error: ")
    assert expected in line
    assert list(tmp_path.iterdir()) == []


def test_json_to_stdout_and_the_report_to_stderr(small, capsys):
    assert main(["bench", "--seconds", "0.2", "--json"]) == 0
    streams = capsys.readouterr()
    assert len(json.loads(streams.out)["results"]) == 3 * (1 + 2 * len(SMALL))
    assert streams.err.splitlines()[-1].startswith("NumPy / rnnext, geometric means:")


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["bench", "--help"])
    assert ending.value.code == 0
    assert "examples: rnnext bench " in " ".join(capsys.readouterr().out.split())


def test_it_needs_nothing_but_numpy(small, monkeypatch, capsys):
    for name in ("tqdm", "matplotlib", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)
    assert len(lines_of(capsys)) > 5


# ---------------------------------------------------------------- the NumPy loop


@pytest.mark.parametrize("cell", GATES)
def test_numpy_loop_computes_the_same(cell, dtype, rng):
    T, N, I, H = 7, 3, 4, 5
    layer = make_layer({"rnn": "rnn_tanh"}.get(cell, cell), I, H, dtype=dtype, rng=1)
    x = rng.standard_normal((T, N, I)).astype(dtype)
    dy = rng.standard_normal((T, N, H)).astype(dtype)
    y, trace = numpy_loop.forward(cell, layer.parameters, x)
    dx, gradients = numpy_loop.backward(cell, layer.parameters, trace, dy)
    expected_y, _, cache = layer.forward(x)
    expected = layer.backward(cache, dy)
    assert {a.dtype for a in (y, dx, *gradients.values())} == {dtype}
    assert_close({"y": expected_y}, {"y": y.astype(float)})
    assert_close({"x": expected.x}, {"x": dx.astype(float)})
    assert_close(
        dict(expected.parameters),
        {name: gradients[name].astype(float) for name in expected.parameters},
    )


@pytest.mark.parametrize("cell", GATES)
def test_numpy_loop_goes_on(cell, rng):
    layer = make_layer({"rnn": "rnn_tanh"}.get(cell, cell), 3, 4)
    x = rng.standard_normal((6, 2, 3))
    whole, _ = numpy_loop.forward(cell, layer.parameters, x)
    first, trace = numpy_loop.forward(cell, layer.parameters, x[:2])
    second, _ = numpy_loop.forward(cell, layer.parameters, x[2:], trace)
    assert np.abs(np.concatenate([first, second]) - whole).max() < 1e-14


# ---------------------------------------------------------------- timing


def test_a_long_call_is_made_once():
    calls = []

    def call():
        calls.append(sum(range(100_000)))

    assert len(samples(call, 1e-9)) == len(calls) == 1


def test_samples_of_a_short_call_hold_many():
    calls = []
    times = samples(lambda: calls.append(1), 0.01)
    assert len(calls) > 10 * len(times)
    assert all(0 < seconds < 1 for seconds in times)


def test_settle_ends():
    settle(quiet=0.001, longest=0.01)
