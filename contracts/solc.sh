#!/bin/sh
# npm's solc as forge wants a compiler: standard JSON in, standard JSON out. What forge
# says of paths is left aside: it gives every source's content.
set -eu
cd "$(dirname "$0")"
case "${1:-}" in
--version)
    exec node -p '"solc, the solidity compiler\nVersion: " + require("solc").version()' ;;
*)
    exec node -e 'process.stdout.write(require("solc").compile(fs.readFileSync(0, "utf8")))' ;;
esac
