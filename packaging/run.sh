#!/bin/sh
# make run: a paid call on this machine, from nothing. A local chain with test USDC, the
# demo services, the gateway with its settler, one call bought and settled; then all of
# it stays up until Ctrl-C.
set -eu
cd "$(dirname "$0")/.."

GATEWAY_PORT=${GATEWAY_PORT:-4020}
SERVICES_PORT=${SERVICES_PORT:-4021}
CHAIN_PORT=${CHAIN_PORT:-4022}

gateway=http://127.0.0.1:$GATEWAY_PORT
chain=http://127.0.0.1:$CHAIN_PORT
data=.data
x402=build/x402

chain_pid='' services_pid='' gateway_pid=''

say() { printf '%s\n' "$*"; }
step() { printf '  %-9s %s\n' "$1" "$2"; }
fail() {
    printf 'run: %s\n' "$*" >&2
    exit 1
}

# ------------------------------------------------------------------------- processes

# Stops a process and waits for it; nothing when it is gone or never was.
stop() {
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2> /dev/null || return 0
    wait "$1" 2> /dev/null || true
}

# In the order in which one needs the other: the settler still has its chain.
stop_all() {
    trap '' INT TERM HUP
    stop "$gateway_pid"
    stop "$services_pid"
    stop "$chain_pid"
}

# Starts a program away from the terminal's Ctrl-C, which is ours; it ends with us.
# Its output goes to .data/NAME.log, its process id to $started.
start() {
    name=$1
    shift
    setsid setpriv --pdeathsig TERM -- "$@" > "$logs/$name.log" 2>&1 < /dev/null &
    started=$!
}

is_running() { kill -0 "$1" 2> /dev/null; }

port_answers() {
    node -e 'require("node:net").connect(+process.argv[1], "127.0.0.1")
        .on("connect", () => process.exit(0)).on("error", () => process.exit(1))' "$1"
}

# Waits until a program answers on its port; shows its log when it does not.
wait_for_port() {
    name=$1 pid=$2 port=$3 tries=100
    until port_answers "$port"; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! is_running "$pid"; then
            tail -n 20 "$logs/$name.log" >&2
            fail "the $name does not start; its log is $logs/$name.log"
        fi
        sleep 0.1
    done
}

require_free_port() {
    ! port_answers "$1" ||
        fail "port $1 of 127.0.0.1 is taken, the $2 needs it. Stop what listens there," \
            "or set $3 to another port"
}

# -------------------------------------------------------------------------- the parts

build() {
    log=build/run-build.log
    mkdir -p build
    make --no-print-directory -j"$(nproc)" all > "$log" 2>&1 ||
        { tail -n 30 "$log" >&2; fail "the build failed; its log is $log"; }
}

# As root nginx's workers are another user, who must be able to reach the ledger.
choose_data() {
    mkdir -p "$data"
    if [ "$(id -u)" = 0 ] &&
        ! setpriv --reuid www-data --regid www-data --clear-groups \
            test -x "$PWD/$data" 2> /dev/null; then
        data=/var/lib/x402-demo
        mkdir -p "$data"
    fi
    keys=$data/keys logs=$data/logs ledger=$data/ledger
    mkdir -p "$logs"
    [ -d "$keys" ] || mkdir -m 700 "$keys"
    rm -rf "$ledger" "$data/mine" # the chain begins anew: what these say is void
}

# The address of a wallet, made when there is none.
wallet() {
    [ -f "$keys/$1" ] || $x402 wallet new "$keys/$1" > /dev/null
    $x402 wallet address "$keys/$1"
}

start_chain() {
    start chain node tests/e2e/lib/chain.mjs --port "$CHAIN_PORT" \
        --fund "$caller=10" --gas "$settler=1" --gas "$spare=1"
    chain_pid=$started
    tries=300
    until grep -qs '^chain ' "$logs/chain.log"; do # it answers before it is funded
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! is_running "$chain_pid"; then
            cat "$logs/chain.log" >&2
            fail "the chain does not start; its log is $logs/chain.log"
        fi
        sleep 0.1
    done
}

# One transaction for many payments: the spare key pays for putting it there.
deploy_contract() {
    contract=$($x402 contract deploy --rpc "base-sepolia=$chain" --key "$keys/spare" --json \
        2> "$logs/contract.log" | sed -n 's/.*"address":"\(0x[0-9a-fA-F]*\)".*/\1/p')
    [ -n "$contract" ] ||
        { cat "$logs/contract.log" >&2; fail "the facilitator contract cannot be deployed"; }
}

