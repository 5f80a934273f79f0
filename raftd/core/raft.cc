#include "raftd/core/raft.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "raftd/core/candidate.h"
#include "raftd/core/follower.h"
#include "raftd/core/leader.h"
#include "raftd/core/node.h"

namespace bedrock::raft {

namespace {

bool IsStrictlyAscending(const std::vector<NodeId>& ids) {
  return std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end() &&
         (ids.empty() || ids.front());
}

constexpr std::uint32_t kPromiseMsMax = 1U << 30;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

Status ValidateLimits(const Limits& limits) {
  const auto check = [](bool ok, std::string_view sentence) {
    return ok ? Status::Ok() : Status::InvalidArgument(sentence);
  };
  for (const Status& status : {
           check(limits.heartbeat_ticks > 0, "heartbeat_ticks must be positive"),
           check(limits.election_ticks_min >= 2 * limits.heartbeat_ticks,
                 "election_ticks_min must be at least twice heartbeat_ticks"),
           check(limits.election_ticks_max >= limits.election_ticks_min,
                 "election_ticks_max must not be below election_ticks_min"),
           check(limits.append_bytes_max > 0, "append_bytes_max must be positive"),
           check(limits.append_entries_max > 0, "append_entries_max must be positive"),
           check(limits.window_messages_max > 0, "window_messages_max must be positive"),
           check(limits.window_bytes_max > 0, "window_bytes_max must be positive"),
           check(limits.uncommitted_bytes_max > 0, "uncommitted_bytes_max must be positive"),
           check(limits.uncommitted_entries_max > 0, "uncommitted_entries_max must be positive"),
           check(limits.apply_bytes_max > 0, "apply_bytes_max must be positive"),
           check(limits.apply_window_bytes_max > 0, "apply_window_bytes_max must be positive"),
           check(limits.reads_pending_max > 0, "reads_pending_max must be positive"),
           check(limits.tick_ms > 0, "tick_ms must be positive"),
       }) {
    if (!status.ok()) return status;
  }
  if (limits.tick_ms > kPromiseMsMax / limits.election_ticks_min) {
    return Status::InvalidArgument("election_ticks_min is longer than a promise may be");
  }
  if (limits.lease_reads && LeaseTicks(PromiseMs(limits), limits) <= limits.heartbeat_ticks) {
    return Status::InvalidArgument(
        "election_ticks_min leaves no room for leases between heartbeats");
  }
  return Status::Ok();
}

bool Output::empty() const {
  return !write && now.empty() && held.empty() && !apply && reads_ready.empty() &&
         reads_failed.empty() && fetches.empty() && !compact_up_to && !snapshot_wanted &&
         !status_changed && !membership_changed;
}

/// Which role this node has and what changes it. What a role does stands in the role's file.
class Raft::Impl {
 public:
  Impl(NodeId self, const Limits& limits, const Recovered& recovered, std::uint64_t seed);

  void Tick(std::uint64_t now);
  void Receive(NodeId from, Message message);
  Proposed Propose(std::span<const Bytes> payloads, std::uint64_t time_ms, FreesRoom frees_room);
  Transferring Transfer(NodeId to);
  Reconfiguring Reconfigure(const Delta& delta);
  void Read(Ticket ticket);
  void Durable(WriteSeq seq);
  void ApplyFrom(LogIndex applied, LogIndex durable_applied);
  void RestoredTo(const RestoredState& state);
  void Fetched(NodeId follower, std::vector<Entry> entries);
  void LinkReset(NodeId member);
  void DiskStalled(bool stalled);
  void DiskFull(bool full);
  Output Poll();
  View GetView() const;

  Node& node() { return node_; }
  const Node& node() const { return node_; }

 private:
  /// What the shell last heard of.
  struct Announced {
    Role role = Role::kFollower;
    Term term;
    NodeId leader;
    friend bool operator==(const Announced&, const Announced&) = default;
  };

