#include "raftd/core/leader.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace bedrock::raft {

namespace {

constexpr LogIndex kNobodyNeeds(std::numeric_limits<std::uint64_t>::max());

}  // namespace

Leader::Leader(Node& node)
    : reads_(node.limits.reads_pending_max),
      noop_(node.log.last_index().Next()),
      heartbeat_at_(node.now + node.limits.heartbeat_ticks),
      quorum_check_at_(node.now + node.limits.election_ticks_min),
      since_(node.now) {
  TakeMembers(node);
  // They have been voters before: their silence counts.
  for (Peer& peer : peers_) peer.progress.recently_active = false;
  AppendNoop(node);
}

void Leader::AppendNoop(Node& node) {
  node.Append({.index = node.log.last_index().Next(),
               .term = node.term(),
               .kind = EntryKind::kNoop,
               .time_ms = node.log.last_time_ms(),
               .payload = {}});
}

Proposed Leader::Propose(Node& node, std::span<const Bytes> payloads, std::uint64_t time_ms,
                         FreesRoom frees_room) {
  if (hand_over_) {
    return {.refused = Refused::kMoving, .first = {}, .count = 0, .term = node.term()};
  }
  const bool fits = !node.disk_full && (!node.room_low || frees_room);
  if (!fits) {
    return {.refused = Refused::kDiskFull, .first = {}, .count = 0, .term = node.term()};
  }
  const LogIndex first = node.log.last_index().Next();
  std::size_t bytes = 0;
  for (const Bytes& payload : payloads) bytes += payload.size();
  // With nothing uncommitted anything passes, however large (R81).
  const std::size_t bytes_now = node.log.BytesAfter(node.commit);
  const std::size_t entries_now = node.log.last_index() - node.commit;
  if ((bytes_now > 0 && bytes_now + bytes > node.limits.uncommitted_bytes_max) ||
      (entries_now > 0 && entries_now + payloads.size() > node.limits.uncommitted_entries_max)) {
    return {.refused = Refused::kBusy, .first = {}, .count = 0, .term = node.term()};
  }
  const std::uint64_t stamp = std::max(time_ms, node.log.last_time_ms());
  for (const Bytes& payload : payloads) {
    node.Append({.index = node.log.last_index().Next(),
                 .term = node.term(),
                 .kind = EntryKind::kCommand,
                 .time_ms = stamp,
                 .payload = payload});
  }
  return {.refused = {}, .first = first, .count = payloads.size(), .term = node.term()};
}

bool Leader::Tick(Node& node, Jumped jumped) {
  if (jumped) DropLease();
  if (node.now >= quorum_check_at_) {
    // After a pause the answers may still be queued: give them one more round, once.
    const bool postpone = jumped && !check_postponed_;
    if (!postpone && !QuorumActive(node)) return false;
    check_postponed_ = postpone;
    quorum_check_at_ = node.now + node.limits.election_ticks_min;
    for (Peer& peer : peers_) peer.progress.recently_active = false;
  }
  if (hand_over_ && node.now >= hand_over_->deadline) GiveUpHandingOver(node);
  if (node.now >= heartbeat_at_) {
    heartbeat_at_ = node.now + node.limits.heartbeat_ticks;
    if (reads_.RoundWanted() || node.limits.lease_reads) StartRound(node);
    SendHeartbeats(node);
    // A lone voter needs nobody's answer, and gets none.
    ConfirmReads(node);
    // Or it was lost.
    if (hand_over_ && hand_over_->told) SendTimeoutNow(node);
  }
  // The indexes were taken before this time was read off the clock, and the lease outlasts it
  // (R60).
  if (LeaseHolds(node)) {
    for (const ConfirmedRead& read : reads_.ConfirmAll()) {
      Answer(node, read.reader, read.index, Leased::kYes);
    }
  }
  return true;
}

void Leader::StartRound(Node& node) {
  reads_.StartRound();
  if (node.limits.lease_reads) rounds_.Sent(reads_.sent(), node.now);
}

