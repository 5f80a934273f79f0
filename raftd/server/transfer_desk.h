#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "raftd/core/raft.h"
#include "raftd/server/outgoing_frames.h"

namespace bedrock::raft {

/// Transfers of leadership that routers asked for: starts them, and answers when it is known who
/// leads. Knows no socket or clock; one thread. Borrows the core and the frames.
class TransferDesk {
 public:
  static constexpr std::size_t kWaitingMax = 64;
  /// Where nobody leads by then, the asker is told so.
  static constexpr std::uint64_t kPatienceMs = 5000;

  TransferDesk(Raft& core, OutgoingFrames& frames) : core_(core), frames_(frames) {}

  void OnTransfer(const std::string& from, RequestId request,
                  const proto::TransferLeadership& transfer, std::uint64_t now_ms);
  /// Answers what is decided. Once a turn.
  void Settle(std::uint64_t now_ms);

 private:
  struct Waiting {
    std::string router;
    RequestId request;
    NodeId to;
    Term term;  ///< The one that ends.
    std::uint64_t deadline_ms = 0;
  };

  void Answer(const std::string& router, RequestId request, proto::Error error);
  /// What became of it; none while it is open.
  std::optional<proto::Error> Outcome(const Waiting& waiting, std::uint64_t now_ms) const;

  Raft& core_;
  OutgoingFrames& frames_;
  std::vector<Waiting> waiting_;
};

}  // namespace bedrock::raft
