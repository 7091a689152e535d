#!/bin/sh
# Installs what is missing of the Debian packages named, and the npm packages of
# package-lock.json when they are not those in node_modules. Does nothing, fast, when
# nothing is missing.
set -eu
cd "$(dirname "$0")/.."

NODE_MIN="18.19"

say() { echo "deps: $*"; }
fail() {
    echo "deps: $*" >&2
    exit 1
}

have_command() { command -v "$1" > /dev/null 2>&1; }

# node and npm may come from elsewhere than Debian's packages.
is_installed() {
    case $1 in
    nodejs) have_command node && return 0 ;;
    npm) have_command npm && return 0 ;;
    esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

missing_packages() {
    for package in "$@"; do
        is_installed "$package" || echo "$package"
    done
}

# Runs a command that says too much; all of it is shown when it fails.
quietly() {
    log=$(mktemp)
    if ! "$@" > "$log" 2>&1 < /dev/null; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

install_packages() {
    have_command apt-get ||
        fail "missing: $*. There is no apt-get here; these are their Debian names"
    [ "$(id -u)" = 0 ] ||
        fail "missing: $*. Install them as root: sudo apt-get install $*"
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update || fail "apt-get update failed"
    quietly apt-get install -y --no-install-recommends "$@" ||
        fail "cannot install: $*"
    case " $* " in *" nginx "*)
        say "the package nginx runs a web server of its own; ours does not need that one" ;;
    esac
}

check_node() {
    version=$(node -p 'process.versions.node')
    oldest=$(printf '%s\n%s\n' "$NODE_MIN" "$version" | sort -V | head -n 1)
    [ "$oldest" = "$NODE_MIN" ] || fail "node $version is too old: $NODE_MIN is needed"
}

# node_modules remembers which package-lock.json it was made from.
install_npm() {
    wanted=$(cat package.json package-lock.json | cksum)
    stamp=node_modules/.x402-installed
    [ "$(cat $stamp 2> /dev/null)" = "$wanted" ] && return 0
    check_node
    say "installing the npm packages"
    quietly npm ci --no-progress ||
        fail "npm ci failed: it needs the npm registry and a writable node_modules"
    echo "$wanted" > $stamp
}

exec 9< package-lock.json # one at a time: two would take node_modules from each other
have_command flock && flock 9

missing=$(missing_packages "$@")
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || install_packages $missing
install_npm
