#!/usr/bin/env bash
# The second test command: the whole suite under AddressSanitizer and UndefinedBehaviorSanitizer (gcc, Linux).
# Builds into a temporary environment; the tree stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# pip builds in the folder it is given, and would leave sanitized objects in the tree's build folder.
mkdir "$work/source"
tar --exclude=./build --exclude=./.git --exclude='*.so' -cf - . | tar -xf - -C "$work/source"
python3 -m venv "$work/venv"
KMEANS_C_SANITIZE=address,undefined "$work/venv/bin/pip" -q install "$work/source" pytest hypothesis
cd "$work"
# Python itself is not instrumented: the runtimes go first, leaks of the interpreter are not ours, and its own allocator
# would hide overruns. What the sanitizers say goes to the log even if pytest captures it.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:log_path="$work/report" UBSAN_OPTIONS=print_stacktrace=1:log_path="$work/report"
status=0
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider -c "$tree/pyproject.toml" "$tree/tests" \
    -m "not bare" "$@" || status=$?
if compgen -G "$work/report*" >/dev/null; then
    cat "$work"/report*
    exit 1
fi
exit "$status"
