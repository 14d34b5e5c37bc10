"""Training on several ranks, each a process started by mpiexec."""

import shutil
import subprocess
import sys
from pathlib import Path

import distributed_cases as cases
import numpy as np
import pytest
from conftest import assert_same_bits

import rnnext
from rnnext.distributed import Workers, _cores

CASES = Path(cases.__file__)


def mpiexec(ranks, *argv, **options):
    """Run Python on several ranks of this machine, as root and on few CPUs, too."""
    beside = Path(sys.executable).with_name("mpiexec")
    command = beside if beside.exists() else shutil.which("mpiexec")
    assert command, "the package openmpi of the extra `distributed` has mpiexec"
    options_of_it = ["--allow-run-as-root", "--oversubscribe", "-n", str(ranks)]
    return subprocess.run(
        [command, *options_of_it, sys.executable, *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def run(case, ranks, folder):
    """What a case wrote, by rank."""
    done = mpiexec(ranks, CASES, case, folder)
    assert done.returncode == 0, done.stderr
    files = [folder / f"{case}-{rank}.npz" for rank in range(ranks)]
    return [dict(np.load(file)) for file in files]


def part(found, prefix):
    return {
        name.removeprefix(prefix): array
        for name, array in found.items()
        if name.startswith(prefix)
    }


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    return run("exchange", 4, tmp_path_factory.mktemp("exchange"))


def test_the_average_is_a_sum_in_the_order_of_the_ranks(exchanged):
    everyone = [cases.gradients(rank) for rank in range(4)]
    expected = {}
    for name, first in everyone[0].items():
        kind, total = first.dtype.type, np.zeros_like(first)
        for theirs, weight in zip(everyone, cases.WEIGHTS, strict=True):
            total = total + theirs[name] * kind(weight)
        expected[name] = np.asarray(total / kind(sum(cases.WEIGHTS)))
    for found in exchanged:
        assert_same_bits(part(found, "ordered."), expected)
        assert_same_bits(part(found, "again."), expected)
        for name, array in part(found, "free.").items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-6)


def test_the_order_shows(exchanged):
    """The check above can fail: another order has other bits."""
    everyone = [cases.gradients(rank) for rank in range(4)]
    total = np.zeros(cases.SHAPES["a"], np.float32)
    for theirs, weight in zip(everyone[::-1], cases.WEIGHTS[::-1], strict=True):
        total = total + theirs["a"] * np.float32(weight)
    total /= np.float32(sum(cases.WEIGHTS))
    assert (total != exchanged[0]["ordered.a"]).any()


def test_all_have_the_parameters_of_rank_0(exchanged):
    expected = rnnext.GRU(cases.I, cases.H, rng=0).state_dict()
    for found in exchanged:
        assert_same_bits(part(found, "model."), expected)


def test_sums_shards_and_ranks(exchanged):
    whole = np.arange(2 * cases.N).reshape(2, cases.N)
    shards = [found["shard"] for found in exchanged]
    assert [shard.shape[1] for shard in shards] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(shards, axis=1), whole)
    labels = np.concatenate([found["labels"] for found in exchanged])
    np.testing.assert_array_equal(labels, np.arange(cases.N))
    for rank, found in enumerate(exchanged):
        expected = [[4, ((0.0 + 0.1) + 0.2) + 0.1 * 3], [1e-9 * 4, 4e9]]
        np.testing.assert_array_equal(found["sum"], expected)
        assert list(found["ranks"]) == [rank, 4, 4]