void Leader::DropLease() {
  rounds_.Clear();
  for (Peer& peer : peers_) peer.progress.lease_until = 0;
}

std::uint64_t Leader::LeaseUntil(const Node& node) const {
  // Neither while somebody may have been asked to stand (R58, R59), nor before this node knows what
  // is committed (R50).
  const bool excluded =
      hand_over_ || must_step_down_ || !TermCommitted(node) || node.commit < lease_from_;
  if (!node.limits.lease_reads || excluded) return 0;
  return QuorumValue(node.membership(), [&](NodeId voter) {
    if (voter == node.self) return std::numeric_limits<std::uint64_t>::max();
    const Peer* peer = FindPeer(voter);
    return peer == nullptr ? 0 : peer->progress.lease_until;
  });
}

bool Leader::QuorumActive(const Node& node) const {
  return HasQuorum(node.membership(), [&](NodeId voter) {
    if (voter == node.self) return true;
    return std::any_of(peers_.begin(), peers_.end(), [voter](const Peer& peer) {
      return peer.id == voter && peer.progress.recently_active;
    });
  });
}

Leader::Peer* Leader::FindPeer(NodeId member) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [member](const Peer& peer) { return peer.id == member; });
  return found == peers_.end() ? nullptr : &*found;
}

const Leader::Peer* Leader::FindPeer(NodeId member) const {
  return const_cast<Leader*>(this)->FindPeer(member);
}

Progress* Leader::Find(NodeId member) {
  Peer* peer = FindPeer(member);
  return peer == nullptr ? nullptr : &peer->progress;
}

Leader::Peer* Leader::Heard(const Node& node, NodeId from, std::uint64_t read_round,
                            std::uint32_t promise_ms) {
  Peer* peer = FindPeer(from);
  if (peer == nullptr || read_round > reads_.sent()) return nullptr;
  peer->progress.recently_active = true;
  peer->progress.heard_at = node.now;
  peer->progress.round = std::max(peer->progress.round, read_round);
  if (const auto sent = rounds_.TickOf(read_round)) {
    std::uint64_t& until = peer->progress.lease_until;
    until = std::max(until, *sent + LeaseTicks(promise_ms, node.limits));
  }
  return peer;
}

void Leader::OnAppendReply(Node& node, NodeId from, const AppendReply& reply) {
  Peer* peer = Heard(node, from, reply.read_round, reply.promise_ms);
  if (peer == nullptr || reply.index > node.log.last_index()) return;
  if (reply.accepted) {
    peer->progress.Accepted(reply.index);
    AdvanceCommit(node);
  } else {
    peer->progress.Refused(reply.index, {reply.hint_term, reply.hint_index}, node.log);
  }
  EndRound(node, *peer);
  ConfirmReads(node);
}

void Leader::OnHeartbeatReply(Node& node, NodeId from, const HeartbeatReply& reply) {
  Peer* peer = Heard(node, from, reply.read_round, reply.promise_ms);
  if (peer == nullptr) return;
  // A probe or its answer may have been lost, so that one is due again (R80).
  peer->progress.MayProbeAgain(node.now, node.limits);
  EndRound(node, *peer);
  ConfirmReads(node);
}

void Leader::OnSnapshotOfferReply(const Node& node, NodeId from, const SnapshotOfferReply& reply) {
  Peer* peer = Heard(node, from, 0, 0);
  if (peer == nullptr || peer->progress.state != ReplicationState::kSnapshot) return;
  peer->progress.installing = reply.installing;
}

void Leader::OnReadIndexRequest(Node& node, NodeId from, const ReadIndexRequest& request) {
  AddRead(node, {.follower = from, .number = request.number});
}

