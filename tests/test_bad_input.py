"""Bad input to every public function and method: see bad_input_check.py."""

import bad_input_check
import public
import pytest
from bad_input_layers import ENTRIES
from hypothesis import HealthCheck, Phase, given, settings

EXAMPLES = 10  # of an entry whose share is 1

# What takes nothing, or is made by the package and only holds what it is given.
NOTHING_TO_GIVE = {
    "config", "get_num_threads", "show_config", "Stream.reset",
    "Cache", "GradientReport", "Gradients", "History", "Stream", "onnx.Value",
    "distributed.Workers.abort",  # ends the process
}  # fmt: skip


def test_every_public_name_is_tried():
    names = {
        name for name in public.public()
        if name not in NOTHING_TO_GIVE and not name.endswith(".state_dict")
    }  # fmt: skip
    assert names == set(ENTRIES)


def examples_of(name):
    return max(1, round(EXAMPLES * ENTRIES[name].share))


def test_cases_are_enough():
    cases = sum(map(examples_of, ENTRIES)) * bad_input_check.PER_EXAMPLE
    assert cases >= 20_000


@pytest.mark.parametrize("name", ENTRIES)
def test_bad_input(name, tmp_path, monkeypatch):
    inner = tmp_path / "a" / "b"  # where files go that bad values name
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    count = 0

    @settings(
        max_examples=examples_of(name), deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(bad_input_check.examples())
    def run(example):
        nonlocal count
        count += bad_input_check.check(name, *example, tmp_path)

    with bad_input_check.bounded_memory():
        run()
    assert count >= examples_of(name) * bad_input_check.PER_EXAMPLE
