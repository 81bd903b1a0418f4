# Sourced by ./run and ./test; POSIX sh. Brings "$root/.venv" to the state that pyproject.toml asks for.
#
#   prepare run     the package and what it needs
#   prepare dev     the same with the tools of ./test
#
# Every step can be repeated, and the stamp is written last: after an interruption the next start resumes.
# The stamp holds a hash of all that decides what gets installed, so a second start does nothing.

torch_version=2.13.0 # exactly this: a CPU build of it is found, and the shipped figures were taken with it
venv="$root/.venv"
stamp="$venv/brickwork-stamp"

say() { printf 'brickwork: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

fingerprint() {
    printf '%s torch-%s %s\n' "$(cd "$root" && find pyproject.toml CMakeLists.txt native -type f | LC_ALL=C sort | xargs cat | cksum)" \
        "$torch_version" "$root"
}

is_prepared() { # a dev environment serves ./run too
    [ -f "$stamp" ] || return 1
    case "$(cat "$stamp")" in
        "dev $(fingerprint)") return 0 ;;
        "run $(fingerprint)") [ "$1" = run ] ;;
        *) return 1 ;;
    esac
}

find_python() {
    for python in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$python" ] || continue
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return 0
    done
    die "needs Python 3.11 or newer, and python3 is $(python3 --version 2>/dev/null || echo missing)." \
        "Install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python $0"
}

find_compiler() {
    for compiler in "${CXX:-}" c++ g++ clang++; do
        [ -n "$compiler" ] && command -v "$compiler" >/dev/null 2>&1 && return 0
    done
    return 1
}

need_compiler() {
    find_compiler || die "needs a C++20 compiler for its native part, and found none." \
        "Install one (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++) or name it in CXX."
}

make_venv() {
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return 0
    find_python
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" ||
        die "could not make .venv. On Debian and Ubuntu: apt-get install python3-venv, then start again."
}

pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check "$@" ||
        die "pip could not install $*; its message is above. After mending it start again: finished steps are kept."
}

has_torch() {
    "$venv/bin/python" -c "from importlib.metadata import version
raise SystemExit(version('torch').split('+')[0] != '$torch_version')" 2>/dev/null
}

prepare() {
    is_prepared "$1" && return 0
    trap 'say "interrupted; start again to go on"; exit 130' INT
    need_compiler
    make_venv
    rm -f "$stamp"
    has_torch || { say "installing torch $torch_version, the largest part"; pip_install "torch==$torch_version"; }
    say "installing brickwork and what it needs"
    case "$1" in
        dev) pip_install -e "$root[dev]" ;;
        *) pip_install -e "$root" ;;
    esac
    has_torch || die "something replaced torch $torch_version; remove .venv and start again."
    printf '%s %s\n' "$1" "$(fingerprint)" >"$stamp.new" && mv "$stamp.new" "$stamp"
    trap - INT
    say "ready"
}
