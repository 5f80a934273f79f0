#!/usr/bin/env bash
# Installs the client into a prefix of its own and builds the example against it, by find_package and by pkg-config.
# Usage: install_test.sh BUILD_DIR SOURCE_DIR CXX CXX_FLAGS
set -euo pipefail
build=$1 source=$2 cxx=$3 flags=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" --component client >"$work/install.log"
if grep -rlE 'zmq|msgpack|boost/' "$work/prefix/include"; then
  echo "an installed header shows a private dependency" && exit 1
fi

cmake -G Ninja -S "$source/client/example" -B "$work/example" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS="$flags" >"$work/configure.log"
cmake --build "$work/example" >"$work/build.log" || { cat "$work/build.log"; exit 1; }

config=$(find "$work/prefix" -name pkgconfig -type d)
# shellcheck disable=SC2046,SC2086
"$cxx" -std=c++20 $flags "$source/client/example/main.cc" -o "$work/by_pkg_config" \
  $(PKG_CONFIG_PATH=$config pkg-config --cflags --libs bedrock-client)

# Nobody listens there: both must run and say so.
for program in "$work/example/example" "$work/by_pkg_config"; do
  output=$("$program" "ipc://$work/nobody" 2>&1) && { echo "put without a cluster succeeded"; exit 1; }
  case $output in *timed_out*"the write was not applied"*) ;; *) echo "unexpected: $output"; exit 1 ;; esac
done
echo "the installed client builds and runs both ways"
