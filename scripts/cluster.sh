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
  add NODE                            a new node: start it, take it into the membership, wait until it votes
  remove NODE                         take a node out of the membership, wait until it is out, stop it; its data stay
                                      beside the others as NODE.removed, its name is never used again
  restart NODE [PROCESS]              stop one node, or one process of it, in order (a leader hands over first), start
                                      it again, and wait until it is in step: one node after the other, no request fails
  rebuild NODE                        move the data of a node's storaged aside, start it with none, and wait until it has
                                      fetched them from another node and is in step; all other nodes have to run
  kill NODE [PROCESS] [--signal S]    send a signal (KILL) to a node's processes, or to one
  logs NODE [PROCESS] [--follow]      what a node's processes have logged
  wipe                                stop, then delete everything under DIR

  NODE is n1, n2, …; PROCESS is storaged, raftd or routerd; DIR is ./data where --data does not say.
  Nodes are n1 to n99. Node n<i> serves HTTP on port P+i-1 and ZeroMQ clients on 7000+i-1; its raftd listens on 9000+i-1 and its
  storaged on 10500+i-1. The last three move with P: --base-port 8180 makes them 7100, 9100 and 10600.
  Everything listens on 127.0.0.1 alone.

  Flags of one's own (storaged --help, raftd --help, routerd --help tell them) stand in the files DIR/storaged.flags,
  DIR/raftd.flags and DIR/routerd.flags, one a line; a process takes them when it is started next:
    echo --lease-reads >>data/raftd.flags; scripts/cluster.sh restart n1
END
}

PROCESSES=(storaged raftd routerd)  # in the order of starting
declare -A SPAWNED=()               # what this script has started: node-process -> pid

# ---- the cluster's own file: DIR/cluster ----

#   nodes=3            so many founded it: n1 to n3
#   base_port=8080
#   cluster_id=…
#   members=1 2 3 4    the nodes there are
#   removed=5          those that are gone; no node has such a name again

# load_cluster: sets FOUNDERS, MEMBERS, REMOVED, BASE_PORT and CLUSTER_ID from DIR/cluster; fails where there is none.
load_cluster() {
  [ -f "$DATA/cluster" ] || fail "there is no cluster in $DATA (scripts/cluster.sh start makes one)"
  local members removed
  FOUNDERS=$(sed -n 's/^nodes=//p' "$DATA/cluster")
  BASE_PORT=$(sed -n 's/^base_port=//p' "$DATA/cluster")
  CLUSTER_ID=$(sed -n 's/^cluster_id=//p' "$DATA/cluster")
  members=$(sed -n 's/^members=//p' "$DATA/cluster")
  removed=$(sed -n 's/^removed=//p' "$DATA/cluster")
  [[ $FOUNDERS =~ ^[0-9]+$ && $BASE_PORT =~ ^[0-9]+$ && $CLUSTER_ID =~ ^[0-9a-f]{16}$ && "$members$removed" =~ ^[0-9\ ]*$ ]] ||
    fail "$DATA/cluster is damaged: it must hold nodes=, base_port= and cluster_id="
  # A file of before members could come and go has no such line.
  read -ra MEMBERS <<<"${members:-$(seq -s ' ' 1 "$FOUNDERS")}"
  read -ra REMOVED <<<"$removed"
}

save_cluster() {
  printf 'nodes=%s\nbase_port=%s\ncluster_id=%s\nmembers=%s\nremoved=%s\n' \
    "$FOUNDERS" "$BASE_PORT" "$CLUSTER_ID" "${MEMBERS[*]}" "${REMOVED[*]}" >"$DATA/cluster.tmp"
  mv "$DATA/cluster.tmp" "$DATA/cluster"
}

create_cluster() {
  [ -e "$DATA/n1" ] && fail "$DATA holds nodes but no file 'cluster'; it is not touched"
  mkdir -p "$DATA"
  CLUSTER_ID=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
  save_cluster
}

# is_one_of NUMBER NUMBER…
is_one_of() {
  local wanted=$1
  shift
  [[ " $* " == *" $wanted "* ]]
}

