#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "routerd/core/base/request_ids.h"
#include "routerd/core/base/slot_table.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/node_table.h"

namespace bedrock::router {

/// Changes of the membership and transfers of leadership in flight, each from the request to its
/// one completion:
///
///            leader known           kOk                     the leader shows it done
///   waiting ──────────────► asked ───────────► under way ──────────────────────────► completed
///      ▲                      │                 (an add and a transfer are done at once)
///      └──────────────────────┘ no leader, busy, unsent; no answer within an attempt's time, or a
///                               new leader: asked again
///
/// Asking again is safe: who is already what is asked for stays it. Only an add could meet itself:
/// where an attempt may have arrived before, a member with the very endpoints asked for is success.
/// A change that was answered kOk is carried through by whoever leads; it is completed when it is
/// over, so that a removed node may be stopped and a demoted one is not counted on any more.
///
/// Pure; one thread. Borrows `nodes`.
class MembershipLedger {
 public:
  static constexpr std::size_t kChangesMax = 64;

  MembershipLedger(const CoreOptions& options, NodeTable& nodes)
      : options_(options), nodes_(nodes) {}

  void Begin(MembershipRequest request, std::uint64_t now_ms, Effects* effects);
  void OnReply(NodeId from, const RequestName& name, const proto::ChangeMembersReply& reply,
               std::uint64_t now_ms, Effects* effects);
  void OnReply(NodeId from, const RequestName& name, const proto::TransferLeadershipReply& reply,
               std::uint64_t now_ms, Effects* effects);
  /// The raftd answered with a Refusal.
  void OnRefused(NodeId from, const RequestName& name, const proto::Error& error,
                 std::uint64_t now_ms, Effects* effects);
  void OnUnsent(const RequestName& name, std::uint64_t now_ms);

  /// Deadlines, attempts' time-outs, new leaders, and what is over.
  void Advance(std::uint64_t now_ms, Effects* effects);

  std::size_t in_flight() const { return changes_.size(); }

 private:
  struct Change {
    MembershipRequest request;
    std::uint64_t wake_ms = 0;
    std::uint32_t attempts = 0;
    bool sent = false;      // the newest attempt waits for its answer
    bool in_doubt = false;  // an earlier one may have been taken
    bool decided = false;   // its first step is committed
    LeaderCache::Leader target;
    NodeId answered_by;
    LogIndex index;
    proto::Error refusal;  // the last one

    /// Null for a transfer.
    const proto::ChangeMembers* wish() const {
      return std::get_if<proto::ChangeMembers>(&request.wish);
    }
  };

  void Step(SlotHandle handle, Change* change, std::uint64_t now_ms, Effects* effects);
  void Send(SlotHandle handle, Change* change, const LeaderCache::Leader& leader,
            std::uint64_t now_ms, Effects* effects);
  void Retry(Change* change, const proto::Error& error, std::uint64_t now_ms) const;
  /// The record that a refusal of the newest attempt is about; null where it is about another.
  Change* Answered(NodeId from, const RequestName& name);
  void OnError(SlotHandle handle, Change* change, const proto::Error& error, std::uint64_t now_ms,
               Effects* effects);
  /// Whether the leader shows what was wished for.
  bool IsOver(const proto::ChangeMembers& wish, std::uint64_t now_ms) const;
  /// Whether the leader shows the new node as it was described; none: it can't be asked now.
  std::optional<bool> IsThere(const proto::ChangeMembers& wish, std::uint64_t now_ms) const;
  proto::Error WhyExpired(const Change& change, std::uint64_t now_ms) const;
  void Fail(SlotHandle handle, proto::Error error, std::uint64_t now_ms, Effects* effects);
  void Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms, Effects* effects);

  const CoreOptions& options_;
  NodeTable& nodes_;
  SlotTable<Change> changes_;
};

}  // namespace bedrock::router
