#!/usr/bin/env bash
# Breaks databases for a while: random operations, crashes, faults and options from ever new seeds (tests/torture).
#   scripts/torture.sh [MINUTES=60] [FIRST_SEED]
# Ends at the first failure; the seed that it prints plays it again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

minutes="${1:-60}"
first="${2:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
install_packages build test
configure_and_build "$ROOT/build" -DCMAKE_BUILD_TYPE=Release -DBEDROCK_TESTS=ON -- bedrock_torture
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

slice=200   # seeds a turn
end=$((SECONDS + minutes * 60))
seed=$first
say "From seed $first, for $minutes minutes"
while [ $SECONDS -lt $end ]; do
  "$ROOT/build/bin/bedrock_torture" --first "$seed" --seeds $slice
  "$ROOT/build/bin/bedrock_torture" --metamorphic --first "$seed" --seeds $((slice / 10)) --scratch "$scratch"
  seed=$((seed + slice))
done
say "Passed: seeds $first to $((seed - 1)), and of each $slice the first $((slice / 10)) metamorphic"
