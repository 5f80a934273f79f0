#!/usr/bin/env bash
# Runs a Bedrock cluster on this machine. `scripts/cluster.sh help` says how.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'END'
Usage: scripts/cluster.sh COMMAND [--data DIR]

  start [--nodes N] [--base-port P]   install what is missing, build, start the nodes that are down, wait until
                                      the cluster takes writes (N = 3, P = 8080; kept in DIR for later starts)
  stop                                end every process in order; nothing is lost
  status                              a table of nodes and processes
  restart NODE [PROCESS]              stop one node, or one process of it, in order and start it again
  kill NODE [PROCESS] [--signal S]    send a signal (KILL) to a node's processes, or to one
  logs NODE [PROCESS] [--follow]      what a node's processes have logged
  wipe                                stop, then delete everything under DIR

  NODE is n1, n2, …; PROCESS is storaged, raftd or routerd; DIR is ./data where --data does not say.
  Node n<i> serves HTTP on port P+i-1 and ZeroMQ clients on 7000+i-1; its raftd listens on 9000+i-1 and its
  storaged on 10500+i-1. The last three move with P: --base-port 8180 makes them 7100, 9100 and 10600.
  Everything listens on 127.0.0.1 alone.
END
}

PROCESSES=(storaged raftd routerd)  # in the order of starting
declare -A SPAWNED=()               # what this script has started: node-process -> pid

# ---- the cluster's own file: DIR/cluster ----

# load_cluster: sets NODES, BASE_PORT and CLUSTER_ID from DIR/cluster; fails where there is none.
load_cluster() {
  [ -f "$DATA/cluster" ] || fail "there is no cluster in $DATA (scripts/cluster.sh start makes one)"
  NODES=$(sed -n 's/^nodes=//p' "$DATA/cluster")
  BASE_PORT=$(sed -n 's/^base_port=//p' "$DATA/cluster")
  CLUSTER_ID=$(sed -n 's/^cluster_id=//p' "$DATA/cluster")
  [[ $NODES =~ ^[0-9]+$ && $BASE_PORT =~ ^[0-9]+$ && $CLUSTER_ID =~ ^[0-9a-f]{16}$ ]] ||
    fail "$DATA/cluster is damaged: it must hold nodes=, base_port= and cluster_id="
}

create_cluster() {
  [ -e "$DATA/n1" ] && fail "$DATA holds nodes but no file 'cluster'; it is not touched"
  mkdir -p "$DATA"
  CLUSTER_ID=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
  printf 'nodes=%s\nbase_port=%s\ncluster_id=%s\n' "$NODES" "$BASE_PORT" "$CLUSTER_ID" >"$DATA/cluster.tmp"
  mv "$DATA/cluster.tmp" "$DATA/cluster"
}

http_port() { echo $((BASE_PORT + $1 - 1)); }
client_port() { echo $((BASE_PORT - 8080 + 7000 + $1 - 1)); }
raft_port() { echo $((BASE_PORT - 8080 + 9000 + $1 - 1)); }
storage_port() { echo $((BASE_PORT - 8080 + 10500 + $1 - 1)); }

# ---- processes ----

pid_file() { echo "$DATA/n$1/run/$2.pid"; }

# pid_of I PROCESS: its pid where it lives; a pid file whose number another program has by now counts as none.
pid_of() {
  local file pid
  file=$(pid_file "$1" "$2")
  [ -f "$file" ] || return 1
  pid=$(<"$file")
  [[ $pid =~ ^[0-9]+$ ]] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || return 1
  [ "$(awk '/^State:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)" != Z ] || return 1
  echo "$pid"
}

start_process() {
  local i=$1 process=$2 node=$DATA/n$1 member j arguments=()
  for ((j = 1; j <= NODES; j++)); do
    member="n$j,raft=tcp://127.0.0.1:$(raft_port "$j"),storage=tcp://127.0.0.1:$(storage_port "$j")"
    member+=",client=tcp://127.0.0.1:$(client_port "$j"),http=127.0.0.1:$(http_port "$j")"
    arguments+=(--member "$member")
  done
  mkdir -p "$node/run" "$node/log"
  rm -f "$(pid_file "$i" "$process")"
  # The process runs in its node's folder, so that its ipc:// sockets have short, relative names in any checkout.
  (
    cd "$node"
    exec setsid "$BIN/$process" --node "n$i" --cluster-id "$CLUSTER_ID" --data . "${arguments[@]}" \
      </dev/null >>"log/$process.log" 2>&1 9>&-
  ) &
  SPAWNED[$i-$process]=$!
  disown
}

