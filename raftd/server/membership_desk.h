#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "raftd/core/membership.h"
#include "raftd/core/raft.h"
#include "raftd/server/outgoing_frames.h"

namespace bedrock::raft {

/// Changes of the membership that routers asked for: starts them, one after the other, and answers
/// when the first step of a change is committed or is known to be lost. Whoever leads carries it on
/// from there by itself.
///
/// Knows no socket or clock; one thread. Borrows the core and the frames.
class MembershipDesk {
 public:
  static constexpr std::size_t kWaitingMax = 64;
  /// So long a change waits for the one before to be over.
  static constexpr std::uint64_t kTurnMs = 1000;
  /// What is not decided by then may yet happen; the asker is told that.
  static constexpr std::uint64_t kPatienceMs = 5000;

  MembershipDesk(Raft& core, OutgoingFrames& frames) : core_(core), frames_(frames) {}

  void OnChange(const std::string& from, RequestId request, const proto::ChangeMembers& change,
                std::uint64_t now_ms);
  /// Answers what is decided. Once a turn.
  void Settle(std::uint64_t now_ms);

 private:
  struct Started {
    LogIndex index;
    Term term;
  };
  struct Waiting {
    std::string router;
    RequestId request;
    NodeId node;
    Delta delta;
    std::optional<Started> started;  // none: its turn has not come
    std::uint64_t deadline_ms = 0;
  };

  /// What became of it; none while it is open.
  std::optional<proto::Error> Step(Waiting& waiting, std::uint64_t now_ms);
  std::optional<proto::Error> Outcome(const Started& started, bool late) const;
  void Answer(const std::string& router, RequestId request, LogIndex index, proto::Error error);

  Raft& core_;
  OutgoingFrames& frames_;
  std::vector<Waiting> waiting_;
};

}  // namespace bedrock::raft
