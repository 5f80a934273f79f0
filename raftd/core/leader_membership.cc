// What a leader does about the cluster's membership and about its own end; the rest is in
// leader.cc.

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "raftd/core/leader.h"
#include "raftd/core/membership.h"

namespace bedrock::raft {

namespace {

bool Contains(const std::vector<NodeId>& sorted, NodeId node) {
  return std::binary_search(sorted.begin(), sorted.end(), node);
}

}  // namespace

// ---- Members

Reconfiguring Leader::Reconfigure(Node& node, const Delta& delta) {
  if (hand_over_) return Reconfiguring::kMoving;
  if (node.disk_full) return Reconfiguring::kBusy;
  if (!MembershipIsCommitted(node) || !IsSettled(node.membership())) return Reconfiguring::kBusy;
  const auto caught_up = [&](NodeId learner) {
    const Peer* peer = FindPeer(learner);
    return peer != nullptr && CaughtUp(node, *peer);
  };
  auto next = ApplyDelta(node.membership(), delta, caught_up);
  if (const auto* reason = std::get_if<Reconfiguring>(&next)) return *reason;
  const Membership& membership = std::get<Membership>(next);
  const bool live = HasQuorum(membership, [&](NodeId voter) { return IsLive(node, voter); });
  if (membership.voters != node.membership().voters && !live) return Reconfiguring::kLosesQuorum;
  AppendMembership(node, membership);
  return Reconfiguring::kStarted;
}

bool Leader::MembershipIsCommitted(const Node& node) const {
  return TermCommitted(node) && node.memberships.index() <= node.commit;
}

bool Leader::IsLive(const Node& node, NodeId member) const {
  if (member == node.self) return true;
  const Peer* peer = FindPeer(member);
  return peer != nullptr && peer->progress.Alive(node.now, node.limits);
}

void Leader::AppendMembership(Node& node, const Membership& membership) {
  node.Append({.index = node.log.last_index().Next(),
               .term = node.term(),
               .kind = EntryKind::kMembership,
               .time_ms = node.log.last_time_ms(),
               .payload = Bytes(EncodeMembership(membership))});
  TakeMembers(node);
}

void Leader::TakeMembers(Node& node) {
  std::vector<Peer> peers;
  for (const NodeId member : AllMembers(node.membership())) {
    if (member == node.self) continue;
    Peer peer;
    if (Peer* known = FindPeer(member)) {
      peer = std::move(*known);
    } else {
      peer.id = member;
      peer.progress.next = node.log.last_index().Next();
      peer.catch_up = {.target = node.log.last_index(), .started = node.now};
    }
    // Whoever has just become a voter need not have been heard since the last check of the quorum
    // (R46).
    const bool voter = IsVoter(node.membership(), member);
    if (voter && !peer.voter) peer.progress.recently_active = true;
    peer.voter = voter;
    peers.push_back(std::move(peer));
  }
  peers_ = std::move(peers);
}

void Leader::StepMembership(Node& node) {
  if (hand_over_ || !MembershipIsCommitted(node)) return;
  const Membership& now = node.membership();
  if (!IsJoint(now) && !Contains(now.voters, node.self)) {
    Retire(node);
  } else if (node.disk_full) {
    return;  // whoever leads next takes the step
  } else if (IsJoint(now)) {
    AppendMembership(node, LeaveJoint(now));
  } else if (!now.retiring.empty()) {
    if (RetiredKnow(node)) AppendMembership(node, DropRetired(now));
  } else {
    PromoteLearners(node);
  }
}

/// Who retires learns of it before it hears nothing any more, so that it does not ask the others
/// for votes for ever. One that does not answer is not waited for.
bool Leader::RetiredKnow(const Node& node) const {
  const std::vector<NodeId>& retiring = node.membership().retiring;
  return std::all_of(retiring.begin(), retiring.end(), [&](NodeId id) {
    const Progress& progress = FindPeer(id)->progress;
    return progress.holds >= node.memberships.index() || !progress.Alive(node.now, node.limits);
  });
}

void Leader::PromoteLearners(Node& node) {
  std::vector<NodeId> ready;
  for (const NodeId learner : node.membership().promoting) {
    if (CaughtUp(node, *FindPeer(learner))) ready.push_back(learner);
  }
  if (ready.empty()) return;
  Membership next = Promote(node.membership(), ready);
  if (!HasQuorum(next, [&](NodeId voter) { return IsLive(node, voter); })) return;
  AppendMembership(node, next);
}

// ---- Catching up, in rounds (thesis 4.2.1)

void Leader::EndRound(const Node& node, Peer& peer) {
  CatchUp& round = peer.catch_up;
  if (peer.progress.holds < round.target) return;
  round.fast = node.now - round.started < node.limits.election_ticks_min;
  round.target = node.log.last_index();
  round.started = node.now;
}

bool Leader::CaughtUp(const Node& node, const Peer& peer) const {
  const CatchUp& round = peer.catch_up;
  return round.fast && node.now - round.started < node.limits.election_ticks_min &&
         peer.progress.Alive(node.now, node.limits);
}

// ---- Handing over (thesis 3.10)

Transferring Leader::Transfer(Node& node, NodeId to) {
  if (to == node.self) return Transferring::kStarted;
  if (!to) to = hand_over_ ? hand_over_->to : FurthestVoter(node);
  if (!to) return Transferring::kUnreachable;
  if (!Contains(node.membership().voters, to)) return Transferring::kNotVoter;
  if (hand_over_) return hand_over_->to == to ? Transferring::kStarted : Transferring::kBusy;
  const Progress& target = *Find(to);
  if (!target.Alive(node.now, node.limits) || target.state == ReplicationState::kSnapshot) {
    return Transferring::kUnreachable;
  }
  hand_over_ = {.to = to, .deadline = node.now + node.limits.election_ticks_min};
  ++hand_overs_;
  return Transferring::kStarted;
}

NodeId Leader::FurthestVoter(const Node& node) const {
  const Peer* best = nullptr;
  for (const Peer& peer : peers_) {
    const bool fit =
        Contains(node.membership().voters, peer.id) && peer.progress.Alive(node.now, node.limits);
    if (fit && (best == nullptr || peer.progress.holds > best->progress.holds)) best = &peer;
  }
  return best == nullptr ? NodeId() : best->id;
}

NodeId Leader::NextLiveVoter(const Node& node, NodeId after) const {
  NodeId first;
  for (const Peer& peer : peers_) {
    if (!Contains(node.membership().voters, peer.id) || !IsLive(node, peer.id)) continue;
    if (peer.id > after) return peer.id;
    if (!first) first = peer.id;
  }
  return first;
}

/// There is little room here, or none (R75). Whether a follower has room shows when it is asked to
/// stand: one that has none does not. So each is asked in turn, the furthest first, and less and
/// less often, as each attempt in vain costs an entry.
void Leader::GiveAway(Node& node) {
  if (!node.disk_full && !node.room_low) {
    giving_away_ = {};
    return;
  }
  if (hand_over_ || node.now < giving_away_.not_before) return;
  constexpr std::uint32_t kDoublingsMax = 6;
  const NodeId to =
      giving_away_.attempts == 0 ? FurthestVoter(node) : NextLiveVoter(node, giving_away_.last);
  if (!to) return;  // nobody answers, or not yet
  const std::uint32_t doublings = std::min(++giving_away_.attempts, kDoublingsMax);
  giving_away_.last = to;
  giving_away_.not_before = node.now + (std::uint64_t{node.limits.election_ticks_min} << doublings);
  Transfer(node, to);
}

/// This node is no voter of a configuration that is committed: it has done its last duty (R43).
void Leader::Retire(Node& node) {
  if (must_step_down_) return;
  must_step_down_ = Transfer(node, NodeId()) != Transferring::kStarted;
}

/// Asks one voter after the other: the furthest may be stuck as well.
void Leader::LeaveIfStuck(Node& node) {
  if (hand_over_ || !node.MachineStuck()) return;
  std::vector<NodeId> fit;
  for (const Peer& peer : peers_) {
    if (Contains(node.membership().voters, peer.id) && peer.progress.Alive(node.now, node.limits) &&
        peer.progress.state != ReplicationState::kSnapshot) {
      fit.push_back(peer.id);
    }
  }
  if (!fit.empty()) Transfer(node, fit[hand_overs_ % fit.size()]);
}

NodeId Leader::SnapshotSource(const Node& node) const {
  std::vector<NodeId> alive;
  for (const Peer& peer : peers_) {
    if (peer.progress.Alive(node.now, node.limits)) alive.push_back(peer.id);
  }
  return alive.empty() ? NodeId() : alive[hand_overs_ % alive.size()];
}

void Leader::MoveOn(Node& node) {
  if (!hand_over_ || hand_over_->told) return;
  if (Find(hand_over_->to)->holds < node.log.last_index()) return;
  hand_over_->told = true;
  SendTimeoutNow(node);
}

void Leader::SendTimeoutNow(Node& node) const {
  node.out.Send(hand_over_->to,
                TimeoutNow{.term = node.term(), .last_index = node.log.last_index()});
}

void Leader::GiveUpHandingOver(Node& node) {
  const bool told = hand_over_->told;
  hand_over_.reset();
  const bool retires = MembershipIsCommitted(node) && !IsVoter(node.membership(), node.self);
  must_step_down_ = must_step_down_ || retires;
  // Whoever does not lead on need not keep the target from it, and may have no room to.
  if (!told || must_step_down_) return;
  // The target may not have heard yet. Once a quorum holds one more entry, nobody votes for it any
  // more; once it holds that itself, it does not even stand (R58).
  AppendNoop(node);
  lease_from_ = node.log.last_index();
}

}  // namespace bedrock::raft
