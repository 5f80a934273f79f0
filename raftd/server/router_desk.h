#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "raftd/core/log_view.h"
#include "raftd/core/raft.h"
#include "raftd/server/outgoing_frames.h"
#include "raftd/server/proposal_ledger.h"

namespace bedrock::raft {

/// What routers ask of this node: gathers a turn's proposals and reads, hands them to the core as
/// one batch each, and remembers who waits for what.
///
/// Knows no socket, clock or file; one thread. Borrows the core and the frames. Everything it keeps
/// is bounded; what is beyond is refused with overloaded.
class RouterDesk {
 public:
  struct Limits {
    std::size_t proposals_pending_max = 1 << 16;
    std::size_t reads_pending_max = 1 << 16;
    std::size_t routers_max = 1024;
    std::uint64_t router_recent_ms = 5000;  ///< Routers heard within it are told of changes.
    /// So long proposals wait for a transfer of leadership to end, and for its winner's name.
    std::uint64_t hand_over_ms = 1000;
  };

  /// The situation that answers depend on.
  struct Situation {
    std::uint64_t now_ms = 0;  ///< Monotonic.
    std::uint64_t wall_ms = 0;
    proto::ErrorCode storage_health = proto::ErrorCode::kOk;
  };

  RouterDesk(const Limits& limits, Raft& core, OutgoingFrames& frames)
      : limits_(limits), core_(core), frames_(frames), ledger_(limits.proposals_pending_max) {}

  /// A message of this kind came from router `from` at `now_ms`.
  void OnPropose(const std::string& from, RequestId request, std::uint32_t timeout_ms,
                 const proto::Propose& propose, std::uint64_t now_ms);
  void OnReadIndexQuery(const std::string& from, RequestId request);
  /// Notes that a router is alive.
  void Heard(const std::string& from, std::uint64_t now_ms);

  /// Gives the core what has gathered.
  void HandOver(const Situation& situation);

  /// The core's answers.
  void OnReadReady(const ReadReady& ready);
  void OnReadFailed(Ticket ticket);
  /// Entries up to `last` are committed: refuses proposals that are lost by that.
  void OnCommitted(LogIndex last);
  void OnApplied(LogIndex applied) { ledger_.Applied(applied); }
  /// No proposal waits, neither to be proposed nor to be applied.
  bool idle() const { return proposals_.empty() && ledger_.size() == 0; }
  /// The newest proposal that may change what the replicas hold: a watermark takes from their
  /// history alone. Index 0: none.
  LogPosition written() const { return written_; }

  proto::ReplyTo FindReplyTo(LogIndex index, Term term) const { return ledger_.Find(index, term); }
  /// Sends `status` to every router heard of late.
  void PushStatus(const proto::RaftStatus& status, std::uint64_t now_ms);

 private:
  struct Waiting {
    std::string router;
    RequestId request;
  };
  struct Proposal {
    Waiting from;
    std::uint64_t received_ms = 0;
    std::uint32_t timeout_ms = 0;
    Bytes command;
  };

  void DropExpired(std::uint64_t now_ms);
  void ProposeAll(const Situation& situation);
  /// `commands` were proposed as `proposed` says.
  void NoteWritten(const Proposed& proposed, std::span<const Bytes> commands);
  void Refuse(const Waiting& to, proto::ErrorCode code, const std::string& detail);
  void RefuseRest(std::size_t first, Refused reason, const Situation& situation);
  std::vector<Bytes> Commands() const;
  /// Keeps the proposals that only delete, as the core may take those still.
  void RefuseWhatTakesRoom();
  /// Whether what the core refused for `reason` had better stay here: leadership is on its way, and
  /// soon it is known where to.
  bool MayWait(Refused reason, std::uint64_t now_ms);

  Limits limits_;
  Raft& core_;
  OutgoingFrames& frames_;
  ProposalLedger ledger_;
  std::vector<Proposal> proposals_;  // of this turn, and those that wait for a transfer to end
  std::optional<std::uint64_t> moving_since_ms_;
  LogPosition written_;
  std::vector<Waiting> readers_;  // of this turn
  std::map<Ticket, std::vector<Waiting>> reads_;
  std::size_t reads_pending_ = 0;  // in reads_ and readers_
  Ticket last_ticket_;
  std::unordered_map<std::string, std::uint64_t> routers_;  // when each was heard last
};

}  // namespace bedrock::raft
