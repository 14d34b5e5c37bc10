#!/usr/bin/env bash
# The fuzzers of the C++ core, each for so many executions; needs Clang. What they find
# lies in build/fuzz/found; figures of a long run: fuzz-log.md.
usage="usage: tests/long/run fuzz [--plain] [--seconds N | --runs N] [NAME]...
  NAME          layer, memory, runs or schedule (default: all)
  --plain       without sanitizers, faster
  --seconds N   each of them for so long (default: 600)
  --runs N      each of them so often"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
limit=-max_total_time=600 preset=fuzz names=()
while [ $# -gt 0 ]; do
    case $1 in
        --plain) preset=fuzz-plain ;;
        --seconds) limit=-max_total_time=$2 && shift ;;
        --runs) limit=-runs=$2 && shift ;;
        layer | memory | runs | schedule) names+=("$1") ;;
        *) echo "$usage" && [ "$1" = --help ] && exit 0 || exit 2 ;;
    esac
    shift
done
[ ${#names[@]} -gt 0 ] || names=(layer memory runs schedule)

cmake --preset $preset >/dev/null
cmake --build --preset $preset | tail -n 1
mkdir -p build/fuzz/found
for name in "${names[@]}"; do
    echo "==== $name"
    mkdir -p "build/fuzz/corpus/$name"
    # Leaks are looked for at the end.
    "build/$preset/cpp/fuzz/fuzz_$name" "$limit" -max_len=64 \
        -print_final_stats=1 -artifact_prefix=build/fuzz/found/ \
        "build/fuzz/corpus/$name" "cpp/fuzz/corpus/$name" 2>&1 | tail -n 12
done
