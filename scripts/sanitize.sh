#!/bin/sh
# The native part under a sanitizer; run it in a checkout that ./test has prepared.
#
#   scripts/sanitize.sh thread  [DIRECTORY]     the inbox's threads (tests/native) under the thread sanitizer
#   scripts/sanitize.sh tcp     [DIRECTORY]     the suites of the tcp fabric under the thread sanitizer
#   scripts/sanitize.sh address [DIRECTORY]     the conformance suites of fabrics, inboxes and tensors, and
#                                               tests/unit/native, under the address sanitizer
#
# Builds in DIRECTORY (default: a new one under TMPDIR, removed afterwards); the installed extension is left alone.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
kind=${1:-}
case "$kind" in thread | tcp | address) ;; *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;; esac
if [ $# -ge 2 ]; then
    build=$2
    mkdir -p "$build"
else
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
fi
python="$root/.venv/bin/python"
PATH="$root/.venv/bin:$PATH"
sanitizer=$kind
[ "$kind" != tcp ] || sanitizer=thread
configure() {
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBRICKWORK_SANITIZE="$sanitizer" "$@" >&2
    cmake --build "$build" >&2
}

if [ "$kind" = thread ]; then
    configure -DBRICKWORK_STRESS=ON
    TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}" "$build/inbox_stress"
    exit
fi

configure -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)" -DPython_EXECUTABLE="$python"
cat >"$build/sitecustomize.py" <<END
import importlib.util, sys
spec = importlib.util.spec_from_file_location("brickwork._native", "$(ls "$build"/_native*.so)")
module = sys.modules["brickwork._native"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
END
cd "$root"
if [ "$kind" = tcp ]; then # UCX itself is not built for the sanitizer; a fork has no threads to look at
    export TSAN_OPTIONS="halt_on_error=1 exitcode=66 ${TSAN_OPTIONS:-}" PYTHONPATH="$build"
    LD_PRELOAD=$(${CXX:-c++} -print-file-name=libtsan.so) "$python" -m pytest -q -p no:cacheprovider \
        -k "not ucx and not fork" tests/conformance/test_fabric.py tests/conformance/test_fabric_strangers.py
    exit
fi
# Leaks are not looked for: the interpreter itself keeps memory until the end.
export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}" PYTHONPATH="$build" OMP_NUM_THREADS=1
export LD_PRELOAD="$(${CXX:-c++} -print-file-name=libasan.so) $(${CXX:-c++} -print-file-name=libstdc++.so.6)"
"$python" -m pytest -q -p no:cacheprovider tests/conformance/test_inbox.py tests/conformance/test_tensors.py \
    tests/conformance/test_fabric.py tests/conformance/test_fabric_strangers.py tests/unit/native
