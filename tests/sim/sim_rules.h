#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/raft_messages.h"
#include "raftd/core/log_view.h"
#include "raftd/core/raft.h"
#include "tests/sim/sim_checkers.h"
#include "tests/sim/sim_options.h"

namespace bedrock::sim {

/// Holds one core against the rules of Raft's design that no broken promise to a client would show,
/// or only once in very many runs: whom a node votes for, when it stands and when it may not, what
/// is answered, when a leader gives up, what a follower is sent and how it is found out where its
/// log differs.
///
/// Fed with each input, then with the first output after it. What the core should do is worked out
/// here anew from its last view, the input and the messages, with clocks of its own; never by
/// asking the core. One a life of a node; one thread.
class SimRules {
 public:
  using LeaseReads = TypedBool<struct LeaseReadsTag>;
  /// What is left for what is written (R75): `kLittle` for what frees room, `kNone` for votes.
  enum class Room : std::uint8_t { kEnough, kLittle, kNone };

  /// `recovered`: what the core was begun with.
  SimRules(const raft::Raft& core, const SimOptions& options, const raft::Recovered& recovered,
           LeaseReads lease_reads, SimCheckers& checkers);

  // The core is about to hear where the state machine stands.
  void OnApplyFrom(const raft::Raft& core, LogIndex applied);
  void OnRestored(const raft::Raft& core, const raft::LogPosition& state);

  // Each after the core was given the input, and before it is polled.
  void OnTick(std::uint64_t now);
  void OnMessage(NodeId from, const raft::Message& message);
  void OnDurable();
  void OnLinkReset(NodeId member);
  void OnDiskStalled();
  void OnRoom(Room room) { room_ = room; }
  void OnRead(raft::Ticket ticket);
  void OnProposed(std::uint64_t entries, std::uint64_t bytes, const raft::Proposed& proposed);

  /// Nothing of the output is carried out yet, and the core stands at `view` now.
  void OnOutput(const raft::Raft& core, const raft::View& view, const raft::Output& output);

 private:
  struct Tick {
    bool first = false;
    bool jumped = false;  ///< Time made a leap: the process was paused.
  };
  struct Received {
    NodeId from;
    raft::Message message;
  };
  struct Durable {};
  struct Stalled {};
  using Input = std::variant<std::monostate, Tick, Received, Durable, Stalled>;

  /// The election timer as it has to run: restarted by all that keeps a follower from standing, and
  /// by every candidacy that begins, whatever began it; never by one that ends. Where it may run
  /// out unnoticed, between the two ticks.
  struct Timer {
    std::uint64_t restarted = 0;      ///< When it had to be restarted last.
    std::uint64_t may_run_since = 0;  ///< When it may have been restarted last.
  };

  /// What one follower of this leader was sent.
  struct Fed {
    std::uint64_t unanswered = 0;  ///< Appends with entries since its last answer.
    std::set<LogIndex> probed;     ///< Places asked for since it last accepted anything.
  };