  Role role() const;
  NodeId leader() const;
  bool LeaderAlive() const;
  /// Votes are refused to `candidate` for the sake of another node that leads, or may.
  bool Protects(NodeId candidate) const;
  /// A leader sent this voter to follow it: what was promised to others forbids no vote for it.
  bool HandedOver(NodeId from, const VoteRequest& request) const;
  void BeginTime(std::uint64_t now);

  // Changes of role. Each fails the readers that wait (R52).
  void BecomeFollower(Term term);
  void Campaign();
  void Run(HandOver hand_over);
  void Settle();  ///< Acts on a finished count of votes.
  void FailReads();

  void OnVoteRequest(NodeId from, const VoteRequest& request);
  void OnPreVoteRequest(NodeId from, const VoteRequest& request);
  void OnVoteReply(NodeId from, const VoteReply& reply);
  /// The follower that may listen to the leader `from` of `term`; null where it is none, answered
  /// if it is stale.
  Follower* FollowerOf(NodeId from, Term term);
  /// The leader that an answer of `term` is for; null where this node leads no more.
  Leader* LeaderFor(NodeId from, Term term);
  void OnReadIndexRequest(NodeId from, const ReadIndexRequest& request);
  void OnReadIndexReply(NodeId from, const ReadIndexReply& reply);
  void OnTimeoutNow(NodeId from, const TimeoutNow& request);
  bool WouldVote(NodeId from, const VoteRequest& request) const;
  /// Whether and whose snapshot is wanted now.
  SnapshotWanted WantSnapshot();

