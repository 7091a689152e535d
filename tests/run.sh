#!/bin/sh
# make test: everything, and at the end one line of totals.
set -u
cd "$(dirname "$0")/.."

log=build/test.log
mkdir -p build
: > $log

# Shows and notes what a part of the tests says; a part that fails without a line about
# a test of its own gets one.
part() {
    name=$1
    shift
    echo "== $name"
    { "$@" 2>&1 || echo "part failed: $name"; } | tee build/part.log
    if grep -q "^part failed: " build/part.log && ! grep -q '^FAILED ' build/part.log; then
        echo "FAILED  $name" | tee -a build/part.log
    fi
    cat build/part.log >> $log
}

# Lines are "ok      NAME (N)", "FAILED  NAME (P passed, F failed)" or "FAILED  NAME".
totals() {
    awk '
        /^ok      / && match($0, /\([0-9]+\)$/) {
            passed += substr($0, RSTART + 1, RLENGTH - 2); next
        }
        /^ok      / { passed++ }
        /^FAILED  / && match($0, /\([0-9]+ passed, [0-9]+ failed\)$/) {
            split(substr($0, RSTART + 1), n, " "); passed += n[1]; failed += n[3]; next
        }
        /^FAILED  / { failed++ }
        END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }
    ' $log
}

# Runs a target of the Makefile in which every source of a kind is one test, passed when
# the target did not fail: models prove one thing each, fuzzers find nothing.
each_passes() {
    kind=$1 target=$2
    shift 2
    run_make "$target" || return 1
    for file in "$@"; do
        [ ! -f "$file" ] || echo "ok      $kind $(basename "$file" .c) (1)"
    done
}

lint_is_clean() { run_make lint && echo "ok      lint (1)"; }

run_make() { make -s --no-print-directory -j"$(nproc)" "$@"; }

FUZZ_SECONDS=${FUZZ_SECONDS:-10} # for each fuzzer
FUZZ_JOBS=${FUZZ_JOBS:-$(nproc)}
export FUZZ_SECONDS FUZZ_JOBS

make --no-print-directory test-deps || exit 1
part builds run_make test-builds
part unit run_make unit
part tsan run_make tsan
part model each_passes model model tests/model/*.c
part fuzz each_passes fuzzer fuzz tests/fuzz/*_fuzz.c
part lint lint_is_clean
part contracts sh tests/contracts.sh
part e2e sh tests/e2e/run.sh
totals
