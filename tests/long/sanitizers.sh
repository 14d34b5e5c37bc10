#!/usr/bin/env bash
# The suite and the C++ tests under sanitizers: any report ends a part with an error.
usage="usage: tests/long/run sanitizers [--quick] [asan-python|asan-cpp|tsan-cpp|valgrind]...
  asan-python  pytest under AddressSanitizer and UndefinedBehaviorSanitizer
  asan-cpp     the C++ tests under both
  tsan-cpp     the C++ tests of threads under ThreadSanitizer
  valgrind     C++ tests on the baseline set under Memcheck
  --quick      of asan-python a part that takes minutes
Without names: all parts. Needs what .ci/run installs, and valgrind."
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

quick= parts=()
for word in "$@"; do
    case $word in
        --quick) quick=1 ;;
        asan-python | asan-cpp | tsan-cpp | valgrind) parts+=("$word") ;;
        *) echo "$usage" && [ "$word" = --help ] && exit 0 || exit 2 ;;
    esac
done
if [ ${#parts[@]} = 0 ]; then
    if [ -n "$quick" ]; then parts=(asan-python); else parts=(asan-python asan-cpp tsan-cpp valgrind); fi
fi
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# The leak checker would report what Python itself keeps until the end.
asan_python() {
    local env=build/asan-python/env site
    site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    [ -x $env/bin/python ] || python3 -m venv $env
    # Only files of the surrounding environment: an editable rnnext in it stays out.
    echo "$site" >"$($env/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/outer.pth"
    $env/bin/python -m pip install -q --no-build-isolation --no-deps --force-reinstall \
        -Cbuild-dir=build/asan-python/build -Ccmake.build-type=RelWithDebInfo \
        "-Ccmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" \
        "-Ccmake.define.RNNEXT_SANITIZE=address,undefined" .
    local tests=(tests --ignore=tests/test_docs.py --ignore=tests/test_packaging.py)
    [ -z "$quick" ] || tests=(tests/test_stepper.py tests/test_errors.py
        tests/test_tokens.py tests/test_edges.py)
    # Left out: requests for more memory than there is, which end a process under
    # AddressSanitizer. Reports go to files: pytest would keep them for itself.
    local reports=$PWD/build/asan-python/report
    rm -f "$reports".*
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:log_path=$reports \
        UBSAN_OPTIONS=$UBSAN_OPTIONS:log_path=$reports \
        LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" \
        $env/bin/python -m pytest -q -p no:cacheprovider \
        -k "not too_large and not memory and not knows_its_bounds" "${tests[@]}" || failed=1
    cat "$reports".* 2>/dev/null && exit 1
    [ -z "${failed:-}" ]
}

preset() {
    cmake --preset "$1" >/dev/null
    cmake --build --preset "$1" | tail -n 1
}

for part in "${parts[@]}"; do
    printf '==== %s (%s s)\n' "$part" "$SECONDS"
    case $part in
        asan-python) asan_python ;;
        asan-cpp) preset asan && ctest --preset asan ;;
        tsan-cpp)
            preset tsan
            TSAN_OPTIONS=halt_on_error=1:die_after_fork=0 \
                ctest --preset tsan -R '^(pool|stress|bits|machine)$'
            ;;
        valgrind)
            preset release
            for name in gemm pool stress; do
                valgrind -q --error-exitcode=1 --leak-check=full \
                    --errors-for-leak-kinds=definite build/release/cpp/tests/test_$name
            done
            ;;
    esac
done
printf '==== no reports (%s s)\n' "$SECONDS"
