"""The extension file as checksec reads it: what a fault in it can not be used for."""

import sys
from pathlib import Path

import pytest

from rnnext import _core

if sys.platform != "linux":
    pytest.skip("ELF is the format of Linux", allow_module_level=True)

from elftools.elf.elffile import ELFFile


@pytest.fixture(scope="module")
def elf():
    with Path(_core.__file__).open("rb") as file:
        yield ELFFile(file)


def segments(elf, kind):
    return [s for s in elf.iter_segments() if s["p_type"] == kind]


def dynamic(elf):
    """Entries of the dynamic section by tag; of those that come often the last."""
    return {
        tag.entry.d_tag: tag for tag in elf.get_section_by_name(".dynamic").iter_tags()
    }


def test_addresses_are_chosen_at_load(elf):
    assert elf["e_type"] == "ET_DYN"
    assert "DT_TEXTREL" not in dynamic(elf)


def test_what_is_bound_is_read_only(elf):
    """RELRO, and in full: every symbol is bound at load."""
    assert segments(elf, "PT_GNU_RELRO")
    tags = dynamic(elf)
    flags = tags["DT_FLAGS"].entry.d_val if "DT_FLAGS" in tags else 0
    assert flags & 0x8 or "DT_BIND_NOW" in tags


def test_no_memory_is_writable_and_executable(elf):
    writable, executable = 2, 1
    (stack,) = segments(elf, "PT_GNU_STACK")
    assert not stack["p_flags"] & executable
    for segment in segments(elf, "PT_LOAD"):
        both = writable | executable
        assert segment["p_flags"] & both != both


def test_libraries_are_found_where_the_system_says(elf):
    assert not {"DT_RPATH", "DT_RUNPATH"} & set(dynamic(elf))


def symbols(elf):
    return [s for s in elf.get_section_by_name(".dynsym").iter_symbols() if s.name]


def test_one_symbol_is_for_others(elf):
    defined = {s.name for s in symbols(elf) if s["st_shndx"] != "SHN_UNDEF"}
    assert defined == {"PyInit__core"}


def test_a_stack_that_is_written_over_ends_the_process(elf):
    assert "__stack_chk_fail" in {s.name for s in symbols(elf)}


def test_assertions_of_the_standard_library_are_on(elf):
    assert any("glibcxx_assert_fail" in s.name for s in symbols(elf))
