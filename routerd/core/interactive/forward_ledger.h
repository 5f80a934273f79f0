#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "routerd/core/base/request_ids.h"
#include "routerd/core/base/slot_table.h"
#include "routerd/core/base/timer_wheel.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/node_table.h"

namespace bedrock::router {

/// Steps of transactions that other routers hold, passed on to them with what is left of their
/// time:
///
///   to send ──► asked ──ClientTransactionReply──► completed
///      ▲          │
///      └──────────┘ could not be sent; a commit or rollback: no answer within an attempt's time
///
/// A kExecute that was sent is never sent again: it might be done twice. A commit that was sent
/// more than once is not over with an answer that leaves its transaction open (too busy, no
/// leader): a later one of them may still commit it. Pure; one thread. Borrows `nodes`.
class ForwardLedger {
 public:
  static constexpr std::size_t kForwardsMax = 4096;
  static constexpr std::uint64_t kBytesMax = 64 * kMiB;  ///< Of their commands.

  ForwardLedger(const CoreOptions& options, NodeTable& nodes);

  void Begin(TransactionStep step, NodeId owner, std::uint64_t now_ms, Effects* effects);
  void OnReply(NodeId from, const RequestName& name, proto::ClientTransactionReply reply,
               std::uint64_t now_ms, Effects* effects);
  /// The owner's router answered with a Refusal.
  void OnRefused(const RequestName& name, const proto::Error& error, std::uint64_t now_ms,
                 Effects* effects);
  void OnUnsent(const RequestName& name, std::uint64_t now_ms);
  void Advance(std::uint64_t now_ms, Effects* effects);

  std::size_t in_flight() const { return forwards_.size(); }

 private:
  struct Forward {
    TransactionStep step;
    NodeId owner;
    std::uint64_t wake_ms = 0;
    std::uint32_t attempts = 0;
    std::uint32_t sent = 0;  // attempts that may have arrived and are not answered
  };

  void Send(SlotHandle handle, Forward* forward, std::uint64_t now_ms, Effects* effects);
  void Wake(SlotHandle handle, Forward* forward, std::uint64_t at_ms);
  void Expire(SlotHandle handle, const Forward& forward, std::uint64_t now_ms, Effects* effects);
  void Complete(const TransactionStep& step, Completion completion, std::uint64_t now_ms,
                Effects* effects) const;
  void Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms, Effects* effects);

  const CoreOptions& options_;
  NodeTable& nodes_;
  SlotTable<Forward> forwards_;
  std::uint64_t bytes_ = 0;
  TimerWheel wheel_;
};

}  // namespace bedrock::router
