#!/usr/bin/env bash
# Kills, pauses and restarts the processes of clusters under transactions, and checks what clients saw (tests/chaos).
#   scripts/chaos.sh [MINUTES=30] [FIRST_SEED]
# A new cluster and a new seed each minute. Ends at the first violation; the cluster's data and logs are kept then.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

minutes="${1:-30}"
first="${2:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
install_packages build test
configure_and_build "$ROOT/build" -DCMAKE_BUILD_TYPE=Release -DBEDROCK_TESTS=ON -- chaos_test storaged raftd routerd
say "From seed $first, for $minutes minutes"
for ((i = 0; i < minutes; i++)); do
  seed=$((first + i))
  BEDROCK_CHAOS_SEED=$seed BEDROCK_CHAOS_SECONDS=60 "$ROOT/build/tests/chaos/chaos_test" |
    grep -vE '^(\[|Running|Note)' || { say "Failed: seed $seed"; exit 1; }
done
say "Passed: seeds $first to $((first + minutes - 1)), a minute each"
