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
# would hide overruns. What the sanitizers say goes to the log even if pytest captures it. What is larger than memory is
# a MemoryError, as without them.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:log_path="$work/report" UBSAN_OPTIONS=print_stacktrace=1:log_path="$work/report"
# Seconds for each kind of call in tests/test_concurrent_writers.py.
export KMEANS_C_WRITERS_SECONDS="${KMEANS_C_WRITERS_SECONDS:-0.2}"
status=0
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider -c "$tree/pyproject.toml" "$tree/tests" \
    -m "not bare" "$@" || status=$?
# That some tests ask for more than there is, is no fault.
said=$(cat "$work"/report* 2>/dev/null | grep -v 'WARNING: AddressSanitizer failed to allocate' || true)
if [ -n "$said" ]; then
    printf '%s\n' "$said"
    exit 1
fi
exit "$status"