  Node node_;
  std::variant<Follower, Candidate, Leader> role_;
  std::uint64_t promised_ticks_;
  bool ticked_ = false;
  Announced announced_;
  SnapshotWanted announced_wish_;
  Membership announced_membership_;
};

Raft::Impl::Impl(NodeId self, const Limits& limits, const Recovered& recovered, std::uint64_t seed)
    : node_(self, limits, recovered, seed), promised_ticks_(recovered.promised_ticks) {
  CHECK_MSG(ValidateLimits(limits).ok(), "the limits are wrong");
  CHECK(IsStrictlyAscending(recovered.membership.voters));
  CHECK(IsStrictlyAscending(recovered.membership.outgoing));
  CHECK(IsStrictlyAscending(recovered.membership.learners));
  CHECK_MSG(recovered.vote.term >= node_.log.last_term(), "an entry's term was never promised");
  if (node_.log.last_index() != recovered.last_index) {
    node_.refill.floor = {recovered.terms.back().term, recovered.last_index};
  }
  node_.refill.Lose(recovered.health.lost_up_to, recovered.health.lost_term);
  // No entry is newer than the term of its node (R3).
  if (recovered.commit_hint > recovered.last_index) {
    node_.refill.Lose(recovered.commit_hint, recovered.vote.term);
  }
  // Until time is told, too.
  if (limits.lease_reads || promised_ticks_ > 0) node_.promise.Make(NodeId());
  announced_.term = node_.term();
  announced_membership_ = node_.membership();
  node_.ResetTimer();
}

Role Raft::Impl::role() const {
  if (std::holds_alternative<Leader>(role_)) return Role::kLeader;
  if (const auto* candidate = std::get_if<Candidate>(&role_)) {
    return candidate->pre_vote() ? Role::kPreCandidate : Role::kCandidate;
  }
  return Role::kFollower;
}

NodeId Raft::Impl::leader() const {
  if (std::holds_alternative<Leader>(role_)) return node_.self;
  const auto* follower = std::get_if<Follower>(&role_);
  return follower == nullptr ? NodeId() : follower->leader();
}

bool Raft::Impl::LeaderAlive() const {
  // A leader that a quorum does not hear steps down by itself, so one that leads is alive.
  if (std::holds_alternative<Leader>(role_)) return true;
  const auto* follower = std::get_if<Follower>(&role_);
  return follower != nullptr && follower->LeaderAlive(node_);
}

bool Raft::Impl::Protects(NodeId candidate) const {
  // The leader that we hear may ask for itself (R12).
  return (LeaderAlive() && leader() != candidate) || node_.promise.Binds(candidate, node_.now);
}

void Raft::Impl::FailReads() {
  if (auto* follower = std::get_if<Follower>(&role_)) follower->FailReads(node_);
  if (auto* leader = std::get_if<Leader>(&role_)) leader->FailReads(node_);
}

void Raft::Impl::BecomeFollower(Term term) {
  FailReads();
  // A vote stands for its whole term (R1).
  if (term > node_.term()) node_.SetVote({term, NodeId()});
  if (std::holds_alternative<Leader>(role_)) node_.ResetTimer();
  role_ = Follower();
}

void Raft::Impl::Campaign() {
  FailReads();
  role_ = Candidate::Sound(node_);
  Settle();
}

void Raft::Impl::Run(HandOver hand_over) {
  FailReads();
  role_ = Candidate::Run(node_, hand_over);
}

void Raft::Impl::Settle() {
  const auto* candidate = std::get_if<Candidate>(&role_);
  if (candidate == nullptr) return;
  const Tally tally = candidate->Count(node_);
  if (tally == Tally::kPending) return;
  if (tally == Tally::kLost) {
    BecomeFollower(node_.term());
  } else if (candidate->pre_vote()) {
    Run(HandOver::kNo);
  } else {
    role_ = Leader(node_);
  }
}

void Raft::Impl::BeginTime(std::uint64_t now) {
  node_.now = now;
  if (node_.limits.lease_reads || promised_ticks_ > 0) {
    const std::uint64_t own = node_.limits.lease_reads ? node_.limits.election_ticks_min : 0;
    node_.promise.MakeToUnknown(now + std::max(own, promised_ticks_));
  }
  node_.ResetTimer();
  // Nobody else can stand, so there is nobody to wait for; but for whom a promise was made to.
  if (node_.SoleVoter()) node_.timer.deadline = std::max(now, node_.promise.until());
}

void Raft::Impl::Tick(std::uint64_t now) {
  if (!std::exchange(ticked_, true)) BeginTime(now);
  if (now < node_.now) return;
  const std::uint64_t passed = now - node_.now;
  const Jumped jumped(passed > node_.limits.election_ticks_min / 2);
  node_.now = now;
  // What was heard since the last tick may have come just now: the own candidacy is a vote as well.
  if (node_.promise.fresh()) node_.timer.deadline += passed;
  node_.promise.Tick(now, node_.limits.election_ticks_min);
  if (auto* leader = std::get_if<Leader>(&role_)) {
    if (!leader->Tick(node_, jumped)) BecomeFollower(node_.term());
    return;
  }
  if (now < node_.timer.deadline) return;
  // After a pause the leader's messages may still be queued: hear them before running against it.
  if (jumped || node_.promise.Binds(node_.self, now)) {
    node_.ResetTimer();
  } else if (node_.Promotable() && !node_.StandsBack()) {
    Campaign();
  } else {
    // It can't run, but the leader is gone for it, too: its readers must not wait for ever.
    if (leader()) BecomeFollower(node_.term());
    node_.ResetTimer();
  }
}

bool Raft::Impl::WouldVote(NodeId from, const VoteRequest& request) const {
  if (node_.refill.lost_up_to) return false;
  // Whoever waits to be taken in holds nothing yet that its vote could protect (R15).
  if (node_.membership().voters.empty() && !node_.log.last_index()) return false;
  if (request.term < node_.term()) return false;
  if (request.term == node_.term() &&
      ((node_.vote.candidate && node_.vote.candidate != from) || leader())) {
    return false;
  }
  return LogPosition{request.last_term, request.last_index} >= node_.LastForVotes();
}

void Raft::Impl::OnPreVoteRequest(NodeId from, const VoteRequest& request) {
  const bool granted = !Protects(from) && WouldVote(from, request);
  // A refusal is sent, too, even of an old term: the sender learns ours from it (R6, R9).
  node_.out.Send(from, VoteReply{.pre_vote = PreVote::kYes,
                                 .term = granted ? request.term : node_.term(),
                                 .granted = granted});
}

bool Raft::Impl::HandedOver(NodeId from, const VoteRequest& request) const {
  // The leader of the term before sent it. Its lease ended before that, and comes back only when a
  // quorum holds an entry that the candidate lacks, and then refuses it (R58); leases of earlier
  // terms were over when it was elected; and where somebody else won the term that it asks for it
  // can't. So nobody is hurt by a vote, also where this node has moved to that term meanwhile, as
  // by the candidate's answer to a heartbeat. A term further on is not this leader's wish (R14).
  const bool in_time = request.term == node_.term() || request.term == node_.term().Next();
  return request.hand_over && in_time && IsVoter(node_.membership(), from);
}

void Raft::Impl::OnVoteRequest(NodeId from, const VoteRequest& request) {
  const bool sticky = Protects(from) && !HandedOver(from, request);
  // Near a live leader a request does not even raise the term (R14).
  if (!sticky && request.term > node_.term()) BecomeFollower(request.term);
  const bool granted = request.term == node_.term() && !sticky && WouldVote(from, request);
  if (granted) {
    if (!node_.vote.candidate) node_.SetVote({node_.term(), from});
    node_.ResetTimer();
    // The vote is for this term alone: what was promised to others outlasts it, against this
    // candidate, too, until it is heard to lead. It may be late, and hold more by then.
    const bool bound = node_.promise.Binds(from, node_.now);
    node_.Promise(bound ? NodeId() : from);
  }
  node_.out.Hold(node_.writes.covering(), from,
                 VoteReply{.pre_vote = PreVote::kNo, .term = node_.term(), .granted = granted});
}

void Raft::Impl::OnVoteReply(NodeId from, const VoteReply& reply) {
  if (!IsMember(node_.membership(), from)) return;
  // A grant of a pre-vote echoes the term asked for, which nobody has moved to (R6).
  const bool echo = reply.pre_vote && reply.granted;
  if (!echo && reply.term > node_.term()) {
    BecomeFollower(reply.term);
    return;
  }
  auto* candidate = std::get_if<Candidate>(&role_);
  const Term expected = echo ? node_.term().Next() : node_.term();
  const bool fits = reply.granted ? reply.term == expected : reply.term <= expected;
  if (candidate == nullptr || !fits || (!reply.pre_vote && reply.term != expected)) return;
  candidate->OnVoteReply(from, reply);
  Settle();
}

Follower* Raft::Impl::FollowerOf(NodeId from, Term term) {
  if (term > node_.term()) BecomeFollower(term);
  // Nobody but this node leads its term; who says so all the same is not believed.
  if (std::holds_alternative<Leader>(role_)) return nullptr;
  if (std::holds_alternative<Candidate>(role_)) BecomeFollower(term);
  auto& follower = std::get<Follower>(role_);
  return follower.HearLeader(node_, from) ? &follower : nullptr;
}

Leader* Raft::Impl::LeaderFor(NodeId from, Term term) {
  if (!IsMember(node_.membership(), from)) return nullptr;
  if (term > node_.term()) {
    BecomeFollower(term);
    return nullptr;
  }
  return term == node_.term() ? std::get_if<Leader>(&role_) : nullptr;
}

void Raft::Impl::OnReadIndexRequest(NodeId from, const ReadIndexRequest& request) {
  if (Leader* leader = LeaderFor(from, request.term)) {
    leader->OnReadIndexRequest(node_, from, request);
  } else {
    node_.out.Send(
        from, ReadIndexReply{
                  .term = node_.term(), .number = request.number, .granted = false, .index = {}});
  }
}

void Raft::Impl::OnReadIndexReply(NodeId from, const ReadIndexReply& reply) {
  if (!IsMember(node_.membership(), from)) return;
  if (reply.term > node_.term()) {
    BecomeFollower(reply.term);
    return;
  }
  auto* follower = std::get_if<Follower>(&role_);
  if (follower != nullptr && reply.term == node_.term() && follower->leader() == from) {
    follower->OnReadIndexReply(node_, reply);
  }
}

void Raft::Impl::OnTimeoutNow(NodeId from, const TimeoutNow& request) {
  const auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader() != from || request.term != node_.term()) return;
  // One that was waited for in vain is void: the leader has added an entry since (R58). And whoever
  // may not campaign by the timer may not by this either (R11).
  if (request.last_index != node_.log.last_index() || node_.Hesitates()) return;
  if (!node_.Promotable()) return;
  Run(HandOver::kYes);
  Settle();
}

void Raft::Impl::Receive(NodeId from, Message message) {
  if (from == node_.self || !from) return;
  std::visit(Overloaded{
                 [&](const VoteRequest& m) {
                   m.pre_vote ? OnPreVoteRequest(from, m) : OnVoteRequest(from, m);
                 },
                 [&](const VoteReply& m) { OnVoteReply(from, m); },
                 [&](const AppendRequest& m) {
                   if (m.term < node_.term()) {
                     // A leader that was deposed, or a stuck candidate's: it learns of our term
                     // (R10).
                     node_.out.Send(from, AppendReply{.term = node_.term(),
                                                      .accepted = false,
                                                      .index = m.prev_index,
                                                      .hint_index = {},
                                                      .hint_term = {},
                                                      .read_round = 0});
                   } else if (Follower* follower = FollowerOf(from, m.term)) {
                     follower->OnAppend(node_, m);
                   }
                 },
                 [&](const AppendReply& m) {
                   if (Leader* leader = LeaderFor(from, m.term))
                     leader->OnAppendReply(node_, from, m);
                 },
                 [&](const Heartbeat& m) {
                   if (m.term < node_.term()) {
                     node_.out.Send(from, HeartbeatReply{.term = node_.term(), .read_round = 0});
                   } else if (Follower* follower = FollowerOf(from, m.term)) {
                     follower->OnHeartbeat(node_, m);
                   }
                 },
                 [&](const HeartbeatReply& m) {
                   if (Leader* leader = LeaderFor(from, m.term))
                     leader->OnHeartbeatReply(node_, from, m);
                 },
                 [&](const ReadIndexRequest& m) { OnReadIndexRequest(from, m); },
                 [&](const ReadIndexReply& m) { OnReadIndexReply(from, m); },
                 [&](const TimeoutNow& m) { OnTimeoutNow(from, m); },
                 [&](const SnapshotOffer& m) {
                   if (m.term < node_.term()) {
                     node_.out.Send(from,
                                    SnapshotOfferReply{.term = node_.term(), .installing = {}});
                   } else if (Follower* follower = FollowerOf(from, m.term)) {
                     follower->OnSnapshotOffer(node_, m);
                   }
                 },
                 [&](const SnapshotOfferReply& m) {
                   if (Leader* leader = LeaderFor(from, m.term))
                     leader->OnSnapshotOfferReply(node_, from, m);
                 },
             },
             message);
}

Proposed Raft::Impl::Propose(std::span<const Bytes> payloads, std::uint64_t time_ms,
                             FreesRoom frees_room) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) {
    return {.refused = Refused::kNotLeader, .first = {}, .count = 0, .term = node_.term()};
  }
  return leader->Propose(node_, payloads, time_ms, frees_room);
}