# wait_until_down SECONDS I PROCESS
wait_until_down() {
  local tries=$(($1 * 20))
  while pid_of "$2" "$3" >/dev/null; do
    [ $((tries--)) -gt 0 ] || return 1
    sleep 0.05
  done
}

stop_process() {
  local i=$1 process=$2 pid
  pid=$(pid_of "$i" "$process") || return 0
  kill -TERM "$pid" 2>/dev/null || true
  kill -CONT "$pid" 2>/dev/null || true
  if ! wait_until_down 15 "$i" "$process"; then
    say "n$i $process did not stop within 15 s and is killed; its log is $DATA/n$i/log/$process.log"
    kill -KILL "$pid" 2>/dev/null || true
    wait_until_down 5 "$i" "$process" || fail "n$i $process (pid $pid) does not go away"
  fi
  rm -f "$(pid_file "$i" "$process")"
}

# check_alive I PROCESS: fails with the end of its log where the process is gone.
check_alive() {
  pid_of "$1" "$2" >/dev/null && return 0
  tail -n 15 "$DATA/n$1/log/$2.log" >&2 || true
  fail "n$1 $2 ended; the end of $DATA/n$1/log/$2.log stands above"
}

# wait_for_start I PROCESS: until it has written its pid file, which it does once it runs.
wait_for_start() {
  local i=$1 process=$2 tries=600
  until pid_of "$i" "$process" >/dev/null; do
    if [ $((tries--)) -le 0 ] || ! kill -0 "${SPAWNED[$i-$process]:-0}" 2>/dev/null; then
      check_alive "$i" "$process"
    fi
    sleep 0.05
  done
}

# A linearizable write that leaves nothing behind: deleting a key that nobody has.
try_write() {
  curl -s -o /dev/null -w '%{http_code}' --max-time 3 -X DELETE \
    "http://127.0.0.1:$(http_port "$1")/delete?key=bedrock-cluster-start-probe" 2>/dev/null || true
}

wait_until_ready() {
  local i process tries
  for ((i = 1; i <= NODES; i++)); do
    tries=300
    until [ "$(try_write "$i")" = 200 ]; do
      for process in "${PROCESSES[@]}"; do check_alive "$i" "$process"; done
      [ $((tries--)) -gt 0 ] || fail "n$i takes no writes after a minute; its logs are in $DATA/n$i/log"
      sleep 0.1
    done
  done
}

# ---- commands ----

find_programs() {
  BIN=${BEDROCK_BIN:-$ROOT/build/bin}
  local process
  for process in "${PROCESSES[@]}"; do
    [ -x "$BIN/$process" ] || fail "$BIN/$process is missing; scripts/cluster.sh start builds it"
  done
}

