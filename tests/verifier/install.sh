#!/bin/sh
# install.sh DIR: the libraries that verify.py needs, in a virtual environment of their own; nothing if they are there.
set -eu
dir=$1
requirements=$(dirname "$0")/requirements.txt
if cmp -s "$requirements" "$dir/installed.txt"; then
    exit 0
fi
rm -rf "$dir"
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$requirements"
cp "$requirements" "$dir/installed.txt"
