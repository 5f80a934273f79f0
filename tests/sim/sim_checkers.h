#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "raftd/core/log_view.h"
#include "raftd/core/raft.h"
#include "raftd/core/types.h"
#include "tests/sim/log_model.h"
#include "tests/sim/sim_options.h"

namespace bedrock::sim {

/// What a state machine is: the hash of all that it has applied, and what a snapshot of it says.
struct MachineState {
  LogIndex applied;
  Term term;  ///< Of the entry `applied`.
  std::uint64_t chain = 0;
  raft::MembershipChange membership;  ///< The newest one it has applied; index 0: none.
};

// Who takes part, counted anew here, simply: what is checked must not check itself.

/// A voter of either set.
bool IsVoterOf(const raft::Membership& members, NodeId node);

/// Whether those for whom `has(NodeId)` is true are more than half of the voters, and while the
/// configuration is joint of those before, too.
template <typename Has>
bool IsQuorumOf(const raft::Membership& members, const Has& has) {
  const auto most = [&has](const std::vector<NodeId>& set) {
    const auto count = std::count_if(set.begin(), set.end(), has);
    return 2 * static_cast<std::size_t>(count) > set.size();
  };
  return most(members.voters) && (members.outgoing.empty() || most(members.outgoing));
}

/// What a node's log begins with.
raft::Membership InitialMembership(const SimOptions& options, NodeId node);

/// Watches everything that nodes say and do and holds it against what Raft promises (the
/// list is in README.md). Everything is incremental: an event costs what it changed.
///
/// The first broken invariant is kept and nothing more is checked after it. One thread.
class SimCheckers {
 public:
  explicit SimCheckers(const SimOptions& options);

  bool failed() const { return !failure_.empty(); }
  /// "invariant: what was seen".
  const std::string& failure() const { return failure_; }
  void Fail(std::string_view invariant, const std::string& seen);

  /// A core gave this, nothing of it is carried out yet, and the core stands at `view` now.
  void OnOutput(const raft::View& view, const raft::Membership& members,
                const raft::Output& output);
  /// The log says that writes up to `seq` are on the disk.
  void OnSynced(NodeId node, raft::WriteSeq seq);
  /// The core is about to hear it.
  void OnReported(NodeId node, raft::WriteSeq seq);
  /// A message that was held leaves.
  void OnReleased(NodeId node, const raft::HeldMessage& held);
  /// A log was opened: it must be what some prefix of the writes made, no shorter than what was
  /// synced. `entries` are all that the log holds, read back.
  void OnOpened(NodeId node, const raft::Recovered& recovered,
                const std::vector<raft::Entry>& entries);
  void OnStopped(NodeId node);

  /// Bytes of its log have rotted, or the end of its log is gone: from the next time that it is
  /// opened its Health may tell of that. What it tells must be true, and stays so until the log
  /// holds again what it held.
  void OnDiskHurt(NodeId node);
  /// Its log lacks what it once held, or may.
  bool IsHurt(NodeId node) const { return nodes_.at(node.value() - 1).hurt.has_value(); }
  /// Every configuration that anybody may go by has a majority without it, even if it never votes
  /// again; and nobody is hurt already.
  bool CanSpare(NodeId node) const;
  /// All others that vote hold durably all that it ever acknowledged. The end of a log that is gone
  /// takes with it how much that was: nothing may depend on it then.
  bool IsHeldByOthers(NodeId node) const;

  /// The state machine takes this entry as the next one. `chain` is the hash of all it has taken.
  void OnApplied(NodeId node, const raft::Entry& entry, std::uint64_t chain);
  /// The state machine becomes a copy of another's.
  void OnInstalled(NodeId node, const MachineState& state);
  /// The state machine goes back to what it had made durable.
  void OnStateMachineLost(NodeId node, LogIndex applied);

  /// A node is asked to stand by mistake.
  void OnStrayWish(NodeId node, Term term) { wished_.insert({node, term}); }
  void OnRefused(std::uint64_t proposal) { refused_.insert(proposal); }
  void OnRead(NodeId node, raft::Ticket ticket);
  /// True: it was stale, but by a lease that clocks have made void.
  bool OnReadReady(const raft::ReadReady& ready);
  /// A core stands at `view`, and at `now` its lease, if any, lasts until `until_us` on its clock:
  /// until then nobody is elected to a later term (R55-R58).
  void OnLease(const raft::View& view, TimeUs until_us, TimeUs now);
  void OnReadFailed(raft::Ticket ticket);

  LogIndex committed() const { return LogIndex(committed_.size()); }
  /// What a node's disk surely holds, and the term that it is in.
  std::pair<LogIndex, Term> DurableLog(NodeId node) const;
  /// How many terms its log has entries of.
  std::size_t TermsOf(NodeId node) const;
  std::uint64_t leaders() const { return leaders_.size(); }
  bool IsLeaderOf(Term term, NodeId node) const {
    const auto leader = leaders_.find(term);
    return leader != leaders_.end() && leader->second == node;
  }
  /// Leaders who stood at the wish of the one before.
  std::uint64_t hand_overs() const { return hand_overs_; }
  /// Leaders elected while another one's lease lasted, where clocks ran too far apart.
  std::uint64_t void_leases() const { return void_leases_; }
  std::uint64_t joints() const { return joints_.size(); }
  /// A read that this node was asked for is not answered.
  bool WaitsForRead(NodeId node) const;

