#!/bin/sh
# Print the Python to make the environment of a stack with: python3 if its version is supported, else the newest
# supported python3.x that really starts (a shim of pyenv may not). Without one, print python3, which preflight.py then
# refuses in one line.
for name in python3 python3.13 python3.12 python3.11; do
    if "$name" "$(dirname "$0")/preflight.py" --supports "$1" >/dev/null 2>&1; then
        echo "$name"
        exit 0
    fi
done
echo python3