Transferring Raft::Impl::Transfer(NodeId to) {
  auto* leader = std::get_if<Leader>(&role_);
  return leader == nullptr ? Transferring::kNotLeader : leader->Transfer(node_, to);
}

Reconfiguring Raft::Impl::Reconfigure(const Delta& delta) {
  auto* leader = std::get_if<Leader>(&role_);
  return leader == nullptr ? Reconfiguring::kNotLeader : leader->Reconfigure(node_, delta);
}

void Raft::Impl::Read(Ticket ticket) {
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->Read(node_, ticket);
  } else if (auto* follower = std::get_if<Follower>(&role_)) {
    follower->Read(node_, ticket);
  } else {
    node_.out.reads_failed.push_back(ticket);
  }
}

void Raft::Impl::Durable(WriteSeq seq) {
  node_.writes.Complete(seq);
  node_.log.Complete(seq);
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->OnDurable(node_);
  } else if (auto* candidate = std::get_if<Candidate>(&role_)) {
    candidate->OnDurable(node_);
    Settle();
  } else if (std::get<Follower>(role_).leader()) {
    // The disk's time is no silence of the leader's (R76).
    node_.ResetTimer();
  }
}

void Raft::Impl::ApplyFrom(LogIndex applied, LogIndex durable_applied) {
  node_.apply.Restart(applied, durable_applied);
  if (applied <= node_.LastForVotes().index) return;
  node_.refill.Lose(applied, node_.term());
  if (!std::holds_alternative<Follower>(role_)) BecomeFollower(node_.term());
}

