"""No object runs on a processor that it was not compiled for.

    check_objects.py OBJDUMP NM upper OBJECT...
    check_objects.py OBJDUMP NM baseline|avx2|avx512|neon OBJECT...

Of the upper wing and the baseline: not one instruction that is newer than x86-64.
Of a set of kernels: all that it defines for others lies in its namespace, it needs
nothing but three functions of the C library, and nothing in it runs at load.
"""

import re
import subprocess
import sys

# Before an opcode in 64-bit code: segments and sizes; REX.
PREFIXES = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3}
VECTOR_PREFIXES = {0xC4, 0xC5, 0x62}  # VEX of three and two bytes, EVEX
SSE3 = {"addsubps", "addsubpd", "haddps", "haddpd", "hsubps", "hsubpd", "lddqu"}
NEWER = SSE3 | {"movddup", "movshdup", "movsldup", "popcnt", "lzcnt", "rdrand"}
LIBRARY = {"memcpy", "memmove", "memset"}


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_newer(code, name):
    """Whether an instruction is none of x86-64, version 1."""
    at = 0
    while code[at] in PREFIXES:
        at += 1
    if code[at] & 0xF0 == 0x40:
        at += 1
    if code[at] in VECTOR_PREFIXES:
        return True
    # The three-byte opcodes came with SSSE3 and after.
    return (code[at] == 0x0F and code[at + 1] in (0x38, 0x3A)) or name in NEWER


def newer_instructions(objdump, path):
    line = re.compile(r"^\s*[0-9a-f]+:\t((?:[0-9a-f]{2} )+)\s*\t(?:\w+ )*?(\S+)")
    seen = 0
    for text in output(objdump, "-d", "-w", path).splitlines():
        found = line.match(text)
        if not found:
            continue
        seen += 1
        code = bytes.fromhex(found[1])
        words = text.split("\t")[2].split()
        if words[0] != "(bad)" and is_newer(code + b"\0\0", words[0]):
            yield text.strip()
    if not seen:
        raise SystemExit(f"{path}: no instructions were read")


def faults_of_kernels(nm, isa, path):
    own = f"_ZN6rnnext{len(isa)}{isa}"
    defined = 0
    for text in output(nm, "-g", path).splitlines():
        *_, kind, name = text.split()
        if kind == "U":
            if name not in LIBRARY and name != "_GLOBAL_OFFSET_TABLE_":
                yield f"needs {name}"
        else:
            defined += 1
            # Of a lambda or a template the name has more in front.
            if own not in name and f"6rnnext{len(isa)}{isa}" not in name:
                yield f"defines {name} outside of its namespace"
    if not defined:
        yield "defines nothing"


def sections_at_load(objdump, path):
    for text in output(objdump, "-h", "-w", path).splitlines():
        words = text.split()
        if len(words) > 1 and words[1].startswith((".init_array", ".ctors")):
            yield f"has code that runs at load: {words[1]}"


def main(objdump, nm, kind, *paths):
    faults = []
    for path in paths:
        found = []
        if kind != "upper":
            found += [*faults_of_kernels(nm, kind, path)]
            found += [*sections_at_load(objdump, path)]
        if kind in ("upper", "baseline"):
            found += [*newer_instructions(objdump, path)]
        faults += [f"{path}: {fault}" for fault in found]
    print(*faults[:20], f"{len(paths)} objects, {len(faults)} faults", sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
