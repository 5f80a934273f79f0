#!/usr/bin/env bash
# Installs what is missing, builds and runs every test: unit, script, simulation and process tests (Release, g++), then
# short runs of every fuzz target (clang, with AddressSanitizer and UndefinedBehaviorSanitizer).
#   scripts/test.sh [CTEST_ARGUMENT…]     for example: scripts/test.sh -R raftd
# Longer runs: scripts/README.md, tests/bench/README.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

say "[1/4] Packages"
install_packages build test
say "[2/4] Building everything (Release, in build/)"
configure_and_build "$ROOT/build" -DCMAKE_BUILD_TYPE=Release -DBEDROCK_TESTS=ON -DBEDROCK_BENCHMARKS=ON -- all
say "[3/4] Building the fuzz targets (clang, in build/fuzz/)"
configure_and_build "$ROOT/build/fuzz" -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g" \
  -DCMAKE_CXX_COMPILER=clang++-14 -DBEDROCK_FUZZERS=ON -DBEDROCK_TESTS=OFF -DBEDROCK_BENCHMARKS=OFF -- fuzzers
say "[4/4] Running"
# With arguments that choose tests, either of the two may have none.
none=error
[ $# -eq 0 ] || none=ignore
ctest --test-dir "$ROOT/build/fuzz" -L fuzz --output-on-failure -j "$(nproc)" --no-tests=$none "$@"
ctest --test-dir "$ROOT/build" --output-on-failure -j "$(nproc)" --no-tests=$none "$@"