void Leader::OnFetched(Node& node, NodeId follower, std::vector<Entry> entries) {
  for (Peer& peer : peers_) {
    Progress& progress = peer.progress;
    if (peer.id != follower || !progress.fetching) continue;
    const LogIndex asked = *std::exchange(progress.fetching, std::nullopt);
    if (entries.empty() || entries.front().index != asked || asked != progress.next) return;
    // Read perhaps before a cut that a later write made: position for position it must be our log.
    LogIndex index = asked;
    for (const Entry& entry : entries) {
      if (entry.index != index || !node.log.Holds({entry.term, entry.index})) return;
      index = index.Next();
    }
    if (progress.Ready(node.log.last_index(), node.limits)) {
      SendAppend(node, peer, std::move(entries));
    }
    return;
  }
}

void Leader::OnLinkReset(NodeId member) {
  if (Progress* progress = Find(member)) progress->Reset();
}

void Leader::OnCompacted(const Node& node) {
  for (Peer& peer : peers_) peer.progress.KeepWithin(node.log);
}

void Leader::AdvanceCommit(Node& node) {
  const LogIndex held(QuorumValue(node.membership(), [&](NodeId voter) {
    // Its own entries count when they are durable, like anyone's (R31).
    if (voter == node.self) return node.log.durable_index().value();
    const Progress* progress = Find(voter);
    return progress == nullptr ? 0 : progress->holds.value();
  }));
  // An older term's entry is committed only by one of this term above it (paper 5.4.2, R16).
  if (held <= node.commit || held < noop_) return;
  const bool first = !TermCommitted(node);
  node.commit = held;
  if (first) reads_.TermCommitted(node.commit);
}

void Leader::Read(Node& node, Ticket ticket) {
  AddRead(node, {.follower = {}, .number = ticket.value()});
}

void Leader::AddRead(Node& node, Reader reader) {
  const auto commit = TermCommitted(node) ? std::optional(node.commit) : std::nullopt;
  if (!reads_.Add(reader, commit)) Answer(node, reader, std::nullopt);
}

void Leader::Answer(Node& node, const Reader& reader, std::optional<LogIndex> index,
                    Leased leased) const {
  if (reader.follower) {
    node.out.Send(reader.follower, ReadIndexReply{.term = node.term(),
                                                  .number = reader.number,
                                                  .granted = index.has_value(),
                                                  .index = index.value_or(LogIndex()),
                                                  .leased = static_cast<bool>(leased)});
  } else if (index) {
    node.out.reads_ready.push_back({Ticket(reader.number), *index, static_cast<bool>(leased)});
  } else {
    node.out.reads_failed.push_back(Ticket(reader.number));
  }
}

void Leader::ConfirmReads(Node& node) {
  const std::uint64_t round = QuorumValue(node.membership(), [&](NodeId voter) {
    if (voter == node.self) return reads_.sent();
    const Progress* progress = Find(voter);
    return progress == nullptr ? 0 : progress->round;
  });
  for (const ConfirmedRead& read : reads_.Confirm(round)) Answer(node, read.reader, read.index);
}

void Leader::FailReads(Node& node) {
  for (const Reader& reader : reads_.TakeAll()) Answer(node, reader, std::nullopt);
}

void Leader::Prepare(Node& node) {
  GiveAway(node);
  StepMembership(node);
  LeaveIfStuck(node);
  AdvanceTrim(node);
  OnCompacted(node);
  // Under a lease the next tick answers.
  if (reads_.RoundWanted() && reads_.Idle() && !LeaseHolds(node)) {
    StartRound(node);
    SendHeartbeats(node);
    ConfirmReads(node);
  }
  for (Peer& peer : peers_) SendAppends(node, peer);
  MoveOn(node);
}

void Leader::AdvanceTrim(Node& node) const {
  LogIndex kept = std::min(node.log.durable_index(), node.commit);
  for (const Peer& peer : peers_) kept = std::min(kept, KeptBehind(node, peer));
  node.trim = kept;
}

/// Who answers is waited for up to the far bound of the log's size, who does not up to the near
/// one.
LogIndex Leader::KeptBehind(const Node& node, const Peer& peer) const {
  const bool alive = peer.progress.Alive(node.now, node.limits) ||
                     node.now - since_ < node.limits.election_ticks_max;
  const std::optional<LogIndex> needs = peer.progress.Needs(node.log, alive);
  if (!needs) return kNobodyNeeds;
  return std::max(*needs, alive ? node.pressure.far_over : node.pressure.over);
}

