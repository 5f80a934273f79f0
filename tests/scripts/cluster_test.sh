#!/usr/bin/env bash
# scripts/cluster.sh end to end, with programs that are built already: cluster_test.sh CLUSTER_SH BIN_FOLDER
set -euo pipefail
CLUSTER=$1
export BEDROCK_BIN=$2
FOLDER=$(mktemp -d)
DATA="$FOLDER/a folder with a rather long name, spaces, and an umlaut ü, as people have them/data"
PORT=$((21000 + RANDOM % 3000))
trap '"$CLUSTER" wipe --data "$DATA" >/dev/null 2>&1 || true; rm -rf "$FOLDER"' EXIT

check() { # check WHAT EXPECTED ACTUAL
  [ "$2" = "$3" ] || { echo "FAILED: $1: expected '$2', got '$3'"; exit 1; }
  echo "ok: $1"
}
refuses() { # refuses WHAT COMMAND…: it must fail and say why
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then echo "FAILED: $what was accepted"; exit 1; fi
  [[ $output == *error:* ]] || { echo "FAILED: $what gives no reason: $output"; exit 1; }
  echo "ok: $what is refused"
}

refuses 'a cluster that does not exist' "$CLUSTER" status --data "$DATA"
refuses 'nodes=0' "$CLUSTER" start --nodes 0 --data "$DATA"

OUTPUT=$("$CLUSTER" start --data "$DATA" --base-port "$PORT")
mapfile -t LINES < <(sed -n 's/^  \(curl .*\)/\1/p' <<<"$OUTPUT")
check 'start prints three curl lines' 3 "${#LINES[@]}"
check 'the first puts' '' "$(bash -c "${LINES[0]} -sS --fail")"
check 'the second gets' world "$(bash -c "${LINES[1]} -sS --fail")"
check 'the third shows three members' 3 "$(bash -c "${LINES[2]} -sS --fail" | jq '.members | length')"

for process in storaged raftd routerd; do
  [ -s "$DATA/n2/run/$process.pid" ] && [ -f "$DATA/n2/log/$process.log" ] || { echo "FAILED: files of $process"; exit 1; }
done
check 'status shows nine processes' 9 "$("$CLUSTER" status --data "$DATA" | grep -cE ' (storaged|raftd|routerd) +[0-9]+ ')"

"$CLUSTER" kill n2 storaged --data "$DATA" >/dev/null
check 'kill shows in status' 1 "$("$CLUSTER" status --data "$DATA" | grep -cE 'storaged +- +down')"
OUTPUT=$("$CLUSTER" start --data "$DATA")
check 'a second start starts what is down' 9 "$("$CLUSTER" status --data "$DATA" | grep -cE ' (storaged|raftd|routerd) +[0-9]+ ')"
check 'and keeps the data' world "$(curl -sS "http://127.0.0.1:$((PORT + 1))/get?key=hello")"
check 'a third start finds it running' 1 "$("$CLUSTER" start --data "$DATA" | grep -c 'running already')"
refuses 'another number of nodes' "$CLUSTER" start --nodes 5 --data "$DATA"

"$CLUSTER" restart n1 --data "$DATA" >/dev/null
"$CLUSTER" restart n3 raftd --data "$DATA" >/dev/null
"$CLUSTER" start --data "$DATA" >/dev/null
check 'the data survive restarts' world "$(curl -sS "http://127.0.0.1:$PORT/get?key=hello")"
[ -n "$("$CLUSTER" logs n1 --data "$DATA")" ] || { echo 'FAILED: logs are empty'; exit 1; }
refuses 'a node that does not exist' "$CLUSTER" kill n4 --data "$DATA"
refuses 'a process that does not exist' "$CLUSTER" restart n1 etcd --data "$DATA"

# Flags of one's own: a process takes them when it is started next.
printf '%s\n' '# reads without a round of messages' '' '  --lease-reads ' '--clock-drift-per-mille=50' >"$DATA/raftd.flags"
"$CLUSTER" restart n2 raftd --data "$DATA" >/dev/null
flags() { tr '\0' '\n' <"/proc/$(<"$DATA/$1/run/raftd.pid")/cmdline" | grep -cxE -e '--lease-reads|--clock-drift-per-mille=50' || true; }
check 'a restarted process has the flags' 2 "$(flags n2)"
check 'the others have not' 0 "$(flags n3)"
echo '--no-such-flag' >"$DATA/raftd.flags"
refuses 'a flag that does not exist' "$CLUSTER" restart n2 raftd --data "$DATA"
rm "$DATA/raftd.flags"
"$CLUSTER" start --data "$DATA" >/dev/null

# Members come and go; each router tells of all.
refuses 'a name that is none' "$CLUSTER" add four --data "$DATA"
refuses 'a node that is there' "$CLUSTER" add n2 --data "$DATA"
"$CLUSTER" add n4 --data "$DATA" >/dev/null
check 'the new node votes' voter "$(curl -sS "http://127.0.0.1:$((PORT + 3))/v1/cluster" | jq -r '.members[] | select(.id == "n4") | .role')"
check 'and serves what was there' world "$(curl -sS "http://127.0.0.1:$((PORT + 3))/get?key=hello")"
check 'status shows twelve processes' 12 "$("$CLUSTER" status --data "$DATA" | grep -cE ' (storaged|raftd|routerd) +[0-9]+ ')"
"$CLUSTER" remove n1 --data "$DATA" >/dev/null
check 'the others know that it is gone' 'n2 n3 n4' "$(curl -sS "http://127.0.0.1:$((PORT + 2))/v1/cluster" | jq -r '[.members[].id] | join(" ")')"
[ ! -e "$DATA/n1" ] && [ -d "$DATA/n1.removed" ] || { echo 'FAILED: the data of n1 are not put aside'; exit 1; }
check 'status names it' 1 "$("$CLUSTER" status --data "$DATA" | grep -c '^removed: n1$')"
refuses 'a name that was used' "$CLUSTER" add n1 --data "$DATA"
refuses 'a second removal' "$CLUSTER" remove n1 --data "$DATA"
"$CLUSTER" restart n4 --data "$DATA" >/dev/null
check 'a restart waits until the node is in step' world "$(curl -sS "http://127.0.0.1:$((PORT + 3))/get?key=hello&consistency=stale")"

"$CLUSTER" stop --data "$DATA" >/dev/null
check 'stop leaves no process' 9 "$("$CLUSTER" status --data "$DATA" | grep -c ' down ')"
"$CLUSTER" start --data "$DATA" >/dev/null
check 'the data survive stop and start' world "$(curl -sS "http://127.0.0.1:$((PORT + 1))/get?key=hello")"
check 'and so do the members' 'n2 n3 n4' "$(curl -sS "http://127.0.0.1:$((PORT + 3))/v1/cluster" | jq -r '[.members[].id] | join(" ")')"
"$CLUSTER" wipe --data "$DATA" >/dev/null
[ ! -e "$DATA" ] || { echo 'FAILED: wipe leaves data'; exit 1; }
echo 'all ok'
