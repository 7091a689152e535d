#!/bin/sh
# Runs the fuzz targets named, each for a while, and ends with a table: inputs tried, how many a
# second, edges of the program that were reached, inputs kept, seconds.
#
#   FUZZ_SECONDS=900     for each target; 10
#   FUZZ_JOBS=2          so many targets at a time; 1
#   FUZZ_CORPUS=FOLDER   where what is found is kept, and the logs; build/corpus
set -u

seconds=${FUZZ_SECONDS:-10}
corpus=${FUZZ_CORPUS:-build/corpus}
seeds=tests/fuzz/corpus

name_of() { basename "$1" _fuzz; }

run_one() {
    name=$(name_of "$1")
    log=$corpus/$name.log
    mkdir -p "$corpus/$name"
    if "$1" -max_total_time="$seconds" -timeout=5 -artifact_prefix="$corpus/$name." \
        "$corpus/$name" "$seeds/$name" > "$log" 2>&1; then
        echo "fuzz $name: $(grep -o '^Done.*' "$log")"
    else
        tail -n 40 "$log" >&2
        echo "FAILED  fuzz $name"
        return 1
    fi
}

# libFuzzer's last line: #2267850 DONE cov: 275 ft: 1214 corp: 364/59Kb lim: 4096 exec/s: 37177
table_line() {
    awk -v name="$(name_of "$1")" '
        function after(word,    i) { for (i = 1; i < NF; i++) if ($i == word) return $(i + 1) }
        $2 == "DONE" {
            runs = substr($1, 2); edges = after("cov:"); rate = after("exec/s:")
            split(after("corp:"), kept, "/")
        }
        /^Done / { seconds = $5 }
        END { printf "%-14s %12s %9s %7s %7s %8s\n", name, runs, rate, edges, kept[1], seconds }
    ' "$corpus/$(name_of "$1").log"
}

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit $?
fi

printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-1}" -n 1 sh "$0" --one
status=$?
printf '%-14s %12s %9s %7s %7s %8s\n' target inputs a/second edges kept seconds
for target in "$@"; do
    table_line "$target"
done
exit $((status != 0))
