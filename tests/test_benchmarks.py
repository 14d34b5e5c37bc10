"""The programs in benchmarks/: what they measure, how they count, what they say."""

import json
import time

import compare
import figure
import measure
import memory
import pytest
import report
import scaling
import sweep
from cases import CELLS, SHAPES, Case, Group, Problem, groups
from conftest import make_layer
from peers import OURS, PEERS
from results import Result, from_json, summarize, to_json
from worker import PAUSES, Server

from rnnext._roofline import Machine

MACHINE = Machine(
    2,
    {"float32": 200e9, "float64": 100e9},
    {"float32": 100e9, "float64": 50e9},
    {"L1": 400e9, "L2": 200e9, "L3": 150e9, "DRAM": 20e9},
    {"L1": 32 << 10, "L2": 512 << 10, "L3": 32 << 20},
    1e-7,
)
SMALL = Case("inference", "lstm", (7, 10, 3, 5))
LARGE = Case("inference", "lstm", (100, 64, 256, 256))


def of_bound(case, part, **peers):
    """A result at a part of the roofline, and peers at multiples of its time."""
    seconds = MACHINE.bound(case.call) / part
    return Result(case, {OURS: seconds} | {k: v * seconds for k, v in peers.items()})


# ---------------------------------------------------------------- cases


def test_groups_hold_every_case_once():
    cases = [case for group in groups() for case in group.cases]
    assert len(cases) == len(set(cases)) == 39 + 39 + 9 + 6 + 6 + 78 + 24
    assert len(SHAPES) == 13
    for cell in CELLS:
        own = [group.only([cell]).cases for group in groups()]
        assert sum(map(len, own)) == len(cases) / 3


def test_targets():
    def least(work, shape, **options):
        return Case(work, "gru", shape, **options).least_ratio

    batch_1 = [(100, 1, H, H) for H in (64, 128, 256, 512)]
    assert [least("inference", shape) for shape in batch_1] == [2, 2, 1.7, 1.3]
    assert least("inference", (1, 1, 64, 64)) == 1.2
    assert {least("training", shape) for shape in SHAPES} == {1.3}
    steps = [least("step", (1, 1, H, H)) for H in (32, 128, 256, 512)]
    assert steps == [5, 5, 1.5, 1.5]
    assert least("step", (1, 1, 64, 64), pause=0.01) == 1.2
    assert least("training", (50, 64, 512, 512), dtype="float64") == 1.5
    assert least("training", (100, 1, 128, 128), layers=3) == 1.2
    for more in ({"ragged": True}, {"tokens": True}):
        assert least("training", (100, 64, 128, 256), **more) == 1.2
    assert [group.mean for group in groups()] == [2.6, 4, 7, 2, 2, 2.6, 2.5]


def test_targets_of_the_machine():
    def peak(work, shape, dtype="float32"):
        return Case(work, "rnn", shape, dtype).least_peak

    assert peak("inference", (25, 32, 256, 256)) == 0.84
    assert peak("training", (25, 32, 256, 256)) == 0.82
    assert peak("training", (25, 32, 256, 256), "float64") == 0.80
    for shape in [(24, 32, 256, 256), (25, 31, 256, 256), (25, 32, 255, 256)]:
        assert peak("inference", shape) is None

    def roofline(cell, shape):
        return Case("inference", cell, shape).least_roofline

    assert roofline("lstm", (100, 1, 64, 64)) is None  # 64 KB
    assert roofline("lstm", (100, 1, 64, 65)) == 0.75
    assert roofline("rnn", (100, 1, 128, 128)) is None
    assert roofline("rnn", (100, 2, 512, 512)) is None


def test_calls_come_after_their_pauses():
    server = Server(OURS, 1)
    for pause, least in [(0.0, 0.0), (0.002, 0.002 * PAUSES)]:
        server.prepare(Case("step", "gru", (1, 1, 8, 8), pause=pause))
        server.choose()
        start = time.perf_counter()
        seconds = server.time(0.001)
        assert 0 < seconds < time.perf_counter() - start >= least
    rare = Case("step", "gru", (1, 1, 64, 64), pause=0.01)
    assert rare.size == "1, 1, 64, 64, every 10 ms"
    assert rare.most_seconds is None


