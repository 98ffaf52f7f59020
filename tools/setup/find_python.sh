#!/bin/sh
# Print the Python to make the environment with: python3 if its version is supported, else the newest supported
# python3.x that really starts (a shim of pyenv may not). Without one, print python3: preflight.py says what is needed.
for name in python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
        echo "$name"
        exit 0
    fi
done
echo python3
