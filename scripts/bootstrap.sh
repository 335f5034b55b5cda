#!/bin/sh
# Makes .venv hold exactly the packages of requirements/$1.txt, each checked against its hash.
set -eu
cd "$(dirname "$0")/.."

# A candidate is believed when it has run: a pyenv shim on PATH can exit 127, and Debian splits venv off Python.
fits() {
    "$1" -I -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

# The files that a pattern matched, one a line; nothing when none did.
list() {
    for file in "$@"; do
        if [ -x "$file" ]; then echo "$file"; fi
    done
}

# What may be a Python, one a line, the likeliest first.
candidates() {
    printf '%s\n' python3.14 python3.13 python3.12 python3
    # pyenv's versions and uv's: below HOME; below the user's real home, when HOME is another; beside pyenv on PATH.
    real_home=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
    for minor in 19 18 17 16 15 14 13 12; do
        for home in "${HOME:-$real_home}" "$real_home"; do
            list "$home/.pyenv/versions/3.$minor".*/bin/python3
            list "$home/.local/share/uv/python/cpython-3.$minor".*/bin/python3
        done
        printf '%s\n' "${PYENV_ROOT:-}/bin" "$PATH" | tr : '\n' | while read -r folder; do
            list "${folder%/*}/versions/3.$minor".*/bin/python3
        done
    done
}

find_python() {
    candidates | while read -r candidate; do
        if fits "$candidate"; then echo "$candidate" && break; fi
    done
}

if ! fits .venv/bin/python; then
    python=$(find_python)
    if [ -z "$python" ]; then
        echo "Python 3.12 or newer, with venv, was not found. Install one (on Debian: apt install python3 python3-venv)." >&2
        exit 1
    fi
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi

uv=uv
if ! uv --version >/dev/null 2>&1; then
    uv=.venv/bin/uv
    if ! "$uv" --version >/dev/null 2>&1; then
        echo "Installing uv into .venv"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
    fi
fi
echo "Installing requirements/$1.txt"
# uv trusts its own certificates and reads no pip.conf: where the machine's are needed, pip is slower but knows them.
UV_SYSTEM_CERTS=1 "$uv" pip sync --quiet --python .venv/bin/python --require-hashes "requirements/$1.txt" || {
    echo "uv could not; pip tries, which takes a minute"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$1.txt"
}
