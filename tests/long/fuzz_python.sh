#!/usr/bin/env bash
# Fuzzes the readers of files with atheris: fuzz/files.py, graphs.py and texts.py.
#
#     tests/long/run fuzz_python [SECONDS of each] [HARNESS ...]
#
# Needs the dependency group `fuzz`. What breaks a harness is left in crash-* here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1:-}" = --help ]; then sed -n '2,6p' "$0"; exit; fi
seconds=${1:-600}
harnesses=("${@:2}")
[ ${#harnesses[@]} -gt 0 ] || harnesses=(files graphs texts)
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
python3 "$here/fuzz/seeds.py" "$corpus" > /dev/null
for name in "${harnesses[@]}"; do
    echo "== $name"
    python3 -W ignore "$here/fuzz/$name.py" -max_total_time="$seconds" -max_len=8192 \
        -rss_limit_mb=2048 -timeout=60 -print_final_stats=1 -verbosity=1 \
        "$corpus/$name" 2>&1 | grep -E '^(stat|==|INFO: seed|Traceback|.*Error|crash)' || true
done
ls "$here"/crash-* crash-* 2> /dev/null && exit 1 || exit 0