# names NUMBER…: "n1 n2".
names() {
  local list=''
  [ $# -eq 0 ] || printf -v list ' n%s' "$@"
  echo "${list# }"
}

# set_member I in|out
set_member() {
  local i all=()
  for i in "${MEMBERS[@]}"; do
    [ "$i" = "$1" ] || all+=("$i")
  done
  [ "$2" = out ] || all+=("$1")
  MEMBERS=("${all[@]}")
  save_cluster
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

# own_flags PROCESS: the flags in DIR/PROCESS.flags, a line each, without empty lines and those that begin with #.
own_flags() {
  [ ! -f "$DATA/$1.flags" ] || sed -e 's/^[[:space:]]*//; s/[[:space:]]*$//; /^#/d; /^$/d' "$DATA/$1.flags"
}

start_process() {
  local i=$1 process=$2 node=$DATA/n$1 member j named arguments=()
  named=("${MEMBERS[@]}")
  if [ "$process" = raftd ]; then
    # At its first start a raftd founds a cluster with those that are named, or waits to be taken into theirs.
    if [ "$i" -gt "$FOUNDERS" ]; then
      arguments+=(--join)
    else
      mapfile -t named < <(seq 1 "$FOUNDERS")
    fi
  fi
  for j in "${named[@]}"; do
    member="n$j,raft=tcp://127.0.0.1:$(raft_port "$j"),storage=tcp://127.0.0.1:$(storage_port "$j")"
    member+=",client=tcp://127.0.0.1:$(client_port "$j"),http=127.0.0.1:$(http_port "$j")"
    arguments+=(--member "$member")
  done
  mapfile -t -O "${#arguments[@]}" arguments < <(own_flags "$process")
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

# wait_until_ready I…
wait_until_ready() {
  local i process tries
  for i in "$@"; do
    tries=300
    until [ "$(try_write "$i")" = 200 ]; do
      for process in "${PROCESSES[@]}"; do check_alive "$i" "$process"; done
      [ $((tries--)) -gt 0 ] || fail "n$i takes no writes after a minute; its logs are in $DATA/n$i/log"
      sleep 0.1
    done
  done
}

# ---- the membership, as routers tell it ----

# any_url [I]: of a router that answers, of another node than n<I> where there is one.
any_url() {
  local i url others=()
  for i in "${MEMBERS[@]}"; do
    [ "$i" = "${1:-}" ] || others+=("$i")
  done
  for i in "${others[@]}" "${1:-${MEMBERS[0]}}"; do
    url="http://127.0.0.1:$(http_port "$i")"
    if curl -s -o /dev/null --fail --max-time 2 "$url/livez" 2>/dev/null; then
      echo "$url"
      return 0
    fi
  done
  return 1
}

# view URL: what it says of the cluster; fails where that is nothing.
view() {
  local text
  text=$(curl -s --fail --max-time 3 "$1/v1/cluster" 2>/dev/null) && jq -e .members <<<"$text" >/dev/null 2>&1 &&
    echo "$text"
}

# field_of VIEW I FIELD: of a member; "-" where it is none.
field_of() { jq -r --arg id "n$2" --arg field "$3" '[.members[] | select(.id == $id) | .[$field]][0] // "-"' <<<"$1"; }

# change METHOD URL [BODY]: asks a router for a change; sets STATUS, DETAIL and OUTCOME.
change() {
  local answer
  answer=$(curl -s --max-time 70 -w '\n%{http_code}' -X "$1" ${3:+--data "$3"} "$2" 2>/dev/null) || true
  STATUS=${answer##*$'\n'}
  DETAIL=$(jq -r '.detail // empty' <<<"${answer%$'\n'*}" 2>/dev/null || true)
  OUTCOME=$(jq -r '.outcome // empty' <<<"${answer%$'\n'*}" 2>/dev/null || true)
  [ "$STATUS" != 000 ] && [ -n "$STATUS" ] || DETAIL="$2 does not answer" OUTCOME=unknown
}

# wait_until_voter URL I
wait_until_voter() {
  local url=$1 i=$2 process now tries=0
  while true; do
    now=$(view "$url") || now='{"members":[]}'
    [ "$(field_of "$now" "$i" role)" = voter ] && return 0
    for process in "${PROCESSES[@]}"; do check_alive "$i" "$process"; done
    tries=$((tries + 1))
    [ $((tries % 50)) -ne 0 ] ||
      say "  n$i is $(field_of "$now" "$i" role), has $(field_of "$now" "$i" match_index) of $(jq -r '.commit_index // 0' <<<"$now") entries"
    [ $tries -lt 3000 ] || fail "n$i is no voter after ten minutes; add n$i goes on waiting, its logs are in $DATA/n$i/log"
    sleep 0.2
  done
}

# wait_until_in_step I: until the node follows (or leads) and has applied what is committed now.
wait_until_in_step() {
  local i=$1 process now goal='' tries=600
  while true; do
    if now=$(view "http://127.0.0.1:$(http_port "$i")"); then
      [ -n "$goal" ] || goal=$(jq -r .commit_index <<<"$now")
      case $(field_of "$now" "$i" state) in
        leader | follower | learner)
          [ "$(field_of "$now" "$i" storage)" != up ] || [ "$(jq -r '.leader // ""' <<<"$now")" = '' ] ||
            [ "$(field_of "$now" "$i" applied_index)" -lt "$goal" ] || return 0
          ;;
      esac
    fi
    for process in "${PROCESSES[@]}"; do check_alive "$i" "$process"; done
    [ $((tries--)) -gt 0 ] || fail "n$i runs, but is not in step after a minute; its logs are in $DATA/n$i/log"
    sleep 0.1
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
    local port_wanted=$BASE_PORT
    load_cluster
    [ -z "$NODES" ] || [ "$NODES" = ${#MEMBERS[@]} ] ||
      fail "the cluster in $DATA has the nodes $(names "${MEMBERS[@]}"); 'add' and 'remove' change that, --nodes $NODES does not"
    [ -z "$port_wanted" ] || [ "$port_wanted" = "$BASE_PORT" ] ||
      fail "the cluster in $DATA has base port $BASE_PORT, not $port_wanted"
  fi
  BASE_PORT=${BASE_PORT:-8080}
  if [ ! -f "$DATA/cluster" ]; then
    FOUNDERS=${NODES:-3} REMOVED=()
    [[ $FOUNDERS =~ ^[1-9]$ ]] || fail "--nodes takes 1 to 9, not '$FOUNDERS'"
    mapfile -t MEMBERS < <(seq 1 "$FOUNDERS")
  fi
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
  say "[3/3] Starting ${#MEMBERS[@]} nodes in $DATA"
  for i in "${MEMBERS[@]}"; do
    for process in "${PROCESSES[@]}"; do
      pid_of "$i" "$process" >/dev/null && continue
      start_process "$i" "$process"
      started=$((started + 1))
    done
  done
  for i in "${MEMBERS[@]}"; do
    for process in "${PROCESSES[@]}"; do wait_for_start "$i" "$process"; done
  done
  wait_until_ready "${MEMBERS[@]}"
  local first_port url
  first_port=$(http_port "${MEMBERS[0]}")
  url="http://127.0.0.1:$first_port"
  say ""
  if [ "$started" = 0 ]; then
    say "Bedrock was running already: ${#MEMBERS[@]} nodes, HTTP on port $first_port and up. Try:"
  else
    say "Bedrock is ready: ${#MEMBERS[@]} nodes, HTTP on port $first_port and up. Try:"
  fi
  say ""
  say "  curl -X PUT '$url/put?key=hello' --data-binary 'world'"
  say "  curl 'http://127.0.0.1:$(http_port "${MEMBERS[-1]}")/get?key=hello'"
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
    for i in "${MEMBERS[@]}"; do signal_process "$i" "$process" TERM; done
    for i in "${MEMBERS[@]}"; do stop_process "$i" "$process"; done
  done
  say "Stopped. The data stay in $DATA."
}

# signal_process I PROCESS SIGNAL: true where it was alive.
signal_process() {
  local pid
  pid=$(pid_of "$1" "$2") && kill "-$3" "$pid" 2>/dev/null || true
}

command_status() {
  local i process pid state cluster='' role votes applied up url
  load_cluster
  if url=$(any_url); then cluster=$(view "$url") || cluster=''; fi
  if [ -n "$cluster" ]; then
    jq -r '"cluster \(.cluster_id)  leader \(.leader // "none")  term \(.term)  commit \(.commit_index)"' <<<"$cluster"
    jq -r 'select(.replicas_differ_at) |
      "replicas differ at entry \(.replicas_differ_at), and no majority says which one is right"' <<<"$cluster"
    jq -r '.members[] | select(.storage == "diverged") |
      "\(.id) diverged from the other replicas at entry \(.diverged_at) and is out of use: rebuild \(.id) brings it back"' <<<"$cluster"
  else
    say "cluster $CLUSTER_ID  (no router answers)"
  fi
  printf '%-5s %-8s %-12s %-9s %-12s %-8s %-10s %s\n' NODE ROLE STATE APPLIED PROCESS PID UP LISTENS
  for i in "${MEMBERS[@]}"; do
    votes=-
    role=-
    applied=-
    if [ -n "$cluster" ]; then
      votes=$(field_of "$cluster" "$i" role)
      role=$(field_of "$cluster" "$i" state)
      applied=$(field_of "$cluster" "$i" applied_index)
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
      printf '%-5s %-8s %-12s %-9s %-12s %-8s %-10s %s\n' "n$i" "$votes" "$role" "$applied" "$process" "$pid" "$up" "$state"
      votes='' role='' applied=''
    done
  done
  [ ${#REMOVED[@]} -eq 0 ] || say "removed: $(names "${REMOVED[@]}")"
}

# take_node_and_process: sets NODE (a number) and SELECTED (the processes meant) from the words left.
take_node_and_process() {
  [ ${#WORDS[@]} -ge 1 ] || fail "which node? ($(names "${MEMBERS[@]}"))"
  [[ ${WORDS[0]} =~ ^n([1-9][0-9]?)$ ]] && is_one_of "${BASH_REMATCH[1]}" "${MEMBERS[@]}" ||
    fail "'${WORDS[0]}' is no node of this cluster ($(names "${MEMBERS[@]}"))"
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
  local k process url now leader=''
  if url=$(any_url) && now=$(view "$url"); then leader=$(jq -r '.leader // ""' <<<"$now"); fi
  # The router first: what it was asked for is answered while the others still run. Then raftd, which hands over.
  for ((k = ${#SELECTED[@]} - 1; k >= 0; k--)); do stop_process "$NODE" "${SELECTED[k]}"; done
  for process in "${SELECTED[@]}"; do start_process "$NODE" "$process"; done
  for process in "${SELECTED[@]}"; do wait_for_start "$NODE" "$process"; done
  # Where nobody led, the node can't be in step with anybody.
  for process in "${PROCESSES[@]}"; do pid_of "$NODE" "$process" >/dev/null || leader=''; done
  [ -z "$leader" ] || wait_until_in_step "$NODE"
  say "n$NODE: restarted ${SELECTED[*]}"
}

command_rebuild() {
  load_cluster
  find_programs
  take_node_and_process
  [ ${#WORDS[@]} -eq 1 ] || fail "rebuild takes a node alone: its storaged is meant"
  local i file process aside nodes_up=0
  pid_of "$NODE" raftd >/dev/null || fail "n$NODE raftd has to run: it says where the data come from"
  for i in "${MEMBERS[@]}"; do
    [ "$i" != "$NODE" ] || continue
    pid_of "$i" storaged >/dev/null || fail "n$i storaged is down; what only n$NODE and n$i hold could be lost"
    nodes_up=$((nodes_up + 1))
  done
  [ "$nodes_up" -gt 0 ] || fail "n$NODE is alone: nobody has its data but itself"
  stop_process "$NODE" storaged
  aside=$DATA/n$NODE/storage-aside-$(date +%Y%m%d-%H%M%S)
  mkdir "$aside"
  for file in "$DATA/n$NODE"/storage "$DATA/n$NODE"/storage.*; do
    [ ! -e "$file" ] || [ "${file##*/}" = storage.id ] || mv "$file" "$aside/"
  done
  start_process "$NODE" storaged
  wait_for_start "$NODE" storaged
  # As long as it takes, while all of it runs.
  until (wait_until_in_step "$NODE") 2>/dev/null; do
    for process in "${PROCESSES[@]}"; do check_alive "$NODE" "$process"; done
  done
  say "n$NODE: rebuilt. What it had before is in $aside; delete that once it is not needed"
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

# take_name: sets NODE from the only word.
take_name() {
  [ ${#WORDS[@]} -eq 1 ] || fail "which node? ('$COMMAND n4', say)"
  [[ ${WORDS[0]} =~ ^n([1-9][0-9]?)$ ]] || fail "'${WORDS[0]}' is no name of a node: n1 to n99"
  NODE=${BASH_REMATCH[1]}
}

command_add() {
  load_cluster
  find_programs
  take_name
  local i=$NODE url now process body
  is_one_of "$i" "${REMOVED[@]}" &&
    fail "n$i was a node of this cluster and was removed; a name is never used again: choose another"
  url=$(any_url "$i") || fail "no router of the cluster answers; start it first"
  now=$(view "$url") || fail "$url does not tell of the cluster"
  if is_one_of "$i" "${MEMBERS[@]}"; then
    # An add that did not come to its end goes on.
    [ "$(field_of "$now" "$i" role)" != voter ] || fail "n$i is a node of this cluster and votes in it"
  else
    [ "$(field_of "$now" "$i" role)" = - ] || fail "n$i is a member of this cluster that runs elsewhere"
    [ ! -e "$DATA/n$i" ] || fail "$DATA/n$i exists and is no node of this cluster; it is not touched"
    set_member "$i" in
  fi
  say "Starting n$i in $DATA/n$i"
  for process in "${PROCESSES[@]}"; do
    pid_of "$i" "$process" >/dev/null || start_process "$i" "$process"
  done
  for process in "${PROCESSES[@]}"; do wait_for_start "$i" "$process"; done
  if [ "$(field_of "$now" "$i" role)" = - ]; then
    body=$(printf '{"id":"n%s","raft":"tcp://127.0.0.1:%s","storage":"tcp://127.0.0.1:%s","client":"tcp://127.0.0.1:%s","http":"127.0.0.1:%s"}' \
      "$i" "$(raft_port "$i")" "$(storage_port "$i")" "$(client_port "$i")" "$(http_port "$i")")
    change POST "$url/v1/cluster/members?timeout=60s" "$body"
    [ "$STATUS" = 201 ] || abandon_add "$i"
  fi
  say "n$i is a member and catches up"
  wait_until_voter "$url" "$i"
  wait_until_ready "$i"
  say "n$i votes. HTTP on port $(http_port "$i")."
}

# abandon_add I: undoes what can be undone, and fails with the reason.
abandon_add() {
  local i=$1 k
  [ "$OUTCOME" != unknown ] ||
    fail "n$i may be a member by now or not: $DETAIL (HTTP $STATUS). 'add n$i' goes on, 'remove n$i' takes it back"
  for ((k = ${#PROCESSES[@]} - 1; k >= 0; k--)); do stop_process "$i" "${PROCESSES[k]}"; done
  set_member "$i" out
  rm -rf "${DATA:?}/n$i"
  fail "n$i was not taken in: $DETAIL (HTTP $STATUS)"
}

command_remove() {
  load_cluster
  take_name
  local i=$NODE url now tries=300 k left
  if is_one_of "$i" "${REMOVED[@]}"; then
    [ -e "$DATA/n$i" ] || fail "n$i was removed before"
  else
    is_one_of "$i" "${MEMBERS[@]}" || fail "n$i is no node of this cluster ($(names "${MEMBERS[@]}"))"
    url=$(any_url "$i") || fail "no router of the cluster answers; start it first"
    change DELETE "$url/v1/cluster/members/n$i?timeout=60s"
    case $STATUS in
      204) REMOVED+=("$i") ;;
      404) say "n$i never was a member" ;;
      *) fail "n$i was not removed: $DETAIL (HTTP $STATUS)" ;;
    esac
    until now=$(view "$url") && [ "$(field_of "$now" "$i" role)" = - ]; do
      [ $((tries--)) -gt 0 ] || fail "n$i is still shown as a member after a minute; 'remove n$i' goes on"
      sleep 0.2
    done
    set_member "$i" out
  fi
  for ((k = ${#PROCESSES[@]} - 1; k >= 0; k--)); do stop_process "$i" "${PROCESSES[k]}"; done
  left="$DATA/n$i.removed"
  [ ! -e "$left" ] || left="$left.$(date +%s)"
  [ ! -e "$DATA/n$i" ] || mv "$DATA/n$i" "$left"
  say "n$i is no member any more and stopped. Its data stay in $left."
}

command_wipe() {
  command_stop >/dev/null
  rm -rf "$DATA"/n[1-9] "$DATA"/n[1-9][0-9] "$DATA"/n[1-9]*.removed* "$DATA/cluster" "$DATA"/{storaged,raftd,routerd}.flags
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
  start | stop | status | add | remove | restart | rebuild | kill | logs | wipe) "command_$COMMAND" ;;
  *) usage >&2; fail "unknown command $COMMAND" ;;
esac
