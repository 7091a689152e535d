#!/bin/sh
# Runs the end-to-end tests, several files at a time (most of each is waiting), against the
# programs as released (but for the clock) and against those with sanitizers. One line a file, and
# before it what failed; all of a file's output is in BUILD/e2e/NAME.log.
#
#   E2E_BUILDS="build/test"          only these builds
#   E2E_JOBS=1                       one file at a time
#   sh tests/e2e/run.sh clients      only these files
set -u
cd "$(dirname "$0")/../.."

FILE_SECONDS_MAX=900

# What a reporter counted: count LOG pass.
count() { sed -n "s/^# $2 //p" "$1" | tail -n 1; }

# The tests that failed, with their errors; the end of the log when none came so far.
show_failures() {
    awk '/^ *not ok / { show = 1 } show; /^ *\.\.\.$/ { show = 0 }' "$1" | grep . ||
        tail -n 30 "$1"
}

run_file() {
    build=$1 file=$2
    name="e2e $(basename "$file" .test.mjs) [$build]"
    log=$build/e2e/$(basename "$file" .test.mjs).log
    mkdir -p "$build/e2e"
    X402_BUILD=$build timeout -k 10 $FILE_SECONDS_MAX \
        node --test-reporter=tap "$file" > "$log" 2>&1 < /dev/null
    status=$?
    passed=$(count "$log" pass) failed=$(count "$log" fail) cancelled=$(count "$log" cancelled)
    if [ $status = 0 ]; then
        echo "ok      $name (${passed:-0})"
        return 0
    fi
    show_failures "$log"
    [ $status != 124 ] || echo "not done after $FILE_SECONDS_MAX seconds"
    lost=$((${failed:-0} + ${cancelled:-0}))
    [ $lost != 0 ] || lost=1 # it did not come as far as counting
    echo "FAILED  $name (${passed:-0} passed, $lost failed)"
    return 1
}

# One file, for xargs: what it says comes out in one piece.
if [ "${1:-}" = --one ]; then
    said=$(run_file "$2" "$3")
    status=$?
    printf '%s\n' "$said"
    exit $status
fi

if [ $# = 0 ]; then
    files=$(ls tests/e2e/*.test.mjs)
else
    files=$(printf 'tests/e2e/%s.test.mjs\n' "$@")
fi

# What the sanitizers would see here they see in other files: these wait for long, look at
# pages in a browser, or test no C. `E2E_BUILDS=build/asan` runs them, too.
ONCE="attack batch counting crash-matrix differential docs events exposure facilitator-faults
faults-rpc metrics paywall reorg restore services-card services-sold settler-log soak status
status-words storm valgrind"

is_once() {
    for once in $ONCE; do
        [ "$1" != "tests/e2e/$once.test.mjs" ] || return 0
    done
    return 1
}

# BUILD FILE a line. Last the programs exactly as released, by the stock clients.
runs() {
    for build in ${E2E_BUILDS:-build/test build/asan}; do
        for file in $files; do
            if [ -n "${E2E_BUILDS:-}" ] || [ "$build" != build/asan ] || ! is_once "$file"; then
                echo "$build $file"
            fi
        done
    done
    if [ "$1" = 0 ] && [ -z "${E2E_BUILDS:-}" ]; then
        echo build tests/e2e/clients.test.mjs
    fi
}

runs $# | xargs -P "${E2E_JOBS:-$(($(nproc) + 2))}" -n 2 sh tests/e2e/run.sh --one
