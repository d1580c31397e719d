#!/bin/sh
# Says in one sentence what is missing on this machine, before anything else fails for the want of it.
#
#   tools/preflight.sh setup     Python 3.11 or newer that can make virtual environments
#   tools/preflight.sh test      Node.js 20 or newer as well, and Chromium, RabbitMQ, Redis and MariaDB, which it
#                                installs where it can
#   tools/preflight.sh cluster   Python, RabbitMQ, Redis and MariaDB
set -eu

python=${PYTHON:-python3}

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
    command -v npm >/dev/null 2>&1 || missing "the tests of the React package need npm: apt-get install npm"
}

# The tests run on the real servers, each test session on instances of its own, and in Debian's Chromium; they
# never download a browser. A package is missing when its program is.
#
#   check_packages PURPOSE [chromium]
check_packages() {
    packages=
    want() { [ -x "$2" ] || packages="$packages $1"; }
    [ -z "${2:-}" ] || want chromium /usr/bin/chromium
    want rabbitmq-server /usr/lib/rabbitmq/bin/rabbitmq-server
    want redis-server /usr/bin/redis-server
    want mariadb-server /usr/sbin/mariadbd
    want mariadb-client /usr/bin/mariadb
    [ -n "$packages" ] || return 0
    packages=${packages# }
    needed="$1 needs what is not installed: apt-get install $packages"
    command -v apt-get >/dev/null 2>&1 || missing "$needed"
    if [ "$(id -u)" -eq 0 ]; then
        as_root=env
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n env"
    else
        missing "$needed"
    fi
    echo "taskpath: $1 needs Debian's $packages, which are being installed" >&2
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    $as_root DEBIAN_FRONTEND=noninteractive sh -eu -s "$packages" >"$log" 2>&1 <<'INSTALL' || {
# The tests start servers of their own: what is installed here is neither started now nor at the next boot.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get -q update </dev/null || true # old lists are often good enough
apt-get -qy --no-install-recommends install $1 </dev/null
for service in rabbitmq-server redis-server mariadb; do
    case " $1 " in
    *" $service"*) ! command -v systemctl >/dev/null || systemctl disable "$service" </dev/null || true ;;
    esac
done
INSTALL
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
    check_packages "make test" chromium
    ;;
cluster)
    check_python
    check_packages "make cluster"
    ;;
*)
    echo "usage: tools/preflight.sh setup|test|cluster" >&2
    exit 2
    ;;
esac
