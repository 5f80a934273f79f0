#include "tests/sim/sim_rules.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "raftd/core/log_view.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

namespace bedrock::sim {

using raft::AppendReply;
using raft::AppendRequest;
using raft::Heartbeat;
using raft::HeartbeatReply;
using raft::LogPosition;
using raft::Role;
using raft::SnapshotOffer;
using raft::SnapshotOfferReply;
using raft::View;
using raft::VoteReply;
using raft::VoteRequest;

namespace {

/// The first message of this kind to `to` that fits, whether it leaves now or waits for the disk.
template <typename Kind, typename Fits>
const Kind* Find(const raft::Output& output, NodeId to, const Fits& fits) {
  const auto found = [&](const raft::Outgoing& outgoing) -> const Kind* {
    const auto* message = std::get_if<Kind>(&outgoing.message);
    return outgoing.to == to && message != nullptr && fits(*message) ? message : nullptr;
  };
  for (const raft::Outgoing& outgoing : output.now) {
    if (const Kind* message = found(outgoing)) return message;
  }
  for (const raft::HeldMessage& held : output.held) {
    if (const Kind* message = found(held.outgoing)) return message;
  }
  return nullptr;
}

/// So many elections pass before whoever has little room stands (R75).
constexpr std::uint64_t kElectionsLeftToOthers = 3;

/// Only votes, what asks for them and acknowledgements promise anything.
bool MayWaitForDisk(const raft::Message& message) {
  if (const auto* request = std::get_if<VoteRequest>(&message)) return !request->pre_vote;
  if (const auto* reply = std::get_if<VoteReply>(&message)) return !reply->pre_vote;
  if (const auto* reply = std::get_if<AppendReply>(&message)) return reply->accepted;
  return !std::holds_alternative<Heartbeat>(message) &&
         !std::holds_alternative<HeartbeatReply>(message) &&
         !std::holds_alternative<AppendRequest>(message) &&
         !std::holds_alternative<raft::TimeoutNow>(message) &&
         !std::holds_alternative<SnapshotOffer>(message) &&
         !std::holds_alternative<SnapshotOfferReply>(message);
}

}  // namespace

SimRules::SimRules(const raft::Raft& core, const SimOptions& options,
                   const raft::Recovered& recovered, LeaseReads lease_reads, SimCheckers& checkers)
    : self_(core.GetView().id),
      options_(options),
      lease_reads_(lease_reads),
      promised_ticks_(recovered.promised_ticks),
      checkers_(checkers),
      before_(core.GetView()),
      members_(core.membership()),
      lost_up_to_(recovered.health.lost_up_to),
      lost_term_(recovered.health.lost_term),
      promised_now_(lease_reads || recovered.promised_ticks > 0) {
  // A damaged log is used up to the damage, and votes go by its true end.
  const auto& damaged = recovered.health.damaged;
  if (damaged && damaged->first <= recovered.last_index) {
    floor_ = {recovered.terms.back().term, recovered.last_index};
  }
}

// ---- Inputs

void SimRules::OnTick(std::uint64_t now) {
  const bool first = !std::exchange(ticked_, true);
  if (!first && now < now_) return;
  const bool jumped = !first && now - now_ > options_.limits.election_ticks_min / 2;
  now_ = now;
  ticked_at_ = inputs_;
  if (first) {
    RestartTimer();
    no_leader_since_ = now_;
  }
  if (promised_now_) {
    // It may have heard the leader, or come back, just before this: so its timer, too, runs anew.
    RestartTimer();
    const std::uint64_t own = options_.limits.election_ticks_min;
    promised_until_ = std::max(promised_until_, now_ + std::max(own, first ? promised_ticks_ : 0));
    promised_now_ = false;
  }
  input_ = Tick{.first = first, .jumped = jumped};
}

void SimRules::OnMessage(NodeId from, const raft::Message& message) {
  input_ = Received{from, message};
}

void SimRules::OnDurable() { input_ = Durable(); }

void SimRules::OnLinkReset(NodeId member) { fed_.erase(member); }

void SimRules::OnDiskStalled() { input_ = Stalled(); }

void SimRules::OnRead(raft::Ticket ticket) {
  if (before_.role == Role::kLeader) own_reads_[ticket] = inputs_;
}

void SimRules::OnProposed(std::uint64_t entries, std::uint64_t bytes,
                          const raft::Proposed& proposed) {
  const std::uint64_t open = before_.last_index - before_.commit;
  if (proposed.refused == raft::Refused::kBusy && open == 0) {
    Fail("with nothing uncommitted any proposal is taken", "");
  }
  if (proposed.refused || open == 0) return;
  const raft::Limits& limits = options_.limits;
  const std::size_t bytes_now = before_.uncommitted_bytes;
  if (open + entries > limits.uncommitted_entries_max ||
      (bytes_now > 0 && bytes_now + bytes > limits.uncommitted_bytes_max)) {
    Fail("what is uncommitted is bounded",
         std::to_string(open) + " entries of " + std::to_string(bytes_now) + " bytes before");
  }
}

// ---- What was lost

/// A state machine cannot be ahead of a log that is whole (R74).
void SimRules::OnApplyFrom(const raft::Raft& core, LogIndex applied) {
  const LogIndex last = core.GetView().last_index;
  if (applied > LastForVotes({*core.TermAt(last), last}).index) {
    Lose(applied, core.GetView().term);
  }
}

/// Where the log has not the very entry, and more is not known to be committed, it begins anew.
/// More may have been acknowledged than the state machine holds, but nothing more of earlier terms
/// than its last entry's was committed.
void SimRules::OnRestored(const raft::Raft& core, const raft::LogPosition& state) {
  if (state.index <= core.GetView().commit || core.TermAt(state.index) == state.term) return;
  if (state.term > lost_term_) {
    lost_up_to_ = {};
  } else if (lost_up_to_) {
    lost_up_to_ = std::max(lost_up_to_, state.index.Next());
  }
  if (state >= floor_) floor_ = {};
}

/// It tells at most what this node acknowledged as durable (R18): a log that is shorter has lost it
/// (R73).
void SimRules::HearHeartbeat(NodeId from, const Heartbeat& heartbeat, const View& view) {
  if (view.role != Role::kFollower || view.term != heartbeat.term || view.leader != from) return;
  if (heartbeat.commit > view.last_index) Lose(heartbeat.commit, view.term);
}

void SimRules::Lose(LogIndex up_to, Term newest) {
  lost_term_ = lost_up_to_ ? std::max(lost_term_, newest) : newest;
  lost_up_to_ = std::max(lost_up_to_, up_to);
}

/// A leader has matched the log up to `proved`. One of a later term than all that is lost has in
/// front of its own entries whatever of that was committed.
void SimRules::Refilled(const LogPosition& proved, const LogPosition& last) {
  if (proved.index >= lost_up_to_ || proved.term > lost_term_) lost_up_to_ = {};
  if (last >= floor_) floor_ = {};
}

void SimRules::CheckRefill(const View& view) {
  if (view.refilling == (lost_up_to_ || floor_ != LogPosition())) return;
  Fail("what was lost stays lost until a leader has refilled it",
       "lost up to " + std::to_string(lost_up_to_.value()) + ", damaged up to " +
           std::to_string(floor_.index.value()) + ", last " +
           std::to_string(view.last_index.value()));
}

// ---- What they should have done

void SimRules::OnOutput(const raft::Raft& core, const View& view, const raft::Output& output) {
  const raft::Membership& members = core.membership();
  ++inputs_;
  if (before_.role == Role::kLeader && view.role != Role::kLeader) RestartTimer();
  if (const auto* tick = std::get_if<Tick>(&input_)) {
    CheckTick(*tick, view, output);
    CheckStandsBack(*tick, view, output);
  } else if (const auto* received = std::get_if<Received>(&input_)) {
    CheckReceived(*received, core, view, output);
  } else if (std::holds_alternative<Durable>(input_)) {
    // The disk's time is no silence of the leader's (R76).
    if (before_.role == Role::kFollower && before_.leader) RestartTimer();
  } else if (std::holds_alternative<Stalled>(input_) && view.role != Role::kFollower) {
    Fail("a leader whose disk stalls steps down", "");
  }
  if (Stands(view, output)) {
    CheckWhyItStands(view);
    RestartTimer();
  }
  input_ = {};
  CheckRefill(view);
  if (view.role == Role::kLeader) {
    if (before_.role != Role::kLeader || before_.term != view.term) TakeOver(view, members);
    if (output.write) CheckPromoted(view, *output.write);
    for (const NodeId voter : raft::AllMembers(members)) {
      if (IsVoterOf(members, voter) && !IsVoterOf(members_, voter)) answered_at_[voter] = now_;
    }
    CheckReads(members, output);
    CheckFed(view, output);
    CheckWished(view, output);
    CheckGivesAway(view, members);
    CheckGivesUp(view, members);
  }
  CheckHeld(view, output);
  before_ = view;
  members_ = members;
}

void SimRules::TakeOver(const View& view, const raft::Membership& members) {
  leading_since_ = paused_at_ = now_;
  answered_at_.clear();
  heard_from_.clear();
  gave_away_ = false;
  fed_.clear();
  rounds_.clear();
  confirmed_.clear();
  own_reads_.clear();
  asked_reads_.clear();
  lasts_.clear();
  lasts_.emplace_back(now_, before_.last_index);
  wished_.reset();
  members_ = members;
  before_.term = view.term;
}

// ---- Elections

/// A voter whose log is whole, whose disk works and has room, and who needs no snapshot.
bool SimRules::Fit(const View& view) const {
  return FitButForRoom(view) && !view.disk_full && !view.room_low;
}

bool SimRules::FitButForRoom(const View& view) const {
  return IsVoterOf(members_, self_) && !view.refilling && !view.disk_stalled &&
         !view.snapshot_wanted.at_least;
}

/// To lead these: nobody else could lead where there is one voter alone.
bool SimRules::HasRoomFor(const raft::Membership& members) const {
  const bool alone = !raft::IsJoint(members) && members.voters == std::vector<NodeId>{self_};
  return room_ == Room::kEnough || alone;
}

void SimRules::CheckTick(const Tick& tick, const View& view, const raft::Output& output) {
  if (before_.role == Role::kLeader) {
    CheckQuorum(tick, view);
  } else {
    CheckTimer(tick, view, output);
  }
}

bool SimRules::Stands(const View& view, const raft::Output& output) const {
  if (view.role == Role::kCandidate) {
    return before_.role != Role::kCandidate || view.term != before_.term;
  }
  if (view.role != Role::kPreCandidate) return false;
  if (before_.role != Role::kPreCandidate) return true;
  return std::any_of(output.now.begin(), output.now.end(), [](const raft::Outgoing& outgoing) {
    const auto* request = std::get_if<VoteRequest>(&outgoing.message);
    return request != nullptr && request->pre_vote;
  });
}

/// A node stands an election timeout after it was last kept from it, or stood, no sooner and no
/// later.
void SimRules::CheckTimer(const Tick& tick, const View& view, const raft::Output& output) {
  const raft::Limits& limits = options_.limits;
  const bool stands = Stands(view, output);
  if (stands && !tick.first && now_ < timer_.restarted + limits.election_ticks_min) {
    Fail("a node stands only after the silence of an election timeout",
         std::to_string(now_ - timer_.restarted) + " ticks");
  }
  const bool fit = Fit(before_) && Fit(view);
  if (!stands && fit && !tick.jumped && !tick.first &&
      now_ >= timer_.may_run_since + limits.election_ticks_max) {
    Fail("a node stands after the silence of an election timeout",
         std::to_string(now_ - timer_.may_run_since) + " ticks");
  }
  // Its timer may run out unnoticed then, and begin anew.
  if (tick.jumped || !fit) timer_.may_run_since = now_;
}

/// By its timer; or at a leader's wish, without asking first; or since a quorum, which SimCheckers
/// count, would vote for it.
void SimRules::CheckWhyItStands(const View& view) {
  if (std::holds_alternative<Tick>(input_)) return;
  const auto* received = std::get_if<Received>(&input_);
  const bool wished = before_.role == Role::kFollower && received != nullptr &&
                      std::holds_alternative<raft::TimeoutNow>(received->message);
  if (view.role == Role::kCandidate && (wished || before_.role == Role::kPreCandidate)) return;
  Fail("a node stands by its timer or at a leader's wish",
       "role " + std::to_string(static_cast<int>(view.role)));
}

/// Whoever has little room leaves it to others to stand, for three elections since it heard a
/// leader last; then it does, since nobody may have more (R75).
void SimRules::CheckStandsBack(const Tick& tick, const View& view, const raft::Output& output) {
  if (before_.role == Role::kLeader || HasRoomFor(members_)) {
    stands_back_since_ = now_;
    return;
  }
  const raft::Limits& limits = options_.limits;
  const bool stands = std::any_of(output.now.begin(), output.now.end(), [](const auto& outgoing) {
    return std::holds_alternative<VoteRequest>(outgoing.message);
  });
  constexpr std::uint64_t kElections = kElectionsLeftToOthers + 1;
  if (stands && now_ < no_leader_since_ + kElections * limits.election_ticks_min) {
    Fail("a node with little room leaves some elections to others",
         std::to_string(now_ - no_leader_since_) + " ticks");
  }
  const bool waits = before_.role == Role::kFollower && view.role == Role::kFollower &&
                     room_ == Room::kLittle && FitButForRoom(before_) && FitButForRoom(view) &&
                     !tick.first && !tick.jumped;
  if (!waits) stands_back_since_ = now_;
  // Each election may be noticed late, by less than a leap of time.
  const std::uint64_t election = limits.election_ticks_max + limits.election_ticks_min / 2;
  if (now_ >= stands_back_since_ + kElections * election) {
    Fail("a node with little room stands when the others have not",
         std::to_string(now_ - stands_back_since_) + " ticks");
  }
}

/// A leader with little room, or none, asks a voter that answers to lead, as soon as there is one
/// (R75). One that fetches a snapshot is asked in vain, which can't be seen. Whoever becomes a
/// voter with this very output is asked with the next.
void SimRules::CheckGivesAway(const View& view, const raft::Membership& members) {
  const auto votes = [&](NodeId member) {
    return std::binary_search(members.voters.begin(), members.voters.end(), member) &&
           std::binary_search(members_.voters.begin(), members_.voters.end(), member);
  };
  const bool in_vain = std::any_of(view.members.begin(), view.members.end(), [&](const auto& m) {
    return m.state == raft::ReplicationState::kSnapshot && votes(m.id);
  });
  gave_away_ = room_ != Room::kEnough && (gave_away_ || in_vain || view.handing_over_to);
  if (room_ == Room::kEnough || gave_away_) return;
  for (const auto& [member, heard] : heard_from_) {
    if (!votes(member) || now_ >= heard + options_.limits.election_ticks_min) continue;
    Fail("a leader with little room gives leadership away", FormatNodeId(member) + " answers");
  }
}

/// A transfer is over after an election timeout, whatever became of it (R59). Whoever has a reason
/// of its own to lead no more asks again at once: it is no voter, has little room, or its state
/// machine lacks what its log has dropped.
void SimRules::CheckGivesUp(const View& view, const raft::Membership& members) {
  const bool goes_on = before_.role == Role::kLeader && before_.term == view.term &&
                       before_.handing_over_to == view.handing_over_to;
  const bool asks_again = !IsVoterOf(members, self_) || room_ != Room::kEnough ||
                          view.applied < view.first_index.Prev();
  if (!view.handing_over_to || !goes_on || asks_again) handing_over_since_ = now_;
  if (now_ > handing_over_since_ + options_.limits.election_ticks_min) {
    Fail("a transfer that nobody answers is given up",
         "to " + FormatNodeId(view.handing_over_to) + " for " +
             std::to_string(now_ - handing_over_since_) + " ticks");
  }
}

bool SimRules::QuorumAnswered(std::uint64_t since) const {
  return IsQuorumOf(members_, [&](NodeId voter) {
    if (voter == self_) return true;
    const auto answered = answered_at_.find(voter);
    return answered != answered_at_.end() && answered->second > since;
  });
}

/// A leader gives up where no quorum answers it, and only there.
void SimRules::CheckQuorum(const Tick& tick, const View& view) {
  const std::uint64_t timeout = options_.limits.election_ticks_min;
  if (tick.jumped) paused_at_ = now_;
  if (view.role != Role::kLeader) {
    const bool retires = before_.handing_over_to || !IsVoterOf(members_, self_);
    if (!retires && now_ >= leading_since_ + timeout && QuorumAnswered(now_ - timeout)) {
      Fail("a leader that a quorum answers leads on", "");
    }
    if (!retires && now_ < leading_since_ + timeout) Fail("a leader has a timeout's time", "");
    return;
  }
  lasts_.emplace_back(now_, view.last_index);
  while (lasts_.size() > 1 && lasts_[1].first + 2 * timeout <= now_) lasts_.pop_front();
  // A check comes at most half a timeout late, and what came right after one counts for the next.
  const std::uint64_t bound = 3 * timeout + 2;
  if (now_ >= paused_at_ + bound && !QuorumAnswered(now_ - bound)) {
    Fail("a leader that no quorum answers steps down", "");
  }
}

void SimRules::CheckReceived(const Received& received, const raft::Raft& core, const View& view,
                             const raft::Output& output) {
  const NodeId from = received.from;
  std::visit(
      [&](const auto& message) {
        using Kind = std::decay_t<decltype(message)>;
        if constexpr (std::is_same_v<Kind, VoteRequest>) {
          CheckVoteRequest(from, message, core, view, output);
        } else if constexpr (std::is_same_v<Kind, AppendRequest> ||
                             std::is_same_v<Kind, Heartbeat> ||
                             std::is_same_v<Kind, SnapshotOffer>) {
          if (message.term < before_.term) {
            CheckTold(from, before_.term, output);
          } else {
            HearLeader(from, message.term, view);
            if constexpr (std::is_same_v<Kind, Heartbeat>) HearHeartbeat(from, message, view);
            if constexpr (std::is_same_v<Kind, AppendRequest>) {
              const auto* reply =
                  Find<AppendReply>(output, from, [](const AppendReply& m) { return m.accepted; });
              const LogPosition last{*core.TermAt(view.last_index), view.last_index};
              if (reply != nullptr) {
                Refilled({core.TermAt(reply->index).value_or(Term()), reply->index}, last);
              }
            }
          }
        } else if constexpr (std::is_same_v<Kind, AppendReply>) {
          HearFollower(from, message.term, message.read_round);
          if (message.term != before_.term) return;
          fed_[from].unanswered = 0;
          if (message.accepted) fed_[from].probed.clear();
        } else if constexpr (std::is_same_v<Kind, HeartbeatReply>) {
          HearFollower(from, message.term, message.read_round);
        } else if constexpr (std::is_same_v<Kind, raft::ReadIndexRequest>) {
          // The same request may come twice: the first is what it is answered for.
          asked_reads_.try_emplace({from, message.number}, inputs_ - 1);
        } else if constexpr (std::is_same_v<Kind, raft::TimeoutNow>) {
          CheckWish(message, output);
        } else if constexpr (std::is_same_v<Kind, SnapshotOfferReply>) {
          HearFollower(from, message.term, 0);
        }
      },
      received.message);
}

void SimRules::HearLeader(NodeId from, Term term, const View& view) {
  if (view.role != Role::kFollower || view.term != term || view.leader != from) return;
  heard_at_ = no_leader_since_ = now_;
  RestartTimer();
  Promise(from);
}

void SimRules::Promise(NodeId to) {
  if (!lease_reads_) return;
  promised_to_ = to;
  promised_now_ = true;
}

bool SimRules::PromisedToOtherThan(NodeId candidate) const {
  return (promised_now_ || now_ < promised_until_) && (!promised_to_ || promised_to_ != candidate);
}

bool SimRules::SentByLeader(NodeId from, const VoteRequest& request) const {
  if (request.pre_vote || !request.hand_over || !IsVoterOf(members_, from)) return false;
  return request.term == before_.term || request.term == before_.term.Next();
}

/// Whoever speaks for an old term learns of the newer one (R10).
void SimRules::CheckTold(NodeId from, Term term, const raft::Output& output) {
  const auto tells = [term](const auto& reply) { return reply.term == term; };
  if (Find<AppendReply>(output, from, tells) == nullptr &&
      Find<HeartbeatReply>(output, from, tells) == nullptr &&
      Find<SnapshotOfferReply>(output, from, tells) == nullptr) {
    Fail("a leader of an old term is told of the newer one", FormatNodeId(from));
  }
}

void SimRules::HearFollower(NodeId from, Term term, std::uint64_t read_round) {
  if (before_.role != Role::kLeader || term != before_.term) return;
  answered_at_[from] = heard_from_[from] = now_;
  confirmed_[from] = std::max(confirmed_[from], read_round);
}

/// A wish to stand is of the very log that the leader had then; one that it gave up names an older
/// one (R58). Nor is anybody to lead who has little room (R75).
void SimRules::CheckWish(const raft::TimeoutNow& wish, const raft::Output& output) {
  for (const raft::HeldMessage& held : output.held) {
    const auto* request = std::get_if<VoteRequest>(&held.outgoing.message);
    if (request == nullptr) continue;
    if (request->last_index != wish.last_index) Fail("nobody stands at a wish for another log", "");
    if (!HasRoomFor(members_)) Fail("nobody with little room stands at a wish", "");
  }
}

/// Who asks for a vote, or whether it would get one, is answered, and by what the rules say
/// (R4 to R9, R12, R14, R36, R42).
void SimRules::CheckVoteRequest(NodeId from, const VoteRequest& request, const raft::Raft& core,
                                const View& view, const raft::Output& output) {
  const bool hears =
      before_.role == Role::kLeader || (before_.role == Role::kFollower && before_.leader &&
                                        now_ - heard_at_ < options_.limits.election_ticks_min);
  const bool protects = ((hears && before_.leader != from) || PromisedToOtherThan(from)) &&
                        !SentByLeader(from, request);
  const bool raises = !request.pre_vote && !protects && request.term > before_.term;
  const Term term = raises ? request.term : before_.term;
  if (view.term != term) {
    Fail(request.pre_vote ? "a pre-vote changes nothing at the voter"
                          : "a vote request raises the term unless a live leader is heard",
         "term " + std::to_string(view.term.value()));
  }
  const bool same = view.role == before_.role && view.leader == before_.leader &&
                    view.vote == before_.vote && view.last_index == before_.last_index;
  if (request.pre_vote && !same) Fail("a pre-vote changes nothing at the voter", "");

  const auto* reply = Find<VoteReply>(
      output, from, [&](const VoteReply& m) { return m.pre_vote == request.pre_vote; });
  if (reply == nullptr) {
    Fail("who asks for a vote is answered", FormatNodeId(from));
    return;
  }
  if (reply->granted && !request.pre_vote) {
    RestartTimer();
    // Whoever was promised before keeps that, though a leader's wish goes before it.
    Promise(PromisedToOtherThan(from) ? NodeId() : from);
  }
  const LogPosition last = LastForVotes({*core.TermAt(view.last_index), view.last_index});
  const bool log = !lost_up_to_ && LogPosition{request.last_term, request.last_index} >= last;
  const bool free = raises || ((!before_.vote || before_.vote == from) && !before_.leader);
  const bool in_time =
      request.term > term ? static_cast<bool>(request.pre_vote) : request.term == term && free;
  // Whoever waits to be taken in holds nothing yet that its vote could protect (R15).
  const bool waits = members_.voters.empty() && !view.last_index;
  const bool expected = !protects && log && in_time && !waits;
  if (reply->granted && !expected) {
    Fail("a vote is given only where the rules allow it", "to " + FormatNodeId(from));
  }
  if (!reply->granted && expected) {
    Fail("a vote is refused only for a reason", "to " + FormatNodeId(from));
  }
}

// ---- Leading

/// A read is confirmed by answers to rounds that were sent after it came (R51), or by a lease
/// (R60), whose length SimCheckers watch over.
void SimRules::CheckReads(const raft::Membership& members, const raft::Output& output) {
  // What is confirmed here was so before anything of this output is sent.
  for (const raft::ReadReady& ready : output.reads_ready) {
    const auto read = own_reads_.find(ready.ticket);
    if (read == own_reads_.end()) continue;
    if (ready.leased) {
      CheckLeased(read->second, "its own");
    } else {
      CheckConfirmed(members, read->second, "its own");
    }
    own_reads_.erase(read);
  }
  for (const raft::Outgoing& outgoing : output.now) {
    if (const auto* reply = std::get_if<raft::ReadIndexReply>(&outgoing.message)) {
      const auto read = asked_reads_.find({outgoing.to, reply->number});
      if (!reply->granted || read == asked_reads_.end()) continue;
      if (reply->leased) {
        CheckLeased(read->second, FormatNodeId(outgoing.to));
      } else {
        CheckConfirmed(members, read->second, FormatNodeId(outgoing.to));
      }
    } else if (const auto* heartbeat = std::get_if<Heartbeat>(&outgoing.message)) {
      rounds_.try_emplace(heartbeat->read_round, inputs_);
    } else if (const auto* append = std::get_if<AppendRequest>(&outgoing.message)) {
      rounds_.try_emplace(append->read_round, inputs_);
    }
  }
}

void SimRules::CheckConfirmed(const raft::Membership& members, std::uint64_t asked_at,
                              std::string_view reader) {
  const auto answered = [&](NodeId voter) {
    if (voter == self_) return true;
    const auto round = confirmed_.find(voter);
    if (round == confirmed_.end()) return false;
    const auto sent = rounds_.find(round->second);
    return sent != rounds_.end() && sent->second > asked_at;
  };
  // The configuration may have changed with this very output, before or after.
  if (!IsQuorumOf(members_, answered) && !IsQuorumOf(members, answered)) {
    Fail("a read is confirmed by rounds that were sent after it came",
         "a read of " + std::string(reader));
  }
}

/// The clock is read after the read came and took its index: what was told before that may be from
/// before any pause (R60).
void SimRules::CheckLeased(std::uint64_t asked_at, std::string_view reader) {
  if (ticked_at_ <= asked_at) {
    Fail("a lease confirms a read at a time that was told after it came",
         "a read of " + std::string(reader));
  }
}

/// Whoever becomes a voter holds what this leader held two election timeouts ago at least, since it
/// has just ended a round of catching up that took less than one (R47).
void SimRules::CheckPromoted(const View& view, const raft::Write& write) {
  for (const raft::Entry& entry : write.entries) {
    if (entry.kind != raft::EntryKind::kMembership || entry.term != view.term) continue;
    for (const NodeId voter : raft::DecodeCheckedMembership(entry.payload.view()).voters) {
      if (voter == self_ || IsVoterOf(members_, voter)) continue;
      const auto [last, term] = checkers_.DurableLog(voter);
      if (term <= view.term && last < lasts_.front().second && !checkers_.IsHurt(voter)) {
        Fail("a learner has caught up when it is promoted",
             FormatNodeId(voter) + " holds " + std::to_string(last.value()) + " of " +
                 std::to_string(lasts_.front().second.value()));
      }
    }
  }
}

void SimRules::CheckFed(const View& view, const raft::Output& output) {
  const raft::Limits& limits = options_.limits;
  // One message may cross the bound.
  const std::size_t bytes_max = limits.window_bytes_max + limits.append_bytes_max +
                                std::size_t{options_.payload_bytes_max} + 1'000;
  for (const raft::MemberProgress& member : view.members) {
    const bool streams = member.state == raft::ReplicationState::kStream;
    if (!streams && (member.window_messages != 0 || member.window_bytes != 0)) {
      Fail("the window is empty but in a stream", FormatNodeId(member.id));
    }
    if (member.window_messages > limits.window_messages_max || member.window_bytes > bytes_max) {
      Fail("the window is bounded", FormatNodeId(member.id));
    }
  }
  for (const raft::Outgoing& outgoing : output.now) {
    const auto* append = std::get_if<AppendRequest>(&outgoing.message);
    if (append == nullptr) continue;
    if (!append->entries.empty() &&
        ++fed_[outgoing.to].unanswered > limits.window_messages_max + 1) {
      Fail("a silent follower is sent a window of entries and no more", FormatNodeId(outgoing.to));
    }
    CheckProbe(view, outgoing.to, append->prev_index);
  }
}

/// A wish to stand that has left may be granted by a quorum until one holds an entry that whoever
/// it was sent to lacks, and until then no lease keeps anybody from it (R58).
void SimRules::CheckWished(const View& view, const raft::Output& output) {
  for (const raft::Outgoing& outgoing : output.now) {
    const auto* wish = std::get_if<raft::TimeoutNow>(&outgoing.message);
    if (wish != nullptr) wished_ = std::max(wished_.value_or(LogIndex()), wish->last_index);
  }
  if (wished_ && view.commit <= *wished_ && view.lease_until > now_) {
    Fail("no lease lasts while somebody may stand at the leader's wish",
         "asked at " + std::to_string(wished_->value()) + ", committed " +
             std::to_string(view.commit.value()));
  }
}

/// Where logs differ they differ by whole terms, so looking for their last common entry takes no
/// more probes than there are terms in both (R28). Twice that, since a follower may lose entries
/// that were not durable while it is asked.
void SimRules::CheckProbe(const View& view, NodeId follower, LogIndex place) {
  const auto member = std::find_if(view.members.begin(), view.members.end(),
                                   [follower](const auto& m) { return m.id == follower; });
  if (member == view.members.end() || member->state != raft::ReplicationState::kProbe) return;
  // Where the log begins is asked again whenever it was trimmed.
  if (place < view.first_index) return;
  std::set<LogIndex>& probed = fed_[follower].probed;
  constexpr std::size_t kFree = 8;
  if (!probed.insert(place).second || probed.size() <= kFree) return;
  const std::size_t terms = checkers_.TermsOf(self_) + checkers_.TermsOf(follower);
  if (probed.size() > kFree + 2 * terms) {
    Fail("a common entry is found in as many probes as there are terms",
         std::to_string(probed.size()) + " probes of " + FormatNodeId(follower) + ", " +
             std::to_string(terms) + " terms");
  }
}

void SimRules::CheckHeld(const View& view, const raft::Output& output) {
  const auto asks = [](const raft::Outgoing& m) {
    return std::holds_alternative<VoteRequest>(m.message);
  };
  bool stands = std::any_of(output.now.begin(), output.now.end(), asks);
  for (const raft::HeldMessage& held : output.held) {
    stands = stands || asks(held.outgoing);
    if (!MayWaitForDisk(held.outgoing.message)) {
      Fail("what promises nothing waits for no disk", "to " + FormatNodeId(held.outgoing.to));
    }
  }
  const bool behind = view.snapshot_wanted.at_least > view.last_index;
  if (stands && (view.refilling || view.disk_stalled || behind)) {
    Fail("only a healthy node stands for election", "");
  }
}

}  // namespace bedrock::sim
