#include "tests/unit/raftd/core/cluster_harness.h"

#include <algorithm>
#include <iterator>

#include "common/base/check.h"
#include "tests/unit/raftd/core/trace.h"

namespace bedrock::raft {

void FakeDisk::Carry(const Write& write) {
  if (write.vote) vote = *write.vote;
  if (write.reset_to) {
    prev_index = write.reset_to->index;
    prev_term = write.reset_to->term;
    base = write.reset_to->membership;
    entries.clear();
    health.damaged.reset();
    health.lost_up_to = write.reset_to->lost_up_to;
    health.lost_term = write.reset_to->lost_term;
  }
  if (write.cut_from) entries.resize(*write.cut_from - prev_index.Next());
  for (const Entry& entry : write.entries) {
    CHECK(entry.index == last_index().Next());
    entries.push_back(entry);
  }
  commit_hint = std::max(commit_hint, write.commit_hint);
  if (health.damaged && write.cut_from && *write.cut_from <= health.damaged->first) {
    health.damaged.reset();
  }
}

void FakeDisk::Compact(LogIndex up_to) {
  const auto count = static_cast<std::ptrdiff_t>(up_to - prev_index);
  for (auto entry = entries.begin(); entry != entries.begin() + count; ++entry) {
    if (entry->kind != EntryKind::kMembership) continue;
    base = {entry->index, DecodeMembership(entry->payload.view()).value()};
  }
  prev_term = entries.at(static_cast<std::size_t>(count) - 1).term;
  prev_index = up_to;
  entries.erase(entries.begin(), entries.begin() + count);
}

Recovered FakeDisk::Recover(const Membership& initial) const {
  Recovered recovered{.vote = vote,
                      .prev_index = prev_index,
                      .prev_term = prev_term,
                      .last_index = last_index(),
                      .terms = {},
                      .last_time_ms = entries.empty() ? 0 : entries.back().time_ms,
                      .commit_hint = commit_hint,
                      .membership = base.index ? base.membership : initial,
                      .membership_index = base.index,
                      .membership_changes = {},
                      .health = health};
  for (const Entry& entry : entries) {
    if (recovered.terms.empty() || recovered.terms.back().term != entry.term) {
      recovered.terms.push_back({entry.index, entry.term});
    }
    if (entry.kind == EntryKind::kMembership) {
      recovered.membership_changes.push_back(
          {entry.index, DecodeCheckedMembership(entry.payload.view())});
    }
  }
  return recovered;
}

Cluster::Cluster(ClusterOptions options, Trace trace)
    : options_(std::move(options)), trace_(std::move(trace)) {
  Membership initial;
  for (std::uint64_t id = 1; id <= options_.nodes; ++id) initial.voters.emplace_back(id);
  if (options_.membership) initial = *options_.membership;
  for (std::uint64_t id = 1; id <= options_.nodes; ++id) {
    nodes_[NodeId(id)].initial = initial;
    Start(NodeId(id));
  }
}

void Cluster::AddBlankNode(std::uint64_t id) { Start(NodeId(id)); }

void Cluster::Start(NodeId id) {
  Node& node = nodes_[id];
  const std::uint64_t seed = options_.seed * 1000 + id.value() * 100 + node.lives++;
  node.raft.emplace(id, options_.limits, node.disk.Recover(node.initial), seed);
  node.last_view = node.raft->GetView();
  StartMachine(node);
  node.raft->Tick(node.tick);
  Run(id.value());
}

/// The state machine begins with what it had durably; what was never said to be is applied again.
void Cluster::StartMachine(Node& node) {
  const LogIndex held =
      node.machine_lost ? node.installed : std::max(node.installed, node.disk.prev_index);
  node.applied.clear();
  for (const auto& [index, entry] : committed_) {
    if (index <= held) node.applied.push_back(entry);
  }
  if (held == node.disk.prev_index) return;
  const RestoredState state = StateAt(held);
  if (held && node.raft->TermAt(held) != state.term && held > node.disk.prev_index) {
    node.raft->RestoredTo(state);
  } else {
    node.raft->ApplyFrom(held, held);
  }
}

RestoredState Cluster::StateAt(LogIndex index) const {
  RestoredState state{.index = index, .term = {}, .membership = {}};
  for (const auto& [at, entry] : committed_) {
    if (at > index) break;
    state.term = entry.term;
    if (entry.kind != EntryKind::kMembership) continue;
    state.membership = {at, DecodeCheckedMembership(entry.payload.view())};
  }
  return state;
}

bool Cluster::Install(std::uint64_t id, std::uint64_t source, Tell tell) {
  Node& node = nodes_.at(NodeId(id));
  const Node& other = nodes_.at(NodeId(source));
  const LogIndex index(other.applied.size());
  if (index < view(id).snapshot_wanted.at_least) return false;
  node.installed = index;
  node.machine_lost = false;
  if (tell == Tell::kAfterRestart) return true;
  node.applied = other.applied;
  node.raft->RestoredTo(StateAt(index));
  Run(id);
  return true;
}

std::size_t Cluster::InstallWanted() {
  std::size_t count = 0;
  for (const std::uint64_t id : ids()) {
    if (!up(id)) continue;
    const SnapshotWanted wanted = view(id).snapshot_wanted;
    if (!wanted.at_least || !wanted.from || !up(wanted.from.value())) continue;
    if (Install(id, wanted.from.value())) ++count;
  }
  return count;
}

void Cluster::Fetching(std::uint64_t id, std::uint64_t installing) {
  at(id).SnapshotProgress(LogIndex(installing));
  Run(id);
}

void Cluster::LoseMachine(std::uint64_t id) {
  Node& node = nodes_.at(NodeId(id));
  node.applied.clear();
  node.installed = LogIndex();
  node.machine_lost = true;
  node.raft->ApplyFrom(LogIndex(), LogIndex());
  Run(id);
}

LogIndex Cluster::MachineHolds(std::uint64_t id) const {
  const Node& node = nodes_.at(NodeId(id));
  return node.machine_lost ? node.installed : std::max(node.installed, node.disk.prev_index);
}

void Cluster::Pressure(std::uint64_t id, std::uint64_t over, std::uint64_t far_over) {
  at(id).SetLogPressure({LogIndex(over), LogIndex(far_over)});
  Run(id);
}

Raft& Cluster::at(std::uint64_t id) {
  Node& node = nodes_.at(NodeId(id));
  CHECK_MSG(node.raft, "the node is down");
  return *node.raft;
}

std::vector<std::uint64_t> Cluster::ids() const {
  std::vector<std::uint64_t> all;
  for (const auto& [id, node] : nodes_) all.push_back(id.value());
  return all;
}

std::string Cluster::Applied(std::uint64_t id) const {
  std::string text;
  for (const Entry& entry : nodes_.at(NodeId(id)).applied) {
    text += entry.kind == EntryKind::kNoop         ? "-"
            : entry.kind == EntryKind::kMembership ? "*"
                                                   : entry.payload.view();
  }
  return text;
}

const std::vector<ReadReady>& Cluster::reads_ready(std::uint64_t id) const {
  return nodes_.at(NodeId(id)).reads_ready;
}

const std::vector<Ticket>& Cluster::reads_failed(std::uint64_t id) const {
  return nodes_.at(NodeId(id)).reads_failed;
}

std::uint64_t Cluster::leader() {
  std::uint64_t found = 0;
  Term term;
  for (auto& [id, node] : nodes_) {
    if (!node.raft) continue;
    const View v = node.raft->GetView();
    if (v.role != Role::kLeader || v.term < term) continue;
    found = id.value();
    term = v.term;
  }
  return found;
}

void Cluster::Tick(std::uint64_t id, std::uint64_t ticks) {
  for (std::uint64_t i = 0; i < ticks; ++i) Jump(id, 1);
}

void Cluster::TickAll(std::uint64_t ticks) {
  for (std::uint64_t i = 0; i < ticks; ++i) {
    for (std::uint64_t id : ids()) {
      if (up(id)) Jump(id, 1);
    }
  }
}

void Cluster::Jump(std::uint64_t id, std::uint64_t ticks) {
  Node& node = nodes_.at(NodeId(id));
  node.tick += ticks;
  at(id).Tick(node.tick);
  Run(id);
}

void Cluster::Campaign(std::uint64_t id) {
  const Role before = view(id).role;
  const Term term = view(id).term;
  for (std::uint64_t i = 0; i <= 2 * options_.limits.election_ticks_max; ++i) {
    const View v = view(id);
    if (v.role != before && v.role != Role::kFollower) return;
    if (v.term != term) return;
    Tick(id, 1);
  }
}

Proposed Cluster::Propose(std::uint64_t id, std::string_view payload, FreesRoom frees_room) {
  const Bytes bytes = Bytes::Copy(payload);
  const Proposed proposed = at(id).Propose({&bytes, 1}, 0, frees_room);
  Run(id);
  return proposed;
}

Transferring Cluster::Transfer(std::uint64_t id, std::uint64_t to) {
  const Transferring result = at(id).Transfer(NodeId(to));
  Run(id);
  return result;
}

Reconfiguring Cluster::Reconfigure(std::uint64_t id, const Delta& delta) {
  const Reconfiguring result = at(id).Reconfigure(delta);
  Run(id);
  return result;
}

void Cluster::Read(std::uint64_t id, std::uint64_t ticket) {
  at(id).Read(Ticket(ticket));
  Run(id);
}

void Cluster::Receive(std::uint64_t from, std::uint64_t to, Message message) {
  at(to).Receive(NodeId(from), std::move(message));
  Run(to);
}

bool Cluster::Select(const Packet& packet, std::uint64_t from, std::uint64_t to) const {
  return (from == 0 || packet.from == NodeId(from)) && (to == 0 || packet.to == NodeId(to));
}

std::size_t Cluster::Deliver(std::uint64_t from, std::uint64_t to) {
  std::deque<Packet> chosen;
  std::deque<Packet> others;
  for (Packet& packet : packets_) {
    (Select(packet, from, to) ? chosen : others).push_back(std::move(packet));
  }
  packets_ = std::move(others);
  for (Packet& packet : chosen) {
    if (cut_.contains({packet.from, packet.to}) || !up(packet.to.value())) continue;
    if (trace_) {
      trace_(FormatNodeId(packet.from) + " -> " + FormatNodeId(packet.to) + " " +
             Describe(packet.message) + "\n");
    }
    Receive(packet.from.value(), packet.to.value(), std::move(packet.message));
  }
  return chosen.size();
}

std::size_t Cluster::Drop(std::uint64_t from, std::uint64_t to) {
  return std::erase_if(packets_, [&](const Packet& p) { return Select(p, from, to); });
}

void Cluster::WriteDone(std::uint64_t id, std::optional<WriteSeq> seq) {
  Node& node = nodes_.at(NodeId(id));
  if (node.writes.empty()) return;
  const WriteSeq up_to = seq.value_or(node.writes.back().seq);
  while (!node.writes.empty() && node.writes.front().seq <= up_to) {
    const Write& write = node.writes.front();
    if (write.vote && write.vote->candidate) {
      const NodeId first =
          votes_.insert({{NodeId(id), write.vote->term}, write.vote->candidate}).first->second;
      CHECK_MSG(first == write.vote->candidate, "two votes in one term");
    }
    node.disk.Carry(write);
    node.writes.pop_front();
  }
  at(id).Durable(up_to);
  while (!node.held.empty() && node.held.front().after <= up_to) {
    Post(NodeId(id), std::move(node.held.front().outgoing));
    node.held.pop_front();
  }
  Run(id);
}

void Cluster::Stabilize() {
  constexpr std::size_t kRoundsMax = 10'000;
  for (std::size_t round = 0; round < kRoundsMax; ++round) {
    bool moved = false;
    for (std::uint64_t id : ids()) {
      if (!up(id) || nodes_.at(NodeId(id)).writes.empty()) continue;
      if (trace_) trace_(FormatNodeId(NodeId(id)) + " writes are done\n");
      WriteDone(id);
      moved = true;
    }
    if (Deliver(0, 0) > 0) moved = true;
    if (!moved) return;
  }
  CHECK_MSG(false, "the cluster does not come to rest");
}

std::uint64_t Cluster::Elect() {
  for (std::uint64_t i = 0; i < 20ULL * options_.limits.election_ticks_max; ++i) {
    TickAll(1);
    Stabilize();
    const std::uint64_t id = leader();
    if (id != 0 && view(id).commit == view(id).last_index) return id;
  }
  return 0;
}

void Cluster::Isolate(std::uint64_t id) {
  for (std::uint64_t other : ids()) {
    Cut(id, other);
    Cut(other, id);
  }
}

void Cluster::Crash(std::uint64_t id) {
  Node& node = nodes_.at(NodeId(id));
  node.raft.reset();
  node.writes.clear();
  node.held.clear();
}

void Cluster::Restart(std::uint64_t id) {
  Start(NodeId(id));
  for (std::uint64_t other : ids()) {
    if (other == id || !up(other)) continue;
    at(other).LinkReset(NodeId(id));
    Run(other);
  }
}

void Cluster::DiskStalled(std::uint64_t id, bool stalled) {
  at(id).DiskStalled(stalled);
  Run(id);
}

void Cluster::RoomLow(std::uint64_t id, bool low) {
  at(id).RoomLow(low);
  Run(id);
}

void Cluster::DiskFull(std::uint64_t id, bool full) {
  at(id).DiskFull(full);
  Run(id);
}

void Cluster::Run(std::uint64_t id) {
  Node& node = nodes_.at(NodeId(id));
  for (;;) {
    Output output = node.raft->Poll();
    if (output.empty()) break;
    Carry(NodeId(id), std::move(output));
    Check(node);
  }
  if (options_.sync_at_once && !node.writes.empty()) WriteDone(id);
}

void Cluster::Carry(NodeId id, Output output) {
  Node& node = nodes_.at(id);
  if (trace_) {
    const View v = node.raft->GetView();
    std::string lines = Describe(output);
    if (output.status_changed) {
      lines = "  is " + Describe(v.role) + " in term " + std::to_string(v.term.value()) +
              ", leader " + FormatNodeId(v.leader) + "\n" + lines;
    }
    if (!lines.empty()) trace_(FormatNodeId(id) + "\n" + lines);
  }
  if (output.write) node.writes.push_back(std::move(*output.write));
  for (Outgoing& outgoing : output.now) Post(id, std::move(outgoing));
  for (HeldMessage& held : output.held) node.held.push_back(std::move(held));
  for (const ReadReady& read : output.reads_ready) node.reads_ready.push_back(read);
  for (Ticket ticket : output.reads_failed) node.reads_failed.push_back(ticket);
  for (const Fetch& fetch : output.fetches) {
    node.raft->Fetched(fetch.follower, ReadLog(node, fetch.first, fetch.last));
  }
  if (output.apply) Apply(node, *output.apply);
  if (output.compact_up_to) {
    node.disk.Compact(output.compact_up_to);
  }
}

void Cluster::Post(NodeId from, Outgoing outgoing) {
  packets_.push_back({from, outgoing.to, std::move(outgoing.message)});
}

std::vector<Entry> Cluster::ReadLog(const Node& node, LogIndex first, LogIndex last) const {
  const std::vector<Entry>& entries = node.disk.entries;
  CHECK(node.disk.prev_index < first && last <= node.disk.last_index());
  const auto begin =
      entries.begin() + static_cast<std::ptrdiff_t>(first - node.disk.prev_index) - 1;
  return {begin, begin + static_cast<std::ptrdiff_t>(last - first) + 1};
}

void Cluster::Apply(Node& node, const ApplyRange& range) {
  std::vector<Entry> entries = ReadLog(node, range.first, range.last);  // Durable, or this ends it.
  CHECK_MSG(std::equal(range.entries.rbegin(), range.entries.rend(), entries.rbegin()),
            "applied is not what the disk holds");
  CHECK(range.first.value() == node.applied.size() + 1);
  for (Entry& entry : entries) {
    const auto [at, fresh] = committed_.insert({entry.index, entry});
    CHECK_MSG(fresh || at->second == entry, "two nodes apply different entries at one index");
    node.applied.push_back(std::move(entry));
  }
  if (options_.compact) node.machine_lost = false;
  node.raft->Applied(range.last, options_.compact ? range.last : LogIndex());
}

void Cluster::Check(Node& node) {
  const View v = node.raft->GetView();
  if (v.role == Role::kLeader) {
    CHECK_MSG(leaders_.insert({v.term, v.id}).first->second == v.id, "two leaders in one term");
  }
  CHECK(v.term >= node.last_view.term && v.commit >= node.last_view.commit);
  CHECK(v.commit <= v.last_index && v.durable_index <= v.last_index);
  for (const MemberProgress& member : v.members) {
    CHECK(member.window_messages <= options_.limits.window_messages_max);
  }
  node.last_view = v;
}

}  // namespace bedrock::raft
