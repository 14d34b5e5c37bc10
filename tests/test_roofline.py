"""Calibration and the bound on the time of a call."""

import itertools
import threading

import numpy as np
import pytest

import rnnext
from rnnext import _core
from rnnext._roofline import GATES, USUAL_CACHES, Call, Machine, cache_sizes, measure

# Two cores of the study's machine (Zen 3), in round numbers.
PEAK = {"float32": 200e9, "float64": 100e9}
CORE = {"float32": 100e9, "float64": 50e9}
READ = {"L1": 400e9, "L2": 180e9, "L3": 140e9, "DRAM": 20e9}
CACHES = {"L1": 32 << 10, "L2": 512 << 10, "L3": 32 << 20}
ZEN3 = Machine(2, PEAK, CORE, READ, CACHES, 1e-7)


# ---------------------------------------------------------------- measuring


@pytest.mark.parametrize("name", ["2", "float16", "", "float32 "])
def test_peak_of_another_dtype(name):
    with pytest.raises(ValueError, match=r"dtype: expected .*, got"):
        _core.measure_peak(name, 1)


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_number_of_threads(threads):
    for call in (
        lambda: _core.measure_peak("float32", threads),
        lambda: _core.measure_read(1024, threads),
        lambda: _core.measure_barrier(threads),
    ):
        with pytest.raises(ValueError, match=r"threads: expected 1 to 1024, got"):
            call()


@pytest.mark.parametrize("size", [0, -1, 2**32 + 1])
def test_size_of_a_read(size):
    with pytest.raises(ValueError, match=r"bytes: expected 1 to 4294967296, got"):
        _core.measure_read(size, 1)


@pytest.mark.parametrize("wrong", [None, 1.5, "1", np.zeros(1)], ids=repr)
def test_wrong_kinds(wrong):
    for call in (
        lambda: _core.measure_peak("float32", wrong),
        lambda: _core.measure_read(wrong, 1),
        lambda: _core.measure_barrier(wrong),
    ):
        with pytest.raises(TypeError):
            call()


def test_others_run_during_a_measurement():
    """It holds no lock of the interpreter."""
    counted = itertools.count()
    stop = threading.Event()

    def count():
        while not stop.is_set():
            next(counted)

    other = threading.Thread(target=count)
    other.start()
    before = next(counted)
    _core.measure_barrier(1)
    after = next(counted)
    stop.set()
    other.join()
    assert after > before + 100


def test_machine_has_limits_of_every_kind(isa):
    machine = measure(2)
    assert machine.threads == 2
    assert list(machine.peak) == list(machine.core_peak) == ["float32", "float64"]
    assert list(machine.read) == ["L1", "L2", "L3", "DRAM"]
    figures = (machine.peak, machine.core_peak, machine.read)
    assert all(1e6 < x < 1e14 for part in figures for x in part.values())
    assert 0 < machine.barrier < 10


def test_cache_sizes(tmp_path):
    told = [
        ("1", "Data", "48K"),
        ("1", "Instruction", "64K"),
        ("2", "Unified", "2048K"),
    ]
    for i, entry in enumerate(told):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, value in zip(("level", "type", "size"), entry, strict=True):
            (folder / name).write_text(value + "\n")
    (tmp_path / "index3").mkdir()
    expected = {"L1": 48 << 10, "L2": 2048 << 10, "L3": USUAL_CACHES["L3"]}
    assert cache_sizes(str(tmp_path)) == expected


# ---------------------------------------------------------------- the bound


def calls():
    for cell in GATES:
        for T, N, I, H in [(1, 1, 64, 64), (100, 1, 64, 512), (7, 10, 3, 5)]:
            for dtype, training in itertools.product(PEAK, (False, True)):
                yield Call(cell, T, N, I, H, dtype, training)
                yield Call(cell, T, N, I, H, dtype, training, layers=3, directions=2)


def test_flops_are_those_of_the_products():
    for call in calls():
        layer = {"rnn": rnnext.RNN, "gru": rnnext.GRU, "lstm": rnnext.LSTM}[call.cell](
            call.input_size,
            call.hidden_size,
            num_layers=call.layers,
            bidirectional=call.directions == 2,
        )
        weights = sum(p.size for n, p in layer.parameters.items() if "weight" in n)
        products = 2 * call.steps * call.batch * weights
        assert call.flops == products * (3 if call.training else 1)


def test_no_call_passes_the_peak():
    for call in calls():
        assert ZEN3.bound(call) >= call.flops / PEAK[call.dtype]


def test_reading_binds_one_sequence_and_arithmetic_a_batch():
    """As worked out by hand from the formulas of the model."""
    T, H, dtype = 100, 256, "float32"
    pointwise = H * 144 / PEAK[dtype]
    weights = 4 * 4 * H * H  # 1 MB: half of it for each core, out of its L2
    one = 2 * 4 * H * H / PEAK[dtype]
    step = weights / READ["L3"] + pointwise
    bound = ZEN3.bound(Call("lstm", T, 1, H, H))
    assert bound == pytest.approx(T * (one + step))
    assert weights / READ["L3"] > one

    bound = ZEN3.bound(Call("lstm", T, 64, H, H))
    assert bound == pytest.approx(64 * T * (2 * one + pointwise))


def test_a_step_alone_reads_all_weights():
    H = 64  # the recurrent weights fit L1, all weights do not
    weights = 4 * 3 * H * 2 * H
    assert ZEN3.level(weights / 2) == "L1"
    assert ZEN3.level(weights) == "L2"
    pointwise = H * 96 / PEAK["float32"]
    expected = weights / READ["L2"] + pointwise
    assert ZEN3.bound(Call("gru", 1, 1, H, H)) == pytest.approx(expected)


def test_long_narrow_sequences_are_bound_by_memory():
    call = Call("rnn", 1000, 4000, 2, 2)
    streamed = 4 * 1000 * 4000 * (2 + 2)  # x and y
    assert ZEN3.bound(call) == pytest.approx(streamed / READ["DRAM"])


def test_more_work_takes_more_time():
    call = Call("gru", 10, 4, 32, 64)
    least = ZEN3.bound(call)
    for more in (
        Call("lstm", 10, 4, 32, 64),
        Call("gru", 20, 4, 32, 64),
        Call("gru", 10, 8, 32, 64),
        Call("gru", 10, 4, 64, 64),
        Call("gru", 10, 4, 32, 128),
        Call("gru", 10, 4, 32, 64, "float64"),
        Call("gru", 10, 4, 32, 64, training=True),
        Call("gru", 10, 4, 32, 64, layers=2),
        Call("gru", 10, 4, 32, 64, directions=2),
    ):
        assert ZEN3.bound(more) > least
