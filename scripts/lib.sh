# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, not run. Sets ROOT to the checkout.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# say TEXT…: a line of progress. fail TEXT…: the reason, and the end.
say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# packages_of LIST…: the names under [LIST] in packages.txt.
packages_of() {
  local list
  for list in "$@"; do
    awk -v want="[$list]" '/^#/ || NF == 0 { next } /^\[/ { on = ($0 == want); next } on { print $1 }' \
      "$ROOT/scripts/packages.txt"
  done
}

# install_packages LIST…: installs by apt what is missing. Needs root, or sudo.
install_packages() {
  local package missing=() as_root=()
  for package in $(packages_of "$@"); do
    if [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" != "ii " ]; then
      missing+=("$package")
    fi
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "these packages are missing, and there is no sudo to install them: ${missing[*]}"
    as_root=(sudo)
  fi
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    fail "apt could not install the packages above"
  fi
  rm -f "$log"
}

# configure_and_build FOLDER CMAKE_ARGUMENT… -- TARGET…: one build at a time in a folder. Ninja prints its progress
# where somebody watches, and one line a minute where nobody does.
configure_and_build() {
  local folder=$1 arguments=() log
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    arguments+=("$1")
    shift
  done
  shift
  mkdir -p "$folder"
  (
    flock 9
    log=$folder/configure.log
    if ! cmake -S "$ROOT" -B "$folder" -G Ninja "${arguments[@]}" >"$log" 2>&1 </dev/null; then
      tail -n 40 "$log" >&2
      fail "cmake could not configure $folder"
    fi
    if [ -t 1 ]; then
      cmake --build "$folder" --target "$@" </dev/null
    else
      build_quietly "$folder" "$@"
    fi || fail "the build in $folder failed"
  ) 9>"$folder/.lock"
}

build_quietly() {
  local folder=$1 log=$1/build.log builder
  shift
  cmake --build "$folder" --target "$@" >"$log" 2>&1 </dev/null &
  builder=$!
  local shown=0
  while kill -0 "$builder" 2>/dev/null; do
    sleep 1
    shown=$((shown + 1))
    [ $((shown % 60)) -eq 0 ] && say "  $(grep -oE '^\[[0-9]+/[0-9]+\]' "$log" | tail -n 1) built after $((shown / 60)) min"
  done
  if ! wait "$builder"; then
    grep -E -A 20 'FAILED|error:' "$log" | head -n 60 >&2
    return 1
  fi
}
