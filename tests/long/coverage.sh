#!/usr/bin/env bash
# Lines and branches that the tests reach: of the C++ core, and lines of Python.
#
#   tests/long/coverage.sh [--report] [--missed]
#       --report: of the runs before, nothing is run; --missed: what is not reached
#
# Builds with Clang for AVX2 in build/coverage (RNNEXT_ISAS: for others), runs the C++
# tests and pytest once, and fails under 98 % of the core's lines, 90 % of its branches
# (tools/cpp_coverage.py says how they count) and 100 % of Python's lines. Needs clang++,
# llvm-cov and llvm-profdata of one version, and the group "coverage" of pyproject.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/long/environment.bash
build=build/coverage
run=true missed=()
for argument; do
    case $argument in
        --report) run=false ;;
        --missed) missed=(--missed) ;;
        *) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
    esac
done
export COVERAGE_FILE="$PWD/$build/.coverage"

if $run; then
    cmake -S . -B $build -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
        -DRNNEXT_ISAS="${RNNEXT_ISAS-avx2}" \
        -DRNNEXT_COVERAGE=ON -DRNNEXT_TESTS=ON -DCMAKE_BUILD_TYPE=Release \
        -DPython_EXECUTABLE="$(command -v python)" \
        -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" >/dev/null
    ninja -C $build -j1 | tail -n 1
    rm -rf $build/python $build/venv $build/profiles $build/.coverage*
    cp -r python $build/python
    cp $build/_core*.so $build/python/rnnext/

    # An environment that sees this build, not the installed package.
    python -m venv --without-pip $build/venv
    link_outer $build/venv
    # The last line: coverage.py's own in site-packages, for processes that tests start.
    cat >"$(echo $build/venv/lib/*/site-packages)/seen.pth" <<SEEN
$PWD/$build/python
$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
import os; os.getenv("COVERAGE_PROCESS_CONFIG") and __import__("coverage").process_startup()
SEEN

    export LLVM_PROFILE_FILE="$PWD/$build/profiles/%4m.profraw"
    ctest --test-dir $build --output-on-failure || echo "C++ tests fail"
    # Counting makes all slow: tests of time may fail, and those of the extension's size
    # and symbols do; what counts is what is reached. Left out: what would run for an
    # hour and reaches nothing that the rest does not.
    left_out=(
        benchmarks docs examples_a examples_b  # other programs
        growth large onednn_shapes             # the same calls, many times or large
        interrupts process                     # the same calls, cut short
    )
    too_long=(
        'determinism.py::test_a_hundred_times'
        'determinism.py::test_every_schedule[two slabs]'
        'stepper.py::test_weights_given_up_during_a_step'
    )
    some_files() { # every second one, from the first or the second on
        ls tests/test_*.py | grep -v -E "test_($(IFS='|'; echo "${left_out[*]}"))\.py" |
            awk "NR % 2 == $1"
    }
    run_tests() {
        PATH="$PWD/$build/venv/bin:$PATH" $build/venv/bin/python -m coverage run -m pytest \
            -q --no-header --tb=short --durations=15 -p no:cacheprovider \
            "${too_long[@]/#/--deselect=tests/test_}" $(some_files "$1") ||
            echo "some tests fail"
    }
    run_tests 0 >$build/second.log 2>&1 &
    run_tests 1
    wait
    cat $build/second.log
    python -m coverage combine -q
    llvm-profdata merge -sparse -o $build/cpp.profdata $build/profiles/*.profraw
fi

status=0
echo "==== C++"
python tools/cpp_coverage.py llvm-cov $build/cpp.profdata $build/_core*.so \
    $build/cpp/tests/test_{math,gemm,pool,machine,bits,stress} \
    --min-lines 98 --min-branches 90 "${missed[@]}" || status=1
echo "==== Python"
python -m coverage report --format=markdown --fail-under=100 || status=1
exit $status