void Raft::Impl::RestoredTo(const RestoredState& state) {
  node_.apply.Restart(state.index, state.index);
  node_.snapshot.installing = LogIndex();
  if (state.index <= node_.commit) return;
  const bool held = node_.log.Holds({state.term, state.index});
  if (!held) {
    // Whoever leads or stands does so for its log, which is another one now.
    if (!std::holds_alternative<Follower>(role_) || state.term > node_.term()) {
      BecomeFollower(std::max(node_.term(), state.term));
    }
    node_.ResetLog(state);
  }
  node_.commit = state.index;
}

SnapshotWanted Raft::Impl::WantSnapshot() {
  const LogIndex needed = node_.SnapshotNeeded();
  if (!needed) {
    node_.snapshot.from = NodeId();
    node_.snapshot.installing = LogIndex();
    return {};
  }
  // What is being fetched goes on, whoever leads; and without a leader the one before may do.
  if (!node_.snapshot.installing || !node_.snapshot.from) {
    const auto* leading = std::get_if<Leader>(&role_);
    const NodeId source = leading == nullptr ? leader() : leading->SnapshotSource(node_);
    if (source) node_.snapshot.from = source;
  }
  return {.from = node_.snapshot.from, .at_least = needed};
}

void Raft::Impl::Fetched(NodeId follower, std::vector<Entry> entries) {
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->OnFetched(node_, follower, std::move(entries));
  }
}