command_start() {
  local i process started=0
  if [ -f "$DATA/cluster" ]; then
    local nodes_wanted=$NODES port_wanted=$BASE_PORT
    load_cluster
    [ -z "$nodes_wanted" ] || [ "$nodes_wanted" = "$NODES" ] ||
      fail "the cluster in $DATA has $NODES nodes; this version cannot change that (--nodes $nodes_wanted)"
    [ -z "$port_wanted" ] || [ "$port_wanted" = "$BASE_PORT" ] ||
      fail "the cluster in $DATA has base port $BASE_PORT, not $port_wanted"
  fi
  NODES=${NODES:-3} BASE_PORT=${BASE_PORT:-8080}
  [[ $NODES =~ ^[1-9]$ ]] || fail "--nodes takes 1 to 9, not '$NODES'"
  [[ $BASE_PORT =~ ^[0-9]+$ ]] && [ "$BASE_PORT" -ge 2200 ] && [ "$BASE_PORT" -le 60000 ] ||
    fail "--base-port takes 2200 to 60000, not '$BASE_PORT'"

  if [ -z "${BEDROCK_BIN:-}" ]; then
    say "[1/3] Packages"
    install_packages build
    say "[2/3] Building (Release, in build/; minutes the first time)"
    configure_and_build "$ROOT/build" -DCMAKE_BUILD_TYPE=Release -DBEDROCK_TESTS=OFF -DBEDROCK_BENCHMARKS=OFF \
      -- "${PROCESSES[@]}"
  fi
  find_programs
  [ -f "$DATA/cluster" ] || create_cluster
  say "[3/3] Starting $NODES nodes in $DATA"
  for ((i = 1; i <= NODES; i++)); do
    for process in "${PROCESSES[@]}"; do
      pid_of "$i" "$process" >/dev/null && continue
      start_process "$i" "$process"
      started=$((started + 1))
    done
  done
  for ((i = 1; i <= NODES; i++)); do
    for process in "${PROCESSES[@]}"; do wait_for_start "$i" "$process"; done
  done
  wait_until_ready
  local url="http://127.0.0.1:$BASE_PORT"
  say ""
  if [ "$started" = 0 ]; then
    say "Bedrock was running already: $NODES nodes, HTTP on port $BASE_PORT and up. Try:"
  else
    say "Bedrock is ready: $NODES nodes, HTTP on port $BASE_PORT and up. Try:"
  fi
  say ""
  say "  curl -X PUT '$url/put?key=hello' --data-binary 'world'"
  say "  curl 'http://127.0.0.1:$(http_port "$NODES")/get?key=hello'"
  say "  curl '$url/v1/cluster'"
  say ""
  say "scripts/cluster.sh status --data '$DATA' shows the nodes, stop ends them."
}

