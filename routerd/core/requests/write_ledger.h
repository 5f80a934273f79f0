#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "routerd/core/base/request_ids.h"
#include "routerd/core/base/slot_table.h"
#include "routerd/core/base/timer_wheel.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/node_table.h"
#include "routerd/core/requests/sequence_window.h"

namespace bedrock::router {

/// Every write in flight, from the request to its one completion:
///
///            leader known: Dispatch                    CommandReply of any attempt
///   waiting ───────────────────────► sent to a leader ─────────────────────────────► completed
///      ▲                                   │
///      └───────────────────────────────────┘ refused, could not be sent; a new leader or an
///                                            attempt's time-out sends again at once
///   and from either, at the deadline: 503 no_leader or 504 deadline_exceeded.
///
/// What is sent again is the same command under the same session and sequence number, so that the
/// state machine executes it once however many attempts commit. An attempt is *open* from when it
/// is sent until its leader refuses it: while one is open the outcome of a failure is unknown, else
/// it is none.
///
/// Pure; one thread. Borrows `nodes`.
class WriteLedger {
 public:
  WriteLedger(const CoreOptions& options, NodeTable& nodes);

  /// A command of the router's own: gets its session and a sequence number here, and the
  /// fingerprint of its idempotency key. The views are read during the call only.
  /// The handle is for Withdraw.
  SlotHandle Begin(const Ticket& ticket, proto::Command command, std::uint64_t deadline_ms,
                   std::uint64_t now_ms, Effects* effects);
  void Begin(const ClientCommand& request, std::uint64_t now_ms, Effects* effects);

  void OnReply(NodeId from, const RequestName& name, proto::CommandReply reply,
               std::uint64_t now_ms, Effects* effects);
  void OnRefused(NodeId from, const RequestName& name, const proto::Error& error,
                 std::uint64_t now_ms, Effects* effects);
  /// The attempt never left this process.
  void OnUnsent(const RequestName& name, std::uint64_t now_ms);

  /// Ends a write without a completion where nothing of it can commit any more, and says why it got
  /// nowhere. nullopt: it may commit, or it has its completion.
  std::optional<proto::Error> Withdraw(SlotHandle handle, std::uint64_t now_ms);

  /// Deadlines, attempts' time-outs, and whether another leader is known than before.
  void Advance(std::uint64_t now_ms, Effects* effects);

  std::size_t in_flight() const { return writes_.size(); }
  std::uint64_t bytes_in_flight() const { return bytes_; }
  /// Attempts after the first, ever.
  std::uint64_t resends() const { return resends_; }

 private:
  struct Write {
    Ticket ticket;
    Bytes command;
    std::uint64_t sequence = 0;  // in this router's session; 0: the client's own command
    std::uint64_t deadline_ms = 0;
    std::uint64_t wake_ms = 0;
    std::uint32_t attempts = 0;
    bool sent = false;  // the newest attempt waits for its answer
    LeaderCache::Leader target;
    std::uint64_t open = 0;    // attempts 1 to 64 that may yet commit, a bit each
    bool open_beyond = false;  // one of the later attempts was sent: not tracked singly
    proto::Error refusal;      // the last one
    bool Open() const { return open != 0 || open_beyond; }
  };

  /// kOk, or why one more command of `bytes` can't be taken.
  proto::Error Admit(std::uint64_t bytes) const;
  SlotHandle Start(Write write, std::uint64_t now_ms, Effects* effects);
  void Refuse(const Ticket& ticket, proto::Error error, std::uint64_t now_ms, Effects* effects);
  void Dispatch(SlotHandle handle, Write* write, std::uint64_t now_ms, Effects* effects);
  void Wake(SlotHandle handle, Write* write, std::uint64_t at_ms);
  void Retry(SlotHandle handle, Write* write, std::uint64_t now_ms);
  void Close(Write* write, std::uint32_t attempt);
  void FollowLeader(std::uint64_t now_ms, Effects* effects);
  /// What a write that ran out of time is told.
  proto::Error WhyExpired(const Write& write, std::uint64_t now_ms) const;
  void Erase(SlotHandle handle, const Write& write);
  void Expire(SlotHandle handle, const Write& write, std::uint64_t now_ms, Effects* effects);
  void Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms, Effects* effects);

  const CoreOptions& options_;
  NodeTable& nodes_;
  SequenceWindow window_;
  SlotTable<Write> writes_;
  TimerWheel wheel_;
  LeaderCache::Leader followed_;  // the leader that everything was last sent to
  std::uint64_t bytes_ = 0;
  std::uint64_t resends_ = 0;
};

}  // namespace bedrock::router