def test_problem_is_that_of_a_layer():
    for group in groups(quick=True):
        for case in group.cases:
            problem = Problem(case)
            layer = make_layer(
                {"rnn": "rnn_tanh"}.get(case.cell, case.cell),
                *case.shape[2:],
                num_layers=case.layers,
                bidirectional=case.directions == 2,
                dtype=case.dtype,
            )
            layer.load_state_dict(problem.parameters)
            y, _ = layer(problem.x)
            assert y.shape == problem.dy.shape
            assert problem.dy.dtype == case.dtype
            assert problem.x.dtype == ("int64" if case.tokens else case.dtype)


def test_work_is_that_of_the_steps_that_there_are():
    shape = (100, 64, 128, 256)
    whole = Case("inference", "lstm", shape).call
    ragged = Case("inference", "lstm", shape, ragged=True)
    tokens = Case("inference", "lstm", shape, tokens=True).call
    assert ragged.call.batch == round(ragged.lengths.sum() / 100)
    assert 1 <= ragged.lengths.min() <= ragged.lengths.max() <= 100
    assert 0.4 < ragged.call.flops / whole.flops < 0.6
    assert tokens.flops == whole.flops * 256 / (128 + 256)


def test_peers_know_what_they_can_do():
    assert PEERS[OURS].missing() == []
    assert not PEERS["onnxruntime"].supports(Case("training", "rnn", SMALL.shape))
    assert not PEERS["openvino"].supports(Case("step", "rnn", SMALL.shape, "float64"))
    for group in groups():
        for case in group.cases:
            assert PEERS[OURS].supports(case)
            assert PEERS["torch"].supports(case)


# ---------------------------------------------------------------- arithmetic


def test_ratio_is_to_the_fastest():
    result = Result(SMALL, {OURS: 2e-6, "torch": 9e-6, "jax": 5e-6})
    assert result.ratios() == pytest.approx({"torch": 4.5, "jax": 2.5})
    assert result.ratio == pytest.approx(2.5)
    assert result.misses(MACHINE) == []


def test_without_peers_there_is_no_ratio():
    result = Result(SMALL, {OURS: 2e-6})
    assert result.ratio is None
    assert result.misses(MACHINE) == []
    assert Result(SMALL, {"torch": 1e-6}).ratios() == {}


def test_parts_of_the_limits():
    result = of_bound(LARGE, 0.5)
    assert result.of_roofline(MACHINE) == pytest.approx(0.5)
    rate = LARGE.call.flops / result.seconds[OURS]
    assert result.of_peak(MACHINE) == pytest.approx(rate / 200e9)


def test_misses_are_named():
    assert of_bound(LARGE, 0.95, torch=1.3).misses(MACHINE) == []
    slow = of_bound(LARGE, 0.5, torch=1.1).misses(MACHINE)
    assert slow == ["ratio 1.10 of 1.2", "48% of peak, not 84%"]
    batch_1 = of_bound(Case("inference", "lstm", (100, 1, 256, 256)), 0.6, torch=9)
    assert batch_1.misses(MACHINE) == ["60% of roofline, not 75%"]
    hopeless = of_bound(LARGE, 0.9, torch=1.0).misses(MACHINE)
    assert hopeless == ["ratio 1.00 of 1.2, 1.11 at the roofline"]
    step = Result(Case("step", "rnn", (1, 1, 64, 64)), {OURS: 4e-6, "jax": 4e-5})
    assert step.misses(MACHINE) == ["4.0 µs, not 3 µs"]
    failed = Result(SMALL, {"torch": 1e-6}, {OURS: "died with exit code -11"})
    assert failed.misses(MACHINE) == ["rnnext: died with exit code -11"]


def test_summary():
    cases = [Case("inference", "rnn", (1, 1, H, H)) for H in (2, 3, 4)]
    group = Group("g", "G", tuple(cases), mean=2.0)
    results = [
        Result(case, {OURS: 1e-6, "torch": ratio * 1e-6})
        for case, ratio in zip(cases, (1.0, 2.0, 4.0), strict=True)
    ]
    summary = summarize(group, [*results, Result(SMALL, {OURS: 1e-6})], MACHINE)
    assert (summary.count, summary.below) == (3, 1)
    assert summary.least == pytest.approx(1.0)
    assert summary.mean == pytest.approx(2.0)
    assert not summary.reached
    assert (summary.beyond, summary.ceiling > summary.mean) == (0, True)
    assert summarize(group, results[1:], MACHINE).reached
    assert not summarize(Group("g", "G", (), mean=3.0), results[1:], MACHINE).reached
    assert summarize(group, [Result(SMALL, {OURS: 1e-6})], MACHINE) is None


def test_results_come_back_from_json():
    results = [
        of_bound(LARGE, 0.5, torch=2.0),
        Result(SMALL, {}, {OURS: "no answer in 300 s"}, {"torch": "cell"}),
    ]
    assert from_json(json.loads(json.dumps(to_json(results)))) == results


