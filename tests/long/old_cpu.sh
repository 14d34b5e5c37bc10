#!/usr/bin/env bash
# What is built runs on processors of before AVX: C++ tests on one of x86-64 version 1,
# Python's tests on a Nehalem, the oldest that NumPy still runs on. Needs qemu-user.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --preset release >/dev/null
cmake --build --preset release | tail -n 1
for name in bits gemm machine stress; do
    echo "==== test_$name"
    qemu-x86_64 -cpu qemu64,-sse3,-cx16 build/release/cpp/tests/test_$name
done
python=$(python3 -c 'import sys; print(sys.executable)')
nehalem() { qemu-x86_64 -cpu Nehalem "$python" "$@"; }
echo "==== Python"
[ "$(nehalem -c 'import rnnext; print(*rnnext.config()["available_isas"])')" = baseline ]
nehalem -m pytest -q -p no:cacheprovider tests/test_wheel.py tests/test_core.py \
    tests/test_stepper.py tests/test_tokens.py
