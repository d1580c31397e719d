#!/bin/sh
# Says in one sentence what is missing on this machine, before anything else fails for the want of it.
#
#   tools/preflight.sh setup     Python 3.11 or newer that can make virtual environments
#   tools/preflight.sh test      Node.js 20 or newer as well, and a Chromium, installed where that can be done
set -eu

python=${PYTHON:-python3}
chromium=/usr/bin/chromium

missing() {
    echo "taskpath: $1" >&2
    exit 1
}

check_python() {
    command -v "$python" >/dev/null 2>&1 ||
        missing "Python 3.11 or newer is needed: apt-get install python3 python3-venv"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        missing "Python 3.11 or newer is needed, and $python is older: apt-get install python3 python3-venv, or name another one with make PYTHON=..."
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        missing "$python cannot make virtual environments: apt-get install python3-venv"
}

check_node() {
    version=$(node --version 2>/dev/null) ||
        missing "the tests need Node.js 20 or newer: apt-get install nodejs npm, or Node.js's own packages where the distribution's are older"
    major=${version#v}
    major=${major%%.*}
    [ "$major" -ge 20 ] ||
        missing "the tests need Node.js 20 or newer, and this one is $version: install a newer one from Node.js's own packages"
}

# The browser tests drive Debian's Chromium; they never download a browser.
check_chromium() {
    [ ! -x "$chromium" ] || return 0
    needed="the browser tests need Chromium at $chromium: apt-get install chromium"
    command -v apt-get >/dev/null 2>&1 || missing "$needed"
    if [ "$(id -u)" -eq 0 ]; then
        as_root=env
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n env"
    else
        missing "$needed"
    fi
    echo "taskpath: installing Debian's chromium for the browser tests" >&2
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    {
        $as_root apt-get -q update || true # old lists are often good enough
        $as_root DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install chromium
    } >"$log" 2>&1 </dev/null && [ -x "$chromium" ] || {
        tail -n 20 "$log" >&2
        missing "$needed"
    }
}

case ${1:-} in
setup)
    check_python
    ;;
test)
    check_python
    check_node
    check_chromium
    ;;
*)
    echo "usage: tools/preflight.sh setup|test" >&2
    exit 2
    ;;
esac
