#!/bin/sh
# Makes the environment in .venv from requirements.lock; does nothing if that was done for this very lock.
#   demo/setup.sh            also wants a C++ compiler, which the local network of the demo and the tests needs
#   demo/setup.sh --without-compiler
set -eu
cd "$(dirname "$0")/.."

stop() {
    echo "$1" >&2
    exit 1
}

new_enough() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if [ "${1:-}" != "--without-compiler" ]; then
    command -v "${CXX:-c++}" >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || command -v clang++ >/dev/null 2>&1 ||
        stop "No C++ compiler was found: install one first (Debian and Ubuntu: apt install g++; macOS: xcode-select --install)."
    command -v make >/dev/null 2>&1 ||
        stop "make was not found: install it first (Debian and Ubuntu: apt install make)."
fi

python=""
for candidate in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
    if new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || stop "Python 3.11 or newer is needed and was not found: install it, or name it with PYTHON=/path/to/python3."

stamp=.venv/made-from
wanted=$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open("requirements.lock", "rb").read()).hexdigest())')
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "Python's venv module is missing: install it first (Debian and Ubuntu: apt install python3-venv)."
    echo "Making the Python environment in .venv ($("$python" --version))."
    "$python" -m venv --clear .venv
fi
echo "Installing the Python packages of requirements.lock (a minute or two the first time)."
{
    status=0
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off \
        --require-hashes --requirement requirements.lock 2>&1 || status=$?
    echo "$status" >.venv/pip-status
} | tee .venv/pip.log | awk '
    /^Collecting / { count++; if (count % 20 == 0) { print "  " count " packages looked up"; fflush() } }
    /^Installing collected/ { print "  unpacking " count " packages"; fflush() }'
if [ "$(cat .venv/pip-status)" != 0 ]; then
    tail -n 5 .venv/pip.log >&2
    stop "The Python packages could not be installed; all that pip said is in .venv/pip.log."
fi
echo "$wanted" >"$stamp"
echo "The Python environment is ready."