def test_ranks_of_one_host_share_its_cpus(exchanged):
    cpus = len(_cores._cpus())
    assert {int(found["threads"]) for found in exchanged} == {max(1, cpus // 4)}


def test_every_rank_hears_of_a_mistake(exchanged):
    for found in exchanged:
        assert "rank 2 differs from rank 0 in other, same" in str(found["different"])
        assert "sum over the ranks above 0" in str(found["weightless"])
        assert "at least 4, one for every rank, got N=1" in str(found["short"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run("train", 2, tmp_path_factory.mktemp("train"))


@pytest.mark.parametrize(("dtype", "close"), [("float32", 2e-6), ("float64", 1e-14)])
def test_the_loss_curve_is_that_of_one_process(trained, dtype, close):
    model, losses = cases.network(dtype), []
    for x, target in cases.batches(dtype):
        loss, grads = cases.step(*model, x, target)
        losses.append(loss)
        cases.descend(*model, grads)
    np.testing.assert_allclose(trained[0][f"losses.{dtype}"], losses, rtol=close)
    assert losses[-1] < losses[0]


def test_the_same_bits_on_every_rank_and_run_after_run(trained, tmp_path):
    again = run("train", 2, tmp_path)
    for found in [trained[1], *again]:
        assert_same_bits(found, trained[0])


def test_the_kits_loop_on_two_ranks(tmp_path):
    data = list(cases.ragged())
    history, model = cases.fit(data)
    first, second = run("loop", 2, tmp_path)
    for found in (first, second):
        told = str(found.pop("fewer"))
        assert "batches: expected as many on every rank" in told
    assert_same_bits(first, second)
    np.testing.assert_allclose(first["loss"], history.loss, rtol=1e-12)
    np.testing.assert_allclose(first["norm"], history.gradient_norm, rtol=1e-12)
    for name, array in part(first, "model.").items():
        np.testing.assert_allclose(array, model.parameters[name], rtol=1e-9)
    assert first["epochs"][1] < first["epochs"][0]
    assert first["stopped"] == 3
    assert first["epoch"] == cases.STEPS


@pytest.mark.parametrize(
    ("case", "code", "told"),
    [
        ("fail", 1, ("ZeroDivisionError: of rank one", "(rank 1 of 2 on ")),
        ("die", 137, ("exited on", "signal 9")),
    ],
)
def test_a_rank_that_dies_ends_the_job(tmp_path, case, code, told):
    done = mpiexec(2, CASES, case, tmp_path)
    assert done.returncode == code
    for words in (*told, cases.LAST_WORDS):
        assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


# One rank, without mpiexec


def test_one_rank_changes_nothing():
    grads, threads = cases.gradients(0), rnnext.get_num_threads()
    with Workers() as workers:
        assert (workers.rank, workers.size) == (0, 1)
        assert repr(workers) == "Workers(rank=0, size=1)"
        workers.average(grads, weight=5)
    assert_same_bits(grads, cases.gradients(0))
    assert rnnext.get_num_threads() == threads


def test_an_exception_of_one_rank_is_an_exception():
    with pytest.raises(ZeroDivisionError), Workers():
        raise ZeroDivisionError


def test_gradients_of_a_layer_are_taken_as_they_are():
    layer = rnnext.RNN(2, 3, rng=0)
    y, _, cache = layer.forward(np.ones((4, 2, 2), np.float32))
    Workers().average(layer.backward(cache, y))


@pytest.mark.parametrize(
    ("kind", "words", "action"),
    [
        (TypeError, "comm: expected an mpi4py.MPI.Comm", lambda w: Workers(comm=3)),
        (TypeError, "expected Gradients or a map", lambda w: w.average([np.ones(2)])),
        (
            TypeError,
            "'a'.: expected a float",
            lambda w: w.average({"a": np.ones(2, int)}),
        ),
        (TypeError, "'a'.: .* got float$", lambda w: w.average({"a": 1.0})),
        (
            TypeError,
            "expected a writable array",
            lambda w: w.average(rnnext.RNN(2, 3).parameters),
        ),
        (
            ValueError,
            "weight: expected a number of 0 or more, got -1",
            lambda w: w.average({"a": np.ones(2)}, weight=-1),
        ),
        (
            ValueError,
            "weight: expected a number of 0 or more, got nan",
            lambda w: w.average({"a": np.ones(2)}, weight=np.nan),
        ),
        (
            TypeError,
            "model: expected a layer",
            lambda w: w.broadcast({"a": 1}),
        ),
        (TypeError, "array: expected an ndarray, got list", lambda w: w.shard([1, 2])),
        (TypeError, "axis: expected an int", lambda w: w.shard(np.ones((2, 2)), 1.0)),
        (ValueError, "axis: 1 is none", lambda w: w.shard(np.ones(2))),
    ],
)
def test_mistakes_are_named(kind, words, action):
    with pytest.raises(kind, match=words):
        action(Workers())


def test_an_mpiexec_of_another_mpi_is_noticed(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(RuntimeError, match="different MPIs"):
        Workers()


class Host:
    """The ranks of a host, for what `fair_threads` asks of them."""

    def __init__(self, *cpus):
        self.cpus = cpus

    def allgather(self, _):
        return list(self.cpus)


@pytest.mark.parametrize(
    ("limit", "cpus", "expected"),
    [
        (8, [range(8), range(8)], 4),  # not bound
        (8, [range(8)] * 3, 2),
        (4, [range(4), range(4, 8)], 4),  # bound to CPUs of their own
        (1, [range(1), range(1, 2)], 1),
        (2, [range(2)] * 5, 1),  # more ranks than CPUs
        (8, [range(8), range(4)], 6),  # 4 CPUs alone, 4 with another rank
        (4, [range(16), range(16)], 2),  # a container with the time of 4 CPUs
        (1, [range(16)], 1),
    ],
)
def test_the_threads_of_a_rank(monkeypatch, threads, limit, cpus, expected):
    everyone = [set(one) for one in cpus]
    monkeypatch.setattr(_cores, "_cpus", lambda: everyone[0])
    monkeypatch.delenv("RNNEXT_NUM_THREADS", raising=False)
    threads(limit)
    assert _cores.fair_threads(Host(*everyone)) == expected
    monkeypatch.setenv("RNNEXT_NUM_THREADS", "7")
    assert _cores.fair_threads(Host(*everyone)) == limit


@pytest.mark.parametrize("missing", ["mpi4py", "mpi4py.MPI"])
def test_without_the_extra_the_message_says_what_to_install(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; import rnnext.distributed"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "rnnext[distributed]"' in done.stderr.splitlines()[-1]
