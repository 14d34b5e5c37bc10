#!/usr/bin/env bash
# The suite and the C++ tests under sanitizers: any report ends a part with an error.
usage="usage: tests/long/run sanitizers [--quick] [asan-python|asan-cpp|tsan-cpp|valgrind]...
  asan-python  pytest under AddressSanitizer and UndefinedBehaviorSanitizer, file by file
  asan-cpp     the C++ tests under both, of the same build
  tsan-cpp     the C++ tests of threads under ThreadSanitizer, kernels included
  valgrind     C++ tests as in a wheel under Memcheck
  --quick      the first two, of Python's tests a part, on one instruction set
Without names: all parts. RNNEXT_ISAS in the environment: the instruction sets to build,
as in CMakeLists.txt. Needs what .ci/run installs, and valgrind."
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/long/environment.bash

quick='' parts=()
for word in "$@"; do
    case $word in
        --quick) quick=1 ;;
        asan-python | asan-cpp | tsan-cpp | valgrind) parts+=("$word") ;;
        --help | -h) echo "$usage" && exit ;;
        *) echo "$usage" >&2 && exit 2 ;;
    esac
done
if [ ${#parts[@]} = 0 ]; then
    parts=(asan-cpp asan-python)
    [ -n "$quick" ] || parts+=(tsan-cpp valgrind)
fi
isas=${RNNEXT_ISAS-${quick:+avx2;neon}}
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# What is not run, and why: names of files and, with --deselect, all that begin so.
left_out_files=(
    # No code of ours: pages, papers, wheels; or programs that train for long.
    tests/test_docs.py tests/test_packaging.py tests/test_examples_*.py
    # Seconds from Ctrl-C to its exception, of code that is many times slower here.
    tests/test_interrupts.py
    # Bounds on memory: AddressSanitizer takes its own, and keeps what is given back.
    tests/test_growth.py
    # An allocator of its own, in the place of AddressSanitizer's.
    tests/test_allocations.py
)
left_out=(
    # The same seconds, and the same bounds.
    --deselect=tests/test_process.py::test_interrupt
    --deselect='tests/test_files_hostile.py::test_forged_files_are_refused[onnx]'
    --deselect=tests/test_process.py::test_out_of_memory
    --deselect=tests/test_process.py::test_memory_does_not_grow
)

# One build for C++ and Python, and an environment that sees it and all of the one in
# use but an editable rnnext: .pth files count only where Python looks by itself.
python=build/asan-env/bin/python
build_asan() {
    local purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
    [ -x $python ] || python3 -m venv build/asan-env
    python3 -c "$purelib" >"$($python -c "$purelib")/outer.pth"
    $python -m pip install -q --no-build-isolation --no-deps --ignore-installed \
        -Cbuild-dir=build/asan -Ccmake.args=--preset=asan \
        -Ccmake.build-type=RelWithDebInfo -Ccmake.define.RNNEXT_PYTHON=ON \
        "-Ccmake.define.RNNEXT_ISAS=$isas" .
    link_outer build/asan-env  # after what is its own
}

# The leak checker would report what Python itself keeps until the end. Reports go to
# files: pytest would keep them for itself. One line a file goes to the log.
asan_python() {
    local out=$PWD/build/asan/python failed='' began status tests=(tests/test_*.py)
    if [ -n "$quick" ]; then
        tests=(tests/test_{core,course_core,errors,layers,stepper,tokens}.py)
        left_out+=(--deselect=tests/test_stepper.py::test_weights_given_up)  # a large layer
    fi
    rm -rf "$out" && mkdir "$out"
    g++ -shared -fPIC -O1 -o "$out/bad_alloc.so" tests/long/bad_alloc.cpp
    local preload=("$out/bad_alloc.so" "$(gcc -print-file-name=libasan.so)"
        "$(gcc -print-file-name=libstdc++.so)")
    local options=detect_leaks=0:allocator_may_return_null=1
    options+=:verify_asan_link_order=0:alloc_dealloc_mismatch=0  # for bad_alloc.so
    for file in "${tests[@]}"; do
        [[ " ${left_out_files[*]} " != *" $file "* ]] || continue
        began=$SECONDS status=0
        ASAN_OPTIONS=$options:log_path=$out/report \
            UBSAN_OPTIONS=$UBSAN_OPTIONS:log_path=$out/report LD_PRELOAD=${preload[*]} \
            timeout 3600 $python -m pytest -q -p no:cacheprovider --tb=short \
            "${left_out[@]}" "$file" >"$out/last" 2>&1 || status=$?
        echo "$file: $(tail -n 1 "$out/last") [$((SECONDS - began)) s]" | tee -a "$out/log"
        if [ $status != 0 ] && [ $status != 5 ]; then  # 5: nothing of it is to be run
            failed=1
            cat "$out/last"
        fi
    done
    # Where memory is asked for that no machine has, there is a warning, not an error.
    if grep -h -A 40 'ERROR: \|runtime error: ' "$out"/report.* 2>/dev/null; then return 1; fi
    [ -z "$failed" ]
}

preset() {
    cmake --preset "$1" -DRNNEXT_ISAS="$isas" >/dev/null
    cmake --build --preset "$1" | tail -n 1
}

for part in "${parts[@]}"; do
    printf '==== %s (%s s)\n' "$part" "$SECONDS"
    case $part in
        asan-python)
            build_asan
            asan_python
            ;;
        asan-cpp)
            build_asan
            ctest --preset asan
            ;;
        tsan-cpp)
            preset tsan
            TSAN_OPTIONS=halt_on_error=1:die_after_fork=0 \
                ctest --preset tsan -R '^(gemm|pool|bits|machine|stress)$'
            ;;
        valgrind)
            preset release
            for name in gemm pool bits machine stress; do
                # No fork: its threads are not there to give back what they had. No
                # test_math: its long double is a double here.
                valgrind -q --error-exitcode=1 --leak-check=full \
                    --show-leak-kinds=definite --errors-for-leak-kinds=definite \
                    build/release/cpp/tests/test_$name \
                    --test-case-exclude='a forked child works'
            done
            ;;
    esac
done
printf '==== no reports (%s s)\n' "$SECONDS"
