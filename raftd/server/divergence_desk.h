#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "common/logging/log.h"
#include "proto/errors.h"
#include "proto/raft_messages.h"
#include "proto/storage_messages.h"
#include "raftd/core/log_view.h"
#include "raftd/core/raft.h"
#include "raftd/server/check_ledger.h"
#include "raftd/server/outgoing_frames.h"
#include "raftd/server/peers.h"

namespace bedrock::raft {

/// Has the replicas' states compared, and sees to it that one which differs is quarantined:
///
///   leader    proposes a check of the next slice of the state (proto::CheckState) each check_ms,
///             while the pass goes on; and begins another pass where something was written since
///             that one began, where it did not begin that one, where that one ended with nothing
///             to compare, or while replicas differ: passes are what tells that they no longer do
///   each      storaged applies it and tells what it found (StateReport); a follower passes that on
///             to the leader (StateChecks), again and again until it has a verdict
///   leader    compares (check_ledger.h) and answers (StateVerdict), itself, too
///   who is    tells its storaged (Quarantine) until that says kDiverged; from then on the node
///   wrong     does not lead, which is up to whoever watches storaged's health
///
/// A verdict counts only from the leader of the term, and only where the own storaged still says
/// that it found just this: one that came late must not hurt a node that was rebuilt meanwhile.
///
/// Where replicas differ and no majority says who is right, that is logged once and told
/// (differing()) until the ledger knows it to be over. A split is told at once, since nothing that
/// is under way will decide it; any other difference after kDifferMs. What a leader knows of it
/// ends with its term. The next one learns it from the newest checks that each remembers, or from
/// the next pass.
///
/// Knows no socket or clock; one thread. Borrows core, peers and frames.
class DivergenceDesk {
 public:
  struct Pace {
    std::uint64_t check_ms = 0;  ///< 0: it proposes no checks, but compares those of others.
    /// Of keys and values, what one check looks at: some milliseconds.
    std::uint32_t slice_bytes = 512 * 1024;
  };
  /// From one attempt to be heard to the next.
  static constexpr std::uint64_t kRepeatMs = 1000;
  /// How often it is looked at what the core has come to, where nothing else happens.
  static constexpr std::uint64_t kLookMs = 50;
  /// Replicas that differ with no majority for either (yet) are spoken of after so long: until then
  /// the others may not have said what they found.
  static constexpr std::uint64_t kDifferMs = 2000;

  struct Situation {
    std::uint64_t now_ms = 0;  ///< Monotonic.
    std::uint64_t wall_ms = 0;
    proto::ErrorCode storage_health = proto::ErrorCode::kOk;
    LogPosition written;  ///< The newest proposal that may change the state; index 0: none.
  };

  DivergenceDesk(const Pace& pace, Raft& core, Peers& peers, OutgoingFrames& frames)
      : pace_(pace), core_(core), peers_(peers), frames_(frames) {}

  /// The own storaged's, of whatever life.
  void OnProgress(const proto::ApplyProgress& progress);
  /// `from` was heard (Peers::Hear).
  void OnChecks(NodeId from, const StateChecks& told);
  void OnVerdict(NodeId from, const StateVerdict& verdict);
  /// Does what is due. Once a turn; costs next to nothing where nothing is.
  void Step(const Situation& situation);

  /// The newest own check of which the leader of this term has said what it thinks; 0: of none, or
  /// this node leads.
  LogIndex settled() const { return settled_; }
  /// What the own storaged said last.
  const proto::StateReport& state() const { return state_; }
  /// While this node leads: see CheckLedger.
  LogIndex agreed() const { return ledger_.agreed(); }
  /// The same, from when it is spoken of until it is over.
  LogIndex differing() const { return differing_; }

 private:
  bool Gave(const StateCheck& check) const;
  void Follow(const View& view, const Situation& situation);
  void Compare(const View& view, std::uint64_t now_ms);
  void TellLedgerOfOwn(const View& view);
  void Judge(const View& view, const CheckLedger::Finding& finding, std::uint64_t now_ms);
  void WatchDiffering(std::uint64_t now_ms);
  void Propose(const View& view, const Situation& situation);
  void Tell(const View& view, std::uint64_t now_ms);
  void Quarantine(std::uint64_t now_ms);

  const Pace pace_;
  Raft& core_;
  Peers& peers_;
  OutgoingFrames& frames_;

  std::optional<std::uint64_t> look_at_ms_;  // none: at once
  proto::StateReport state_;
  bool told_state_ = false;  // storaged has said it in this life of raftd
  LogIndex applied_;         // what state_ is as of
  Term term_;
  NodeId leader_;

  // While this node leads.
  CheckLedger ledger_;
  bool compare_ = false;  // there is something new in the ledger, or the own state's is not in it
  LogIndex differing_;
  std::optional<std::uint64_t> differing_since_ms_;
  std::uint64_t proposed_at_ms_ = 0;
  LogIndex proposed_;    // the last check that was proposed; 0: none
  LogIndex pass_since_;  // from here on to it they are of one pass
  LogIndex pass_first_;  // the first check of the newest pass; 0: others began it
  LogIndex begin_;       // the end of this log when it began to lead

  // While it doesn't.
  LogIndex settled_;  // the newest own check with a verdict of this leader
  std::optional<std::uint64_t> said_at_ms_;

  std::optional<StateCheck> wrong_;  // by this the own replica is to be quarantined
  std::optional<std::uint64_t> ordered_at_ms_;
  RequestId last_request_;

  log::RateLimit wrong_limit_{5000};
};

}  // namespace bedrock::raft
