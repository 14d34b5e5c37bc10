#!/usr/bin/env bash
# Lines and branches that the tests reach: the C++ core (gcov) and Python (coverage.py).
#
#   tests/long/coverage.sh [--report]     --report: of the runs before, nothing is run
#
# Builds for baseline and AVX2 in build/coverage, runs the C++ tests and pytest, fails
# under 98 % of the core's lines, 90 % of its branches, 100 % of Python's lines. Branches
# that only an exception takes are left out. Needs the group "coverage" of pyproject.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=build/coverage
case "${1:-}" in
    --help | -h) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
esac

if [ "${1:-}" != --report ]; then
    cmake -S . -B $build -G Ninja -DRNNEXT_ISAS="${RNNEXT_ISAS-avx2;baseline}" \
        -DRNNEXT_COVERAGE=ON -DRNNEXT_TESTS=ON -DCMAKE_BUILD_TYPE=Release \
        -DPython_EXECUTABLE="$(command -v python)" \
        -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" >/dev/null
    ninja -C $build -j1 | tail -n 1
    find $build -name '*.gcda' -delete
    rm -rf $build/python $build/venv $build/.coverage*
    cp -r python $build/python
    cp $build/_core*.so $build/python/rnnext/

    # An environment that sees this build, not the installed package, and programs and
    # libraries (MPI) where the environment in use has them.
    python -m venv --without-pip $build/venv
    prefix=$(python -c 'import sys; print(sys.prefix)')
    (cd $build/venv && for path in "$prefix"/bin/* "$prefix"/lib/* "$prefix"/share/*; do
        there=${path#"$prefix"/}
        [ -e "$there" ] || { mkdir -p "${there%/*}" && ln -s "$path" "$there"; }
    done)
    for path in "$PWD/$build/python" \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; do
        echo "$path" >>"$(echo $build/venv/lib/*/site-packages)/seen.pth"
    done

    ctest --test-dir $build --output-on-failure || echo "C++ tests fail"
    export COVERAGE_FILE="$PWD/$build/.coverage" PATH="$PWD/$build/venv/bin:$PATH"
    # Counting makes all slow: tests of time may fail, what counts is what is reached; and
    # the examples, which reach nothing else, would train for an hour.
    $build/venv/bin/python -m coverage run -m pytest -q --no-header --tb=short \
        -p no:cacheprovider --ignore-glob='tests/test_examples_*' \
        --ignore tests/test_benchmarks.py --ignore tests/test_docs.py || echo "some tests fail in this slow build"
    python -m coverage combine -q
    hash -r
fi

export COVERAGE_FILE="$PWD/$build/.coverage"
status=0
gcovr_of() {
    gcovr --root . --object-directory $build --exclude-throw-branches \
        --exclude-unreachable-branches --merge-mode-functions=merge-use-line-0 --merge-lines \
        --gcov-ignore-parse-errors=negative_hits.warn_once_per_file -j 2 "$@" $build
}
gcovr_of --json $build/cpp.json --filter 'cpp/'
report() { gcovr --root . --add-tracefile $build/cpp.json --merge-lines "$@"; }
core=(--exclude 'cpp/bindings/' --exclude 'cpp/tests/')
echo "==== C++ core, lines"
report "${core[@]}" --txt --fail-under-line 98 || status=1
echo "==== C++ core, branches"
report "${core[@]}" --txt-metric branch --txt --fail-under-branch 90 || status=1
echo "==== C++ bindings"
report --filter 'cpp/bindings/' --txt
echo "==== Python"
python -m coverage report --fail-under=100 || status=1
exit $status
