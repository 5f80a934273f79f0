#!/usr/bin/env bash
# Runs the wrong variants of the rules against the tests and prints which were caught, by what and after how many
# seeds: mutants.sh [--jobs N] [--seeds N] [NAME…]. See tests/mutants/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tests/mutants/mutants.py run "$@"
