#!/usr/bin/env bash
# Installs the library into a prefix of its own and builds its examples against it, by find_package and by pkg-config;
# then client and library into one prefix, and one program against both.
# Usage: install_test.sh BUILD_DIR SOURCE_DIR CXX CXX_FLAGS
set -euo pipefail
build=$1 source=$2 cxx=$3 flags=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }

run cmake --install "$build" --prefix "$work/prefix" --component embedded
if grep -rlE 'zmq|msgpack|boost/|lz4|zstd|isal' "$work/prefix/include"; then
  echo "an installed header shows a private dependency" && exit 1
fi
for header in "$work"/prefix/include/bedrock/*.h; do
  # Each stands on its own.
  # shellcheck disable=SC2086
  echo "#include <bedrock/$(basename "$header")>" |
    "$cxx" -std=c++20 $flags -Wall -Wextra -Werror -fsyntax-only -I"$work/prefix/include" -x c++ -
done

run cmake -G Ninja -S "$source/storaged/example" -B "$work/example" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS="$flags"
run cmake --build "$work/example"

config=$(find "$work/prefix" -name pkgconfig -type d)
for program in hello tour; do
  # shellcheck disable=SC2046,SC2086
  run "$cxx" -std=c++20 $flags "$source/storaged/example/$program.cc" -o "$work/$program" \
    $(PKG_CONFIG_PATH=$config pkg-config --cflags --libs bedrock)
done
if ldd "$work/hello" | grep -E 'zmq|msgpack|boost'; then
  echo "the library links what it must not" && exit 1
fi

cd "$work"
for how in "$work/example" "$work"; do
  output=$("$how/hello")
  [ "$output" = "embedded world" ] || { echo "unexpected: $output"; exit 1; }
  output=$("$how/hello")  # again, on what is there
  [ "$output" = "embedded world" ] || { echo "unexpected: $output"; exit 1; }
  output=$("$how/tour" "$work/tour_data")
  case $output in *"now (absent), before Grace"*"a has 70, b has 30"*"the copy has 30"*) ;;
    *) echo "unexpected: $output"; exit 1 ;;
  esac
  rm -rf "$work/data" "$work/tour_data" "$work/tour_data.copy"
done

# The example of the front README runs as it stands there.
run python3 - "$source/README.md" "$work/readme.cc" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
block = re.search(r"## Embedding.*?```cpp\n(.*?)```", text, re.S).group(1)
open(sys.argv[2], "w").write(block)
PY
# shellcheck disable=SC2046,SC2086
run "$cxx" -std=c++20 $flags -Wall -Wextra -Werror "$work/readme.cc" -o "$work/readme" \
  $(PKG_CONFIG_PATH=$config pkg-config --cflags --libs bedrock)
run "$work/readme"

run cmake --install "$build" --prefix "$work/prefix" --component client
mkdir "$work/both"
cat >"$work/both/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(both LANGUAGES CXX)
find_package(bedrock 0.1 REQUIRED COMPONENTS embedded client)
add_executable(both main.cc)
target_link_libraries(both PRIVATE bedrock::bedrock bedrock::client)
CMAKE
cat >"$work/both/main.cc" <<'CPP'
#include <bedrock/client.h>
#include <bedrock/db.h>
int main() {
  auto db = bedrock::DB::Open("both_data");
  auto client = bedrock::Client::Connect({.endpoints = {"ipc://both_nobody"}});
  return db.ok() && client.ok() ? 0 : 1;
}
CPP
run cmake -G Ninja -S "$work/both" -B "$work/both/build" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS="$flags"
run cmake --build "$work/both/build"
run "$work/both/build/both"
echo "the installed library builds and runs in all ways"
