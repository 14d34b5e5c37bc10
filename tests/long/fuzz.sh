#!/usr/bin/env bash
# The fuzzers of the C++ core, each for so many executions; needs Clang. What they find
# lies in build/fuzz/found; figures of a long run: fuzz-log.md.
usage="usage: tests/long/run fuzz [--seconds N] [runs|layer]...
  --seconds N   each of them for so long (default: 600)"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=600 names=()
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=$2 && shift ;;
        runs | layer) names+=("$1") ;;
        *) echo "$usage" && [ "$1" = --help ] && exit 0 || exit 2 ;;
    esac
    shift
done
[ ${#names[@]} -gt 0 ] || names=(runs layer)

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz | tail -n 1
mkdir -p build/fuzz/found
for name in "${names[@]}"; do
    echo "==== $name"
    mkdir -p "build/fuzz/corpus/$name"
    # Leaks are looked for at the end.
    build/fuzz/cpp/fuzz/fuzz_$name -max_total_time="$seconds" -max_len=64 \
        -print_final_stats=1 -artifact_prefix=build/fuzz/found/ \
        "build/fuzz/corpus/$name" "cpp/fuzz/corpus/$name" 2>&1 | tail -n 12
done
