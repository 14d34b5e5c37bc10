"""The list of planted faults (tests/long/mutants.toml) fits the code as it is."""

from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")

ROOT = Path(__file__).parents[1]
MUTANTS = tomllib.loads((ROOT / "tests/long/mutants.toml").read_text())["mutant"]


def test_every_mutant_changes_one_place():
    assert len(MUTANTS) >= 50
    for mutant in MUTANTS:
        text = (ROOT / mutant["file"]).read_text()
        assert text.count(mutant["old"]) == 1, mutant
        assert mutant["old"] != mutant["new"]


def test_every_mutant_is_in_the_table():
    table = (ROOT / "tests/long/mutants.md").read_text()
    for mutant in MUTANTS:
        assert f"| `{mutant['file']}` | {mutant['breaks']} |" in table
