#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/raft_messages.h"
#include "raftd/core/lease.h"
#include "raftd/core/node.h"
#include "raftd/core/progress.h"
#include "raftd/core/read_index.h"

namespace bedrock::raft {

/// Whether time made a leap since the last tick: the process was paused.
using Jumped = TypedBool<struct JumpedTag>;
/// Whether the lease confirmed a read, not a round.
using Leased = TypedBool<struct LeasedTag>;

/// Leads for one term: takes proposals, replicates, commits, confirms reads. Paper 5.3 and 5.4;
/// thesis 3.10 (transfer), 4 (membership), 6.2 (check quorum) and 6.4 (reads); 10.2.1 (writes its
/// own disk in parallel).
class Leader {
 public:
  /// Appends the entry that lets this term commit (R16).
  explicit Leader(Node& node);

  Proposed Propose(Node& node, std::span<const Bytes> payloads, std::uint64_t time_ms,
                   FreesRoom frees_room);
  /// Starts what `delta` asks for; Prepare carries it through, entry by entry.
  Reconfiguring Reconfigure(Node& node, const Delta& delta);
  Transferring Transfer(Node& node, NodeId to);
  /// It leads a cluster that it left, and has handed over or could not.
  bool must_step_down() const { return must_step_down_; }
  NodeId handing_over_to() const { return hand_over_ ? hand_over_->to : NodeId(); }
  /// Whose snapshot would help this node, whose own state machine is stuck: another one's with
  /// every try to hand over. None: nobody answers.
  NodeId SnapshotSource(const Node& node) const;
  /// Heartbeats where they are due; reads that the lease confirms at this time. False: a quorum was
  /// not heard for an election timeout, or the process slept through it, and this node must step
  /// down.
  bool Tick(Node& node, Jumped jumped);

  void OnAppendReply(Node& node, NodeId from, const AppendReply& reply);
  void OnHeartbeatReply(Node& node, NodeId from, const HeartbeatReply& reply);
  void OnSnapshotOfferReply(const Node& node, NodeId from, const SnapshotOfferReply& reply);
  void OnReadIndexRequest(Node& node, NodeId from, const ReadIndexRequest& request);
  void OnFetched(Node& node, NodeId follower, std::vector<Entry> entries);
  void OnLinkReset(NodeId member);
  void OnDurable(Node& node) { AdvanceCommit(node); }
  void OnCompacted(const Node& node);

  void Read(Node& node, Ticket ticket);
  /// Sends what is due: read rounds, entries, the commit index.
  void Prepare(Node& node);
  /// Fails the readers that wait.
  void FailReads(Node& node);

  std::vector<MemberProgress> Members(const Node& node) const;
  /// The tick before which nobody else leads; 0: no lease. See View.
  std::uint64_t LeaseUntil(const Node& node) const;

 private:
  /// A learner catches up in rounds: each ends when it holds what the leader had when it began. One
  /// that ends within an election timeout shows that the learner would not keep commits waiting
  /// (R47).
  struct CatchUp {
    LogIndex target;
    std::uint64_t started = 0;  ///< In ticks.
    bool fast = false;          ///< The last round that ended was.
  };
  struct Peer {
    NodeId id;
    Progress progress;
    CatchUp catch_up;
    bool voter = false;
  };

  /// Leadership on its way to a voter: first it is brought up to the last entry, then told to
  /// stand.
  struct HandingOver {
    NodeId to;
    std::uint64_t deadline = 0;  ///< In ticks.
    bool told = false;
  };

  /// Attempts to be rid of leadership while there is no room here.
  struct GivingAway {
    NodeId last;                   ///< Who was asked last.
    std::uint32_t attempts = 0;    ///< Since room ran out.
    std::uint64_t not_before = 0;  ///< In ticks.
  };

  Peer* FindPeer(NodeId member);
  const Peer* FindPeer(NodeId member) const;
  Progress* Find(NodeId member);
  NodeId FurthestVoter(const Node& node) const;
  /// A leader whose state machine is stuck can serve nothing.
  void LeaveIfStuck(Node& node);
  NodeId NextLiveVoter(const Node& node, NodeId after) const;
  void GiveAway(Node& node);
  /// Tells the target to stand where it has come far enough.
  void MoveOn(Node& node);
  void SendTimeoutNow(Node& node) const;
  void GiveUpHandingOver(Node& node);
  void AppendNoop(Node& node);
  /// What is in common of every answer of this term; null where the sender is no member or tells of
  /// rounds that never were.
  Peer* Heard(const Node& node, NodeId from, std::uint64_t read_round, std::uint32_t promise_ms);
  bool QuorumActive(const Node& node) const;

  void AdvanceCommit(Node& node);
  bool TermCommitted(const Node& node) const { return node.commit >= noop_; }

  /// The configuration in effect is committed, and so is an entry of this term: it may be followed
  /// by another (R38).
  bool MembershipIsCommitted(const Node& node) const;
  bool IsLive(const Node& node, NodeId member) const;
  void AppendMembership(Node& node, const Membership& membership);
  /// Peers are all members but this one.
  void TakeMembers(Node& node);
  /// Takes the next step of a change that is under way, where that may be.
  void StepMembership(Node& node);
  bool RetiredKnow(const Node& node) const;
  void PromoteLearners(Node& node);
  void EndRound(const Node& node, Peer& peer);
  bool CaughtUp(const Node& node, const Peer& peer) const;
  void Retire(Node& node);

  void AddRead(Node& node, Reader reader);
  void Answer(Node& node, const Reader& reader, std::optional<LogIndex> index,
              Leased leased = Leased::kNo) const;
  void ConfirmReads(Node& node);
  void StartRound(Node& node);
  void DropLease();
  bool LeaseHolds(const Node& node) const { return node.now < LeaseUntil(node); }

  void SendHeartbeats(Node& node);
  void SendAppends(Node& node, Peer& peer);
  /// False where the next entries have to be fetched first.
  bool SendNext(Node& node, Peer& peer);
  void SendAppend(Node& node, Peer& peer, std::vector<Entry> entries);
  void AdvanceTrim(Node& node) const;
  LogIndex KeptBehind(const Node& node, const Peer& peer) const;

  std::vector<Peer> peers_;  ///< All members but this one, ascending.
  LeaderReads reads_;
  RoundTimes rounds_;    ///< With lease_reads.
  LogIndex lease_from_;  ///< No lease before this is committed: a wish to stand may be under way.
  LogIndex noop_;
  std::uint64_t heartbeat_at_;
  std::uint64_t quorum_check_at_;
  bool check_postponed_ = false;
  std::optional<HandingOver> hand_over_;
  std::uint64_t hand_overs_ = 0;  ///< Begun.
  std::uint64_t since_;           ///< When it began to lead, in ticks.
  GivingAway giving_away_;
  bool must_step_down_ = false;
};

}  // namespace bedrock::raft