void Raft::Impl::LinkReset(NodeId member) {
  if (auto* leader = std::get_if<Leader>(&role_)) leader->OnLinkReset(member);
  if (auto* follower = std::get_if<Follower>(&role_)) follower->OnLinkReset(member);
}

void Raft::Impl::DiskStalled(bool stalled) {
  node_.disk_stalled = stalled;
  if (stalled && !std::holds_alternative<Follower>(role_)) BecomeFollower(node_.term());
}

void Raft::Impl::DiskFull(bool full) {
  node_.disk_full = full;
  // A leader hands over first: it can do that, and go on with reads.
  if (std::holds_alternative<Candidate>(role_) && !node_.Promotable()) {
    BecomeFollower(node_.term());
  }
}

Output Raft::Impl::Poll() {
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->Prepare(node_);
    if (leader->must_step_down()) BecomeFollower(node_.term());
  }
  if (auto* follower = std::get_if<Follower>(&role_)) follower->Prepare(node_);

  Output output;
  output.write = node_.writes.Take(node_.log, node_.commit);
  Outbox out = std::exchange(node_.out, {});
  output.now = std::move(out.now);
  for (HeldMessage& message : out.held) {
    if (message.after <= node_.writes.completed()) {
      output.now.push_back(std::move(message.outgoing));
    } else {
      output.held.push_back(std::move(message));
    }
  }
  output.reads_ready = std::move(out.reads_ready);
  output.reads_failed = std::move(out.reads_failed);
  output.fetches = std::move(out.fetches);

  // Committed and locally durable (R35).
  const LogIndex ready = std::min(node_.commit, node_.log.durable_index());
  output.apply = node_.apply.Next(node_.log, ready, node_.limits);

  const LogIndex trim = std::max(node_.trim, node_.pressure.far_over);
  const LogIndex compact = std::min({trim, node_.apply.durable_applied(), ready});
  if (compact > node_.log.prev_index()) {
    node_.log.Compact(compact);
    node_.memberships.Compact(compact);
    if (auto* leader = std::get_if<Leader>(&role_)) leader->OnCompacted(node_);
    output.compact_up_to = compact;
  }
  node_.log.Evict(ready);

  const Announced current{role(), node_.term(), leader()};
  output.status_changed = current != announced_;
  announced_ = current;
  // An index alone may come back with other content after a cut.
  output.membership_changed = node_.membership() != announced_membership_;
  if (output.membership_changed) announced_membership_ = node_.membership();
  if (const SnapshotWanted wanted = WantSnapshot(); wanted != announced_wish_) {
    output.snapshot_wanted = announced_wish_ = wanted;
  }
  return output;
}

