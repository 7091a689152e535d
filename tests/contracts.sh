#!/bin/sh
# The contracts: the code that x402 deploys is that of the source, and forge's tests. A
# line a suite; what failed comes before it. Needs nothing but the npm packages.
set -u
cd "$(dirname "$0")/.."

log=build/contracts/forge.log
forge=$PWD/node_modules/@foundry-rs/forge-linux-amd64/bin/forge
mkdir -p build/contracts
failed=0

if node contracts/build.mjs --check; then
    echo "ok      contracts code (1)"
else
    failed=1
    echo "FAILED  contracts code"
fi

# HOME: forge keeps a cache there, too.
(cd contracts && HOME=$PWD/../build/contracts/home "$forge" test) > $log 2>&1
status=$?

# "Ran N tests for FILE:SUITE", and then "Suite result: ok. P passed; F failed; …".
awk '
    /^\[FAIL/ { print }
    /^Ran [0-9]+ tests? for / { suite = $NF; sub(/.*:/, "", suite) }
    /^Suite result: / {
        if ($3 == "ok.") printf "ok      contracts %s (%d)\n", suite, $4
        else printf "FAILED  contracts %s (%d passed, %d failed)\n", suite, $4, $6
    }
    /^Encountered / { exit }
' $log
if [ $status != 0 ]; then
    failed=1
    grep -q '^Suite result: ' $log || { tail -n 40 $log; echo "FAILED  contracts forge"; }
fi
exit $failed