start_services() {
    start services build/x402-services --listen "127.0.0.1:$SERVICES_PORT"
    services_pid=$started
    wait_for_port services "$services_pid" "$SERVICES_PORT"
}

start_gateway() {
    start gateway $x402 serve --upstream "http://127.0.0.1:$SERVICES_PORT" \
        --price 0.001 --route /api/ask=0.001 --route /api/og=0.002 \
        --route /api/fetch-summarize=0.005 --route /api/embed=0.0005 --pay-to "$merchant" \
        --network base-sepolia --listen "127.0.0.1:$GATEWAY_PORT" --data "$ledger" \
        --rpc "$chain" --settler-key "$keys/settler" --batch-age 2
    gateway_pid=$started
    wait_for_port gateway "$gateway_pid" "$GATEWAY_PORT"
}

# --------------------------------------------------------------------- the first call

buy() {
    answer=$($x402 pay "$gateway/api/embed?text=hello" --key "$keys/caller" 2> "$logs/pay.log") ||
        { cat "$logs/pay.log" >&2; fail "the call could not be bought"; }
    step answer "$(printf '%s' "$answer" | cut -c 1-60)..."
    step paid "$(sed -n 's/^x402 pay: paid //p' "$logs/pay.log")"
}

wait_for_settlement() {
    tries=60
    until $x402 payments --data "$ledger" --json | grep -Eq '"money":"(settled|final)"'; do
        tries=$((tries - 1))
        [ $tries != 0 ] || fail "the payment was not settled in 30 s; see $logs/gateway.log"
        sleep 0.5
    done
}

explain() {
    ask_says='ask wants ANTHROPIC_API_KEY, which is not set: it fails, and is not charged:'
    [ -z "${ANTHROPIC_API_KEY:-}" ] || ask_says='what it costs comes first:'
    say "
Running until Ctrl-C. In another terminal:

  See a price:
    curl -i '$gateway/api/embed?text=hello'
  Buy a call, like curl; $ask_says
    \$0.001   build/x402 pay '$gateway/api/ask?q=Why+is+the+sky+blue' --key $keys/caller
    \$0.002   build/x402 pay '$gateway/api/og?title=Hello&theme=cobalt' --key $keys/caller > card.png
    \$0.005   build/x402 pay '$gateway/api/fetch-summarize?url=https://www.x402.org' --key $keys/caller
    \$0.0005  build/x402 pay '$gateway/api/embed?text=good+morning' --key $keys/caller
  See the figures, live, and buy with a wallet in a browser:
    $gateway/x402/status
    $gateway/api/og?title=Hello
  See the money:
    build/x402 payments --data $ledger
    build/x402 stats --data $ledger
  Sell an API of your own, on port 8000 say, for a tenth of a cent a call:
    build/x402 serve --upstream http://127.0.0.1:8000 --price 0.001 \\
      --pay-to $merchant --listen 127.0.0.1:4030 --data $data/mine \\
      --rpc $chain --settler-key $keys/spare
"
}

# Until Ctrl-C, or until something of it ends by itself.
stay() {
    while is_running "$gateway_pid" && is_running "$services_pid" && is_running "$chain_pid"; do
        sleep 1
    done
    fail "something ended by itself; see $logs"
}

trap stop_all EXIT
trap 'say; say "stopping"; exit 0' INT TERM HUP

say "x402 Gateway"
make --no-print-directory deps
require_free_port "$GATEWAY_PORT" gateway GATEWAY_PORT
require_free_port "$SERVICES_PORT" services SERVICES_PORT
require_free_port "$CHAIN_PORT" chain CHAIN_PORT
step build "build/x402 and the nginx module"
build
choose_data
merchant=$(wallet merchant) caller=$(wallet caller)
settler=$(wallet settler) spare=$(wallet spare) # one key, one settler
start_chain
step chain "$chain, a local Base Sepolia; the caller has 10 test USDC"
deploy_contract
step contract "$contract, settles many payments in one transaction"
start_services
step services "http://127.0.0.1:$SERVICES_PORT, four APIs that know nothing of payments"
start_gateway
step gateway "$gateway sells them, from \$0.0005 a call"
say
buy
wait_for_settlement
say
$x402 payments --data "$ledger"
explain
stay
