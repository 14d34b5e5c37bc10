#!/usr/bin/env bash
# Two wheels built in two folders are equal to the bit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv "$work/venv"
export PATH=$work/venv/bin:$PATH
pip install -q -U pip
pip install -q scikit-build-core 'pybind11>=3.0.2' ninja cmake
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH CCACHE_DISABLE=1
for place in here "somewhere else"; do
    mkdir -p "$work/$place/source"
    git archive HEAD | tar -x -C "$work/$place/source"
    pip wheel -q --no-build-isolation --no-deps --no-cache-dir \
        -w "$work/$place" "$work/$place/source"
done
sha256sum "$work"/*/*.whl
cmp "$work"/here/*.whl "$work/somewhere else"/*.whl
echo "equal to the bit"
