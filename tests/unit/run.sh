#!/bin/sh
# Runs the unit test programs named; prints each one's summary, and all of it on failure.
failed=0
for t in "$@"; do
    log="$t.log"
    if "$t" > "$log" 2>&1; then
        count=$(grep -c '^\[       OK \]' "$log")
        skipped=$(sed -n 's/^ *\([0-9]*\) SKIPPED TEST.*/, \1 skipped/p' "$log")
        echo "ok      $t$skipped ($count)"
    else
        failed=1
        printf '%s\nFAILED  %s\n' "$(cat "$log")" "$t" # in one piece: others run beside it
    fi
done
exit $failed
