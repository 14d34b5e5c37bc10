#!/usr/bin/env bash
# One wheel per Python, against old and new NumPy, in odd places and odd modes.
#
#   tests/long/abi.sh [3.12 ...]     Pythons, default: 3.10 3.11 3.12 3.13, as found
#
# The wheel is built where no NumPy is: the extension knows none of its headers. Then
# each is installed with NumPy 2.0, 2.2 and the newest that this Python has, and runs
# with -W error, with -OO, from a path with spaces and other letters, read-only, and in
# sub-interpreters. The table goes to tests/long/abi.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case "${1:-}" in
    --help | -h) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
esac
pythons=("$@")
[ $# -gt 0 ] || pythons=(3.10 3.11 3.12 3.13)
work=$PWD/build/abi
out=tests/long/abi.md
mkdir -p "$work"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
failed=0

find_python() {
    local path
    for path in "$(command -v "python$1" || true)" ~/.pyenv/versions/"$1".*/bin/python; do
        if [ -x "$path" ] && "$path" -c '' 2>/dev/null; then
            echo "$path"
            return
        fi
    done
}

# Runs a command; its mark for the table.
mark() {
    if "$@" >"$work/last.log" 2>&1; then
        printf ' | passes'
    else
        printf ' | **fails**'
        { echo "---- $*"; tail -n 20 "$work/last.log"; } >&2
        return 1
    fi
}

# A site-packages that nobody may write to, root included.
read_only() {
    local site=$1
    shift
    chmod -R a-w "$site"
    if [ "$(id -u)" = 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}

{
    echo '# One wheel against many'
    echo
    echo 'Written by `tests/long/run abi`.'
    echo
    echo '| Python | NumPy | `-W error` | `-OO` | wheel tests | odd path | read-only | sub-interpreters |'
    echo '|---|---|---|---|---|---|---|---|'
} >$out
for version in "${pythons[@]}"; do
    python=$(find_python "$version")
    [ -n "$python" ] || { echo "| $version | not here | | | | | | |" >>$out; continue; }
    dist=$work/dist-$version
    rm -rf "$dist"
    # An environment for the build alone: no NumPy in it.
    "$python" -m venv --clear "$work/build-$version"
    "$work/build-$version/bin/pip" install -q -U pip  # the bundled one may lack -C
    "$work/build-$version/bin/pip" install -q scikit-build-core 'pybind11>=3.0.2' ninja cmake
    ! "$work/build-$version/bin/python" -c 'import numpy' 2>/dev/null
    PATH="$work/build-$version/bin:$PATH" "$work/build-$version/bin/pip" wheel -q --no-deps \
        --no-build-isolation -w "$dist" -Cbuild-dir="build/abi-$version" .
    for numpy in '2.0.*' '2.2.*' ''; do
        venv=$work/venv
        "$python" -m venv --clear "$venv"
        if ! "$venv/bin/pip" install -q --only-binary numpy "$dist"/*.whl \
            "numpy${numpy:+==$numpy}" 'pytest>=9' hypothesis >"$work/last.log" 2>&1; then
            echo "| $version | ${numpy:-newest}: none for it | | | | | | |" >>$out
            continue
        fi
        run=$venv/bin/python
        row="| $version | $("$run" -c 'import numpy; print(numpy.__version__)')"
        site=$("$run" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
        odd="$work/späte Wörter 層"
        chmod -R u+w "$odd" 2>/dev/null || true
        rm -rf "$odd"
        cp -r "$site" "$odd"
        for check in W OO tests odd read sub; do
            case $check in
                W) mark "$run" -W error -m rnnext selftest ;;
                OO) mark "$run" -OO -m rnnext selftest ;;
                tests) mark "$run" -m pytest -q -p no:cacheprovider tests/test_wheel.py \
                    tests/test_stepper.py tests/test_errors.py tests/test_output_memory.py ;;
                odd) mark env PYTHONPATH="$odd" "$run" -S -W error -m rnnext selftest ;;
                read) mark read_only "$odd" env PYTHONPATH="$odd" "$run" -S -m rnnext selftest ;;
                sub) mark "$run" -m pytest -q -p no:cacheprovider tests/test_interpreters.py ;;
            esac >"$work/mark" || failed=1
            row+=$(cat "$work/mark")
        done
        echo "$row |" | tee -a $out
    done
done
exit $failed
