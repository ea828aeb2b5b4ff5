#!/bin/sh
# Prints the path of a Python this project can use (3.12 or newer, with venv), or says in one line what to do.
#
# A name on the PATH proves nothing: a version manager's shim may be there for a version that is not
# switched on, and then fails when it is run. So every candidate is run before it is believed, and the
# version managers' own folders are looked through as well.
wanted='import sys, venv, ensurepip; assert sys.version_info >= (3, 12); print(sys.executable)'
try() {
    # Prints the real executable behind "$1" where that works and is new enough.
    found=$("$1" -c "$wanted" 2>/dev/null) && [ -n "$found" ] && printf '%s\n' "$found" && exit 0
}
for name in "${PYTHON:-}" python python3 python3.13 python3.12 python3.14; do
    [ -n "$name" ] && try "$name"
done
pyenv_root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || printf '%s' "$HOME/.pyenv")}
for minor in 13 12 14; do
    for path in "$pyenv_root"/versions/3.$minor*/bin/python3 \
        "$HOME"/.local/share/uv/python/cpython-3.$minor*/bin/python3 \
        "$HOME"/.asdf/installs/python/3.$minor*/bin/python3 \
        "$HOME"/.local/share/mise/installs/python/3.$minor*/bin/python3 \
        /opt/python/3.$minor*/bin/python3 /usr/local/bin/python3.$minor /opt/homebrew/bin/python3.$minor; do
        [ -x "$path" ] && try "$path"
    done
done
echo "Wijkstroom needs Python 3.12 or newer with venv, and found none: install it (Debian, Ubuntu: 'apt-get install python3.13 python3.13-venv'), or name one: 'make PYTHON=/path/to/python3'." >&2
exit 1