View Raft::Impl::GetView() const {
  View view{.id = node_.self,
            .role = role(),
            .term = node_.term(),
            .vote = node_.vote.candidate,
            .leader = leader(),
            .first_index = node_.log.first_index(),
            .last_index = node_.log.last_index(),
            .durable_index = node_.log.durable_index(),
            .commit = node_.commit,
            .applied = node_.apply.applied(),
            .membership_index = node_.memberships.index(),
            .uncommitted_bytes = node_.log.BytesAfter(node_.commit),
            .refilling = !node_.refill.done(),
            .disk_stalled = node_.disk_stalled,
            .room_low = node_.room_low,
            .disk_full = node_.disk_full,
            .lease_until = 0,
            .snapshot_wanted = announced_wish_,
            .handing_over_to = {},
            .members = {}};
  if (const auto* leader = std::get_if<Leader>(&role_)) {
    view.handing_over_to = leader->handing_over_to();
    view.lease_until = leader->LeaseUntil(node_);
    view.members = leader->Members(node_);
  }
  return view;
}

Raft::Raft(NodeId self, const Limits& limits, const Recovered& recovered, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(self, limits, recovered, seed)) {}
Raft::~Raft() = default;
Raft::Raft(Raft&&) noexcept = default;
Raft& Raft::operator=(Raft&&) noexcept = default;

void Raft::Tick(std::uint64_t now) { impl_->Tick(now); }
void Raft::Receive(NodeId from, Message message) { impl_->Receive(from, std::move(message)); }
Proposed Raft::Propose(std::span<const Bytes> payloads, std::uint64_t time_ms,
                       FreesRoom frees_room) {
  return impl_->Propose(payloads, time_ms, frees_room);
}
Transferring Raft::Transfer(NodeId to) { return impl_->Transfer(to); }
Reconfiguring Raft::Reconfigure(const Delta& delta) { return impl_->Reconfigure(delta); }
void Raft::Read(Ticket ticket) { impl_->Read(ticket); }
void Raft::Durable(WriteSeq seq) { impl_->Durable(seq); }
void Raft::Applied(LogIndex applied, LogIndex durable_applied) {
  impl_->node().apply.Report(applied, durable_applied);
}
void Raft::ApplyFrom(LogIndex applied, LogIndex durable_applied) {
  impl_->ApplyFrom(applied, durable_applied);
}
void Raft::RestoredTo(const RestoredState& state) { impl_->RestoredTo(state); }
void Raft::SnapshotProgress(LogIndex installing) { impl_->node().snapshot.installing = installing; }
void Raft::SetLogPressure(const LogPressure& pressure) { impl_->node().pressure = pressure; }
void Raft::Fetched(NodeId follower, std::vector<Entry> entries) {
  impl_->Fetched(follower, std::move(entries));
}
void Raft::LinkReset(NodeId member) { impl_->LinkReset(member); }
void Raft::DiskStalled(bool stalled) { impl_->DiskStalled(stalled); }
void Raft::RoomLow(bool low) { impl_->node().room_low = low; }
void Raft::DiskFull(bool full) { impl_->DiskFull(full); }
Output Raft::Poll() { return impl_->Poll(); }
View Raft::GetView() const { return impl_->GetView(); }
std::optional<Term> Raft::TermAt(LogIndex index) const { return impl_->node().log.TermAt(index); }
const Membership& Raft::membership() const { return impl_->node().membership(); }

}  // namespace bedrock::raft