@pytest.mark.parametrize(
    ("shape", "seconds", "expected"),
    [
        ((100, 8, 64, 64), 1e-3, 1.8),
        ((100, 1, 64, 64), 1e-3, 1.5),
        ((100, 4, 64, 64), 1e-3, None),
        ((100, 8, 64, 63), 1e-3, None),
        ((100, 8, 64, 64), 1e-4, None),
    ],
)
def test_target_of_scaling(shape, seconds, expected):
    assert scaling.least_scaling(Case("inference", "rnn", shape), seconds) == expected


def test_estimate_grows_with_the_work():
    def minutes(cases, names=("rnnext", "torch"), rounds=5):
        return measure.estimate(cases, names, MACHINE, rounds, 0.05) / 60

    everything = [case for group in groups() for case in group.cases]
    assert 1 < minutes(everything, tuple(PEERS)) < 15
    assert minutes(everything[:9]) < minutes(everything)
    assert minutes(everything, rounds=3) < minutes(everything)
    assert minutes(everything, ("rnnext",)) < minutes(everything)


# ---------------------------------------------------------------- reports


def some_results():
    results = []
    for group in groups():
        for i, case in enumerate(group.cases):
            able = [name for name in PEERS if PEERS[name].supports(case)][1:]
            results.append(of_bound(case, 0.8, **dict.fromkeys(able, 1.1 + i % 5)))
    failed = Result(results[3].case, {"torch": 1e-6}, {OURS: "ValueError: no"})
    return [*results[:3], failed, *results[4:]]


def test_text(capsys):
    results = some_results()
    head = report.text_header(list(PEERS))
    row = report.text_row(results[0], list(PEERS), MACHINE)
    assert len(row) == len(head) + 2
    assert row.endswith(" *")
    assert "ValueError: no *" in report.text_row(results[3], list(PEERS), MACHINE)
    summary = report.text_summary(groups(), results, MACHINE)
    assert "misses: inference rnn 1, 1, 64, 64 float32: ratio 1.10 of 1.2" in summary
    assert "no figure: rnnext, inference rnn 100, 1, 64, 64 float32" in summary


def test_markdown():
    run = {
        "date": "2026-01-01",
        "environment": report.environment(),
        "libraries": list(PEERS),
        "rounds": 5,
        "seconds": 0.05,
    }
    text = report.markdown(groups(), some_results(), MACHINE, run, "RESULTS.png")
    lines = text.splitlines()
    assert "![Ratios of every case](RESULTS.png)" in lines
    tables = [i for i, line in enumerate(lines) if line.startswith("|---")]
    assert len(tables) == 1 + len(groups())
    rows = 0
    for i in tables:
        columns = lines[i].count("|")
        table = lines[i - 1 :]
        table = table[: next(j for j, line in enumerate(table) if line[:1] != "|")]
        assert {line.count("|") for line in table} == {columns}
        rows += len(table) - 2
    assert rows == len(groups()) + 201 - 1
    assert f"* {PEERS['jax'].title}: {PEERS['jax'].settings}" in lines