void Leader::SendHeartbeats(Node& node) {
  for (Peer& peer : peers_) {
    Progress& progress = peer.progress;
    if (progress.holds >= node.commit) progress.told_commit = node.commit;
    node.out.Send(peer.id, Heartbeat{.term = node.term(),
                                     .commit = std::min(progress.holds, node.commit),
                                     .read_round = reads_.sent(),
                                     .trim = node.trim});
    // Unanswered appends may be lost, and no other message would show it: an empty one behind them
    // is refused then. It goes out even when the window is full (R78).
    if (progress.state == ReplicationState::kStream && progress.window.messages() > 0) {
      SendAppend(node, peer, {});
    }
    if (progress.state == ReplicationState::kSnapshot) {
      node.out.Send(peer.id, SnapshotOffer{.term = node.term(), .index = node.log.prev_index()});
    }
  }
}

void Leader::SendAppends(Node& node, Peer& peer) {
  Progress& progress = peer.progress;
  while (progress.Ready(node.log.last_index(), node.limits)) {
    if (!SendNext(node, peer)) return;
  }
  // Followers apply promptly though no entries follow. One that does not answer learns it later.
  if (progress.state == ReplicationState::kStream && !progress.fetching &&
      progress.told_commit < node.commit && !progress.window.Full(node.limits)) {
    SendAppend(node, peer, {});
  }
}

bool Leader::SendNext(Node& node, Peer& peer) {
  Progress& progress = peer.progress;
  const LogIndex last = node.log.last_index();
  // Only the first probe at a place carries entries: a follower that does not answer is sent no
  // more than a window of them (R83).
  const bool probed = progress.state != ReplicationState::kStream && progress.probes > 0;
  if (progress.next > last || probed || progress.state == ReplicationState::kSnapshot) {
    SendAppend(node, peer, {});
    return true;
  }
  if (progress.next >= node.log.cache_first()) {
    SendAppend(node, peer,
               node.log.Slice(progress.next, last, node.limits.append_bytes_max,
                              node.limits.append_entries_max));
    return true;
  }
  const LogIndex fetch_last =
      std::min(node.log.cache_first().Prev(),
               LogIndex(progress.next.value() - 1 + node.limits.append_entries_max));
  progress.fetching = progress.next;
  node.out.fetches.push_back({.follower = peer.id,
                              .first = progress.next,
                              .last = fetch_last,
                              .bytes_max = node.limits.append_bytes_max});
  return false;
}

void Leader::SendAppend(Node& node, Peer& peer, std::vector<Entry> entries) {
  Progress& progress = peer.progress;
  const LogIndex prev = progress.next.Prev();
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.payload.size();
  progress.told_commit = node.commit;
  progress.Sent(prev + entries.size(), bytes, node.now);
  node.out.Send(peer.id, AppendRequest{.term = node.term(),
                                       .prev_index = prev,
                                       .prev_term = *node.log.TermAt(prev),
                                       .commit = node.commit,
                                       .read_round = reads_.sent(),
                                       .trim = node.trim,
                                       .entries = std::move(entries)});
}

std::vector<MemberProgress> Leader::Members(const Node& node) const {
  std::vector<MemberProgress> members;
  members.reserve(peers_.size());
  for (const Peer& peer : peers_) {
    const Progress& progress = peer.progress;
    members.push_back({.id = peer.id,
                       .state = progress.state,
                       .match = progress.match,
                       .next = progress.next,
                       .recently_active = progress.recently_active,
                       .caught_up = CaughtUp(node, peer),
                       .installing = progress.installing,
                       .window_messages = progress.window.messages(),
                       .window_bytes = progress.window.bytes()});
  }
  return members;
}

}  // namespace bedrock::raft