 private:
  /// Something of a log was damaged.
  struct Hurt {
    bool found = false;      ///< The log was opened since, and told of it.
    raft::LogPosition last;  ///< Of the log, when it was whole or later.
    /// What it held when damage was found. It votes for nobody who holds less, so its word still
    /// counts. Empty: the end was lost, and with it what that was.
    std::vector<EntryMark> vouched;
  };

  struct NodeState {
    LogModel memory;                  ///< As submitted.
    LogModel disk;                    ///< As synced.
    std::deque<raft::Write> pending;  ///< Between the two, in order.
    raft::WriteSeq submitted;
    raft::WriteSeq reported;
    Term term;
    LogIndex commit;
    LogIndex applied;
    LogIndex dropped;  ///< The entry before the first one, after the last output.
    raft::Role role = raft::Role::kFollower;
    Term match_term;
    std::map<NodeId, LogIndex> match;
    Term lease_term;
    TimeUs lease_until = 0;
    std::optional<Hurt> hurt;
  };

  struct Committed {
    Term term;
    std::uint64_t hash = 0;
    std::uint64_t chain = 0;
    Term by;  ///< The term whose leader committed it first; never decreases along the log.
  };

  struct PendingRead {
    NodeId node;
    LogIndex index_min;
  };

  /// What is the same wherever an entry of this index and term stands.
  struct Identity {
    std::uint64_t hash = 0;
    Term prev_term;
  };

  void CheckLeases(NodeId leader, Term term);
  void CheckHealth(NodeId node, const LogModel& model, const raft::Recovered& recovered);
  void TakeBack(NodeId node, LogModel& model, const raft::Recovered& recovered,
                const std::vector<raft::Entry>& entries);
  void CheckEntriesRead(NodeId node, const LogModel& model, const raft::Recovered& recovered,
                        const std::vector<raft::Entry>& entries);
  /// A log was opened, and `model` is what it should hold, were it whole.
  void TakeOpened(NodeState& state, LogModel model, const raft::Recovered& recovered);
  void HealIfWhole(NodeState& state);
  static std::span<const raft::MembershipChange> MembersKnownTo(const NodeState& state);

  NodeState& at(NodeId node) { return nodes_.at(node.value() - 1); }

  void OnView(const raft::View& view, const raft::Membership* members_before);
  void OnWrite(const raft::View& view, const raft::Write& write);
  void CheckMemberships(const raft::View& view, const raft::Write& write);
  void CheckMayStand(NodeId node);
  void CheckPreElected(NodeId node, Term term);
  void CheckEntries(NodeId node, const raft::Write& write);
  void CheckMessage(const raft::View& view, const raft::Outgoing& outgoing, raft::WriteSeq durable);
  void CheckAppend(NodeId node, const raft::AppendRequest& append);
  void CheckAccepted(NodeId node, NodeId leader, const raft::AppendReply& reply,
                     raft::WriteSeq durable);
  static std::optional<raft::Vote> VoteOnceDurable(const NodeState& state, raft::WriteSeq durable);
  bool WasDurable(const NodeState& state, LogIndex index, raft::WriteSeq durable) const;
  void CheckTimeoutNow(NodeId node, NodeId to, const raft::TimeoutNow& wish);
  void CheckTrim(const raft::View& view, LogIndex trim);
  void CheckReset(NodeId node, const raft::LogReset& reset);
  void CheckCut(NodeId node, LogIndex cut);
  void OnLeaves(NodeId node, const raft::Outgoing& outgoing);
  void CheckVoteGiven(NodeId node, Term term, NodeId candidate, raft::WriteSeq durable);
  void OnLeader(NodeId node, Term term);
  using Led = TypedBool<struct LedTag>;
  /// `members_before`: in effect when it was decided; null: those now. `led`: it leads, or did when
  /// it was looked at last.
  void OnCommit(const raft::View& view, LogIndex old_commit, const raft::Membership* members_before,
                Led led);
  void CheckMatches(const raft::View& view);

  const bool numbered_proposals_;
  std::vector<NodeState> nodes_;
  std::string failure_;
  bool beyond_drift_;
  std::uint64_t void_leases_ = 0;
  TimeUs now_ = 0;

  std::map<Term, NodeId> leaders_;                        // over all history
  std::map<std::pair<NodeId, Term>, NodeId> votes_;       // given: the promise has left the node
  std::set<std::tuple<NodeId, NodeId, Term>> pre_votes_;  // (voter, candidate, term) granted
  std::map<std::pair<Term, LogIndex>, Term> appended_;    // (term of the leader, last index) sent
  std::set<std::pair<NodeId, Term>> wished_;              // (asked to stand, by the leader of)
  std::set<std::pair<NodeId, Term>> stood_;               // at that wish, in this term
  std::uint64_t hand_overs_ = 0;
  std::set<LogIndex> joints_;                            // committed
  std::unordered_map<std::uint64_t, Identity> entries_;  // by hash of (term, index)
  std::vector<Committed> committed_;
  std::vector<EntryMark> committed_marks_;                     // the same entries
  std::vector<raft::MembershipChange> committed_memberships_;  // ascending
  const bool capped_;                                          // logs are trimmed by size, too
  std::set<std::uint64_t> committed_proposals_;
  std::set<std::uint64_t> refused_;
  std::map<raft::Ticket, PendingRead> reads_;
};

}  // namespace bedrock::sim
