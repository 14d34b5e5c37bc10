#!/usr/bin/env bash
# The 16-lane code of AVX-512 on any machine with AVX2: right, and the bits of AVX2.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --preset emulated-avx512 >/dev/null
cmake --build --preset emulated-avx512
ctest --preset emulated-avx512
