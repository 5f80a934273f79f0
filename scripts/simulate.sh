#!/usr/bin/env bash
# Runs both simulators, of Raft alone and of whole clusters, from ever new seeds on every core (tests/sim).
#   scripts/simulate.sh [MINUTES=60] [FIRST_SEED]
# Ends at the first seed that fails, and says what broke. A whole cluster's run is made smaller then, and kept as a script
# in failed-SEED.txt, for bedrock_cluster_sim --replay.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

minutes="${1:-60}"
first="${2:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
install_packages build test
configure_and_build "$ROOT/build" -DCMAKE_BUILD_TYPE=Release -DBEDROCK_TESTS=ON -- bedrock_sim bedrock_cluster_sim
scratch="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT

slice=250   # seeds a turn
workers=$(nproc)
end=$((SECONDS + minutes * 60))

# simulate PROGRAM SEED: a slice. 1 where one of its seeds fails.
simulate() {
  local program="$ROOT/build/bin/$1" said="$scratch/$1.$2" seed
  "$program" --first "$2" --seeds $slice >"$said" 2>&1 && return 0
  seed=$(grep -aoE -m 1 '^seed [0-9]+' "$said" | cut -d' ' -f2 || true)
  head -n 60 "$said"
  say "Failed: $1 --seed ${seed:-of $2 and the $slice behind it}"
  if [ "$1" = bedrock_cluster_sim ] && [ -n "$seed" ]; then
    "$program" --seed "$seed" --minimise --save "failed-$seed.txt" >"$said" 2>&1 || true
    say "Kept: bedrock_cluster_sim --replay failed-$seed.txt"
  fi
  return 1
}

# work SEED: every so manieth slice from this seed on, until the time is over.
work() {
  local seed=$1
  while [ $SECONDS -lt $end ]; do
    simulate bedrock_sim "$seed" || return 1
    simulate bedrock_cluster_sim "$seed" || return 1
    echo "$slice" >>"$scratch/passed"
    seed=$((seed + workers * slice))
  done
}

say "From seed $first, for $minutes minutes, on $workers cores"
for ((i = 0; i < workers; i++)); do
  work $((first + i * slice)) &
done
for ((i = 0; i < workers; i++)); do
  wait -n || exit 1
done
say "Passed: $(awk '{ seeds += $1 } END { print seeds + 0 }' "$scratch/passed") seeds of each simulator, from $first on"