def test_figure(tmp_path):
    path = tmp_path / "new" / "ratios.png"
    figure.draw(groups(), some_results(), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_compare_runs_and_goes_on(tmp_path, capsys):
    path = tmp_path / "run.json"
    options = ["--quick", "--rounds", "1", "--seconds", "0.001", "--json", str(path)]
    options += ["--threads", "1", "--groups", "step", "large-step", "--against"]
    assert compare.main([*options, "--cells", "rnn"]) == 0
    first = json.loads(path.read_text())["results"]
    assert [entry["case"]["cell"] for entry in first] == ["rnn", "rnn"]

    markdown, png = tmp_path / "out" / "R.md", tmp_path / "out" / "R.png"
    more = ["--resume", "--markdown", str(markdown), "--figure", str(png)]
    assert compare.main([*options, *more]) == 0
    found = json.loads(path.read_text())["results"]
    assert len(found) == 6
    assert all(entry in found for entry in first)
    assert "![Ratios of every case](R.png)" in markdown.read_text()
    assert png.exists()

    capsys.readouterr()
    with pytest.raises(SystemExit, match="has another rounds: 1"):
        compare.main([*options, "--resume", "--rounds", "2"])


def test_scaling_runs(tmp_path, capsys):
    path = tmp_path / "scaling.json"
    options = ["--scaling", "--quick", "--rounds", "1", "--seconds", "0.001"]
    options += ["--threads", "2", "--groups", "network", "--cells", "rnn"]
    assert compare.main([*options, "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["threads"] == [1, 2]
    assert len(found["results"]) == 8
    assert all(s > 0 for entry in found["results"] for s in entry["seconds"])
    assert len(capsys.readouterr().out.splitlines()) == 9


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(PEERS["jax"].__class__, "missing", lambda peer: ["jax"])
    assert compare.installed(["jax"]) == [OURS]
    assert capsys.readouterr().out == "JAX: left out, no module jax\n"


# ---------------------------------------------------------------- sweep


def test_a_smooth_line_has_no_jump():
    sizes = range(1, 131)
    assert sweep.jumps(sizes, [1.0 + 0.1 * n for n in sizes]) == []
    assert sweep.jumps(sizes, [float(-(-n // 16)) for n in sizes]) == []  # steps
    assert sweep.jumps([], []) == sweep.jumps([5], [1.0]) == []


def test_a_cliff_is_found():
    sizes = list(range(1, 131))
    seconds = [float(n) for n in sizes]
    seconds[99] = 2 * 100.0
    (jump,) = sweep.jumps(sizes, seconds)
    assert (jump.size, jump.larger) == (100, 101)
    assert jump.ratio == pytest.approx(200 / 101)


def test_a_plateau_before_a_faster_size_is_found():
    """Slow up to 63, right from 64 on: those near enough are told."""
    sizes = list(range(40, 80))
    seconds = [2.0 if n < 64 else 1.0 for n in sizes]
    found = [jump.size for jump in sweep.jumps(sizes, seconds)]
    assert found == list(range(64 - sweep.NEAR, 64))


def test_noise_does_not_survive_a_second_look():
    grid = sweep.lines(["inference"], ["rnn"], quick=True)
    seen = {}

    def time_of(case, seconds):
        seen[case] = seen.get(case, 0) + 1
        T, N, I, H = case.shape
        true = 1e-6 * N * H * (I + H) * T
        always, once = H == 25 and N == 8, H == 49 and seen[case] == 1
        return true * (9 if always or once else 1)

    sweep.measure(grid, 1, 0.001, time_of)
    found = [
        (line.axis, j.size)
        for line in grid
        for j in sweep.jumps(line.sizes, line.seconds)
    ]
    assert found == [("H", 25)]


def test_grid():
    grid = sweep.lines(sweep.WORKS, CELLS, quick=False)
    sizes = {(line.axis, size) for line in grid for size in line.sizes}
    assert {("H", n) for n in range(1, 131)} <= sizes
    assert {("N", n) for n in range(1, 71)} <= sizes
    line = next(line for line in grid if line.axis == "N")
    assert line.case(7).shape == (8, 7, line.fixed, line.fixed)
    line.seconds = [1e-6] * len(line.sizes)
    flops = line.case(line.sizes[0]).call.flops
    assert line.per_flop()[0] == pytest.approx(1e3 / flops)


def test_sweep_runs(tmp_path, capsys):
    kept, png = tmp_path / "sweep.json", tmp_path / "sweep.png"
    options = ["--quick", "--passes", "1", "--seconds", "1e-5", "--cells", "gru"]
    assert sweep.main([*options, "--json", str(kept), "--figure", str(png)]) == 0
    lines = json.loads(kept.read_text())["lines"]
    assert {line["work"] for line in lines} == set(sweep.WORKS)
    assert all(s > 0 for line in lines for s in line["seconds"])
    assert png.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.splitlines()[-1].endswith(" jumps")


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("cell", CELLS)
def test_bytes_of_the_results(cell):
    case = Case("training", cell, (5, 2, 3, 4), "float64")
    problem = Problem(case)
    layer = make_layer({"rnn": "rnn_tanh"}.get(cell, cell), 3, 4)
    y, _, cache = layer.forward(problem.x)
    gradients = layer.backward(cache, problem.dy)
    saved = cache._saved[0]
    arrays = [y, gradients.x, *gradients.parameters.values(), *saved[1:]]
    assert memory.results_bytes(case) == sum(a.nbytes for a in arrays if a is not None)


def test_figures_of_memory():
    case = Case("training", "gru", (5, 2, 3, 4))
    assert memory.status("VmRSS") > 1 << 20
    assert memory.alone(memory.peak, OURS, 1, case) >= 0
    assert memory.alone(memory.faults, OURS, 1, case) >= 0
    assert memory.alone(memory.growth, OURS, 1, case, 100) < 64 << 20