command_stop() {
  local i process k
  load_cluster
  # Routers first, so that no request meets a half-stopped node; storaged last, after its raftd.
  for ((k = ${#PROCESSES[@]} - 1; k >= 0; k--)); do
    process=${PROCESSES[k]}
    for ((i = 1; i <= NODES; i++)); do signal_process "$i" "$process" TERM; done
    for ((i = 1; i <= NODES; i++)); do stop_process "$i" "$process"; done
  done
  say "Stopped. The data stay in $DATA."
}

# signal_process I PROCESS SIGNAL: true where it was alive.
signal_process() {
  local pid
  pid=$(pid_of "$1" "$2") && kill "-$3" "$pid" 2>/dev/null || true
}

command_status() {
  local i process pid state cluster='' role applied up
  load_cluster
  for ((i = 1; i <= NODES && ${#cluster} == 0; i++)); do
    cluster=$(curl -s --max-time 2 "http://127.0.0.1:$(http_port "$i")/v1/cluster" 2>/dev/null || true)
    jq -e .members >/dev/null 2>&1 <<<"$cluster" || cluster=''
  done
  if [ -n "$cluster" ]; then
    jq -r '"cluster \(.cluster_id)  leader \(.leader // "none")  term \(.term)  commit \(.commit_index)"' <<<"$cluster"
  else
    say "cluster $CLUSTER_ID  (no router answers)"
  fi
  printf '%-5s %-12s %-9s %-12s %-8s %-10s %s\n' NODE STATE APPLIED PROCESS PID UP LISTENS
  for ((i = 1; i <= NODES; i++)); do
    role=-
    applied=-
    if [ -n "$cluster" ]; then
      role=$(jq -r --arg id "n$i" '[.members[] | select(.id == $id) | .state][0] // "-"' <<<"$cluster")
      applied=$(jq -r --arg id "n$i" '[.members[] | select(.id == $id) | .applied_index][0] // "-"' <<<"$cluster")
    fi
    for process in "${PROCESSES[@]}"; do
      if pid=$(pid_of "$i" "$process"); then
        up=$(ps -o etime= -p "$pid" | tr -d ' ')
        state=$(awk '/^State:/ { print $2 }' "/proc/$pid/status" 2>/dev/null || true)
        if [ "$state" = T ]; then up='stopped'; fi
      else
        pid=- up=down
      fi
      case $process in
        storaged) state="tcp $(storage_port "$i")" ;;
        raftd) state="tcp $(raft_port "$i")" ;;
        routerd) state="http $(http_port "$i"), zeromq $(client_port "$i")" ;;
      esac
      printf '%-5s %-12s %-9s %-12s %-8s %-10s %s\n' "n$i" "$role" "$applied" "$process" "$pid" "$up" "$state"
      role='' applied=''
    done
  done
}

# take_node_and_process: sets NODE (a number) and SELECTED (the processes meant) from the words left.
take_node_and_process() {
  [ ${#WORDS[@]} -ge 1 ] || fail "which node? (n1 to n$NODES)"
  [[ ${WORDS[0]} =~ ^n([1-9])$ ]] && [ "${BASH_REMATCH[1]}" -le "$NODES" ] ||
    fail "'${WORDS[0]}' is no node of this cluster (n1 to n$NODES)"
  NODE=${BASH_REMATCH[1]}
  SELECTED=("${PROCESSES[@]}")
  if [ ${#WORDS[@]} -ge 2 ]; then
    [[ " ${PROCESSES[*]} " == *" ${WORDS[1]} "* ]] || fail "'${WORDS[1]}' is no process: ${PROCESSES[*]}"
    SELECTED=("${WORDS[1]}")
  fi
  [ ${#WORDS[@]} -le 2 ] || fail "what is '${WORDS[2]}'?"
}

command_restart() {
  load_cluster
  find_programs
  take_node_and_process
  local k
  for ((k = ${#SELECTED[@]} - 1; k >= 0; k--)); do stop_process "$NODE" "${SELECTED[k]}"; done
  for process in "${SELECTED[@]}"; do start_process "$NODE" "$process"; done
  for process in "${SELECTED[@]}"; do wait_for_start "$NODE" "$process"; done
  say "n$NODE: restarted ${SELECTED[*]}"
}

command_kill() {
  load_cluster
  take_node_and_process
  local process pid hit=()
  for process in "${SELECTED[@]}"; do
    pid=$(pid_of "$NODE" "$process") || continue
    kill "-$SIGNAL" "$pid" && hit+=("$process")
  done
  [ ${#hit[@]} -gt 0 ] || fail "n$NODE: none of ${SELECTED[*]} is running"
  if [ "$SIGNAL" = KILL ] || [ "$SIGNAL" = 9 ]; then
    for process in "${hit[@]}"; do wait_until_down 5 "$NODE" "$process" || fail "n$NODE $process survived"; done
  fi
  say "n$NODE: sent $SIGNAL to ${hit[*]}"
}

command_logs() {
  load_cluster
  take_node_and_process
  local process files=()
  for process in "${SELECTED[@]}"; do
    [ -f "$DATA/n$NODE/log/$process.log" ] && files+=("$DATA/n$NODE/log/$process.log")
  done
  [ ${#files[@]} -gt 0 ] || fail "n$NODE has logged nothing yet"
  if [ "$FOLLOW" = yes ]; then
    exec tail -n 50 -F "${files[@]}"
  fi
  # Every line begins with its time, so sorting merges the processes.
  sort -s -k1,1 "${files[@]}"
}

command_wipe() {
  command_stop >/dev/null
  rm -rf "$DATA"/n[1-9] "$DATA/cluster"
  rmdir "$DATA" 2>/dev/null || true
  say "Wiped $DATA."
}

# ---- the command line ----

[ $# -ge 1 ] || { usage >&2; exit 2; }
COMMAND=$1
shift
DATA=./data NODES='' BASE_PORT='' SIGNAL=KILL FOLLOW=no WORDS=()
while [ $# -gt 0 ]; do
  case $1 in
    --data | --nodes | --base-port | --signal)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --data) DATA=$2 ;;
        --nodes) NODES=$2 ;;
        --base-port) BASE_PORT=$2 ;;
        --signal) SIGNAL=${2#SIG} ;;
      esac
      shift 2
      ;;
    --follow | -f) FOLLOW=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; fail "unknown option $1" ;;
    *) WORDS+=("$1"); shift ;;
  esac
done
case $COMMAND in
  help | -h | --help) usage; exit 0 ;;
esac
mkdir -p "$(dirname "$DATA")"
DATA=$(cd "$(dirname "$DATA")" && pwd)/$(basename "$DATA")
case $COMMAND in
  start | stop | status | restart | kill | logs | wipe) "command_$COMMAND" ;;
  add | remove)
    fail "this version has a fixed membership: '$COMMAND' comes with membership changes; start a new cluster with --nodes N"
    ;;
  *) usage >&2; fail "unknown command $COMMAND" ;;
esac
