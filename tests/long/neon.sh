#!/usr/bin/env bash
# The C++ tests cross-compiled for aarch64 and run under qemu-user: right, and the bits of
# AVX2. Needs g++-aarch64-linux-gnu, qemu-user and doctest-dev.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --preset neon >/dev/null
cmake --build --preset neon
ctest --preset neon