  void CheckTick(const Tick& tick, const raft::View& view, const raft::Output& output);
  void CheckTimer(const Tick& tick, const raft::View& view, const raft::Output& output);
  void CheckWhyItStands(const raft::View& view);
  void CheckStandsBack(const Tick& tick, const raft::View& view, const raft::Output& output);
  void CheckGivesAway(const raft::View& view, const raft::Membership& members);
  void CheckGivesUp(const raft::View& view, const raft::Membership& members);
  void CheckQuorum(const Tick& tick, const raft::View& view);
  void CheckReceived(const Received& received, const raft::Raft& core, const raft::View& view,
                     const raft::Output& output);
  void CheckVoteRequest(NodeId from, const raft::VoteRequest& request, const raft::Raft& core,
                        const raft::View& view, const raft::Output& output);
  void HearHeartbeat(NodeId from, const raft::Heartbeat& heartbeat, const raft::View& view);
  void CheckRefill(const raft::View& view);
  void Lose(LogIndex up_to, Term newest);
  void Refilled(const raft::LogPosition& proved, const raft::LogPosition& last);
  raft::LogPosition LastForVotes(const raft::LogPosition& last) const {
    return std::max(last, floor_);
  }
  void HearLeader(NodeId from, Term term, const raft::View& view);
  void CheckWish(const raft::TimeoutNow& wish, const raft::Output& output);
  void CheckTold(NodeId from, Term term, const raft::Output& output);
  void HearFollower(NodeId from, Term term, std::uint64_t read_round);
  void CheckReads(const raft::Membership& members, const raft::Output& output);
  void CheckConfirmed(const raft::Membership& members, std::uint64_t asked_at,
                      std::string_view reader);
  void CheckLeased(std::uint64_t asked_at, std::string_view reader);
  void CheckPromoted(const raft::View& view, const raft::Write& write);
  void CheckFed(const raft::View& view, const raft::Output& output);
  void CheckWished(const raft::View& view, const raft::Output& output);
  void CheckProbe(const raft::View& view, NodeId follower, LogIndex place);
  void CheckHeld(const raft::View& view, const raft::Output& output);
  void TakeOver(const raft::View& view, const raft::Membership& members);
  void RestartTimer() {
    timer_ = {now_, now_};
    stands_back_since_ = now_;
  }
  /// It promises `to` not to vote for anyone else, counted from the next tick on (R55 to R57).
  void Promise(NodeId to);
  bool PromisedToOtherThan(NodeId candidate) const;
  /// At the wish of the leader of this node's term, or of the one before.
  bool SentByLeader(NodeId from, const raft::VoteRequest& request) const;
  /// It asks whether it would be elected, or to be, and did not ask that before.
  bool Stands(const raft::View& view, const raft::Output& output) const;
  bool Fit(const raft::View& view) const;
  bool FitButForRoom(const raft::View& view) const;
  bool HasRoomFor(const raft::Membership& members) const;
  bool QuorumAnswered(std::uint64_t since) const;
  void Fail(std::string_view invariant, const std::string& seen) {
    checkers_.Fail(invariant, FormatNodeId(self_) + (seen.empty() ? "" : " ") + seen);
  }

  const NodeId self_;
  const SimOptions& options_;
  const LeaseReads lease_reads_;
  const std::uint64_t promised_ticks_;  ///< As raft::Recovered has it.
  SimCheckers& checkers_;

  raft::View before_;  ///< When it was polled last: what the input found.
  raft::Membership members_;
  Input input_;
  bool ticked_ = false;
  std::uint64_t now_ = 0;  ///< In ticks.
  Timer timer_;
  std::uint64_t heard_at_ = 0;  ///< The leader, if there is one.
  Room room_ = Room::kEnough;
  std::uint64_t no_leader_since_ = 0;    ///< It heard one last then.
  std::uint64_t stands_back_since_ = 0;  ///< For want of room alone, its timer running.
  // What is wrong with the log (R70, R73, R74). Neither is forgotten before a leader has matched
  // the log so far, or up to an entry of a later term.
  LogIndex lost_up_to_;        ///< Entries up to here were durable once and are gone; 0: none are.
  Term lost_term_;             ///< None of them was newer.
  raft::LogPosition floor_;    ///< The true last entry of a damaged log.
  NodeId promised_to_;         ///< None: nobody knows whom.
  bool promised_now_ = false;  ///< Since the last tick.
  std::uint64_t promised_until_ = 0;

  // While it leads.
  std::uint64_t leading_since_ = 0;
  std::uint64_t paused_at_ = 0;
  std::map<NodeId, std::uint64_t> answered_at_;  ///< A new voter counts as if it had answered.
  std::map<NodeId, std::uint64_t> heard_from_;   ///< Answered in truth.
  bool gave_away_ = false;                       ///< Or tried to, since there is little room.
  std::uint64_t handing_over_since_ = 0;         ///< When it began to, to whom it does now.
  std::map<NodeId, Fed> fed_;
  std::uint64_t inputs_ = 0;                         ///< All so far: the order of events here.
  std::uint64_t ticked_at_ = 0;                      ///< After which of them time was told last.
  std::map<std::uint64_t, std::uint64_t> rounds_;    ///< Read rounds sent, and after which input.
  std::map<NodeId, std::uint64_t> confirmed_;        ///< The newest round that each answered.
  std::map<raft::Ticket, std::uint64_t> own_reads_;  ///< After which input they came.
  std::map<std::pair<NodeId, std::uint64_t>, std::uint64_t> asked_reads_;  ///< (node, number)
  std::deque<std::pair<std::uint64_t, LogIndex>> lasts_;  ///< (tick, last index), ascending.
  /// Of the log that ends here somebody was asked to stand, and may be at it still; none: nobody
  /// was.
  std::optional<LogIndex> wished_;
};

}  // namespace bedrock::sim
