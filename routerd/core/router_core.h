#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/ids.h"
#include "proto/frame.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/link_plan.h"
#include "routerd/core/cluster/membership_ledger.h"
#include "routerd/core/cluster/node_table.h"
#include "routerd/core/gateway.h"
#include "routerd/core/history_keeper.h"
#include "routerd/core/interactive/forward_ledger.h"
#include "routerd/core/interactive/transaction_table.h"
#include "routerd/core/requests/read_ledger.h"
#include "routerd/core/requests/write_ledger.h"

namespace bedrock::router {

/// routerd without its sockets: requests and packets go in, messages and completions come out. The
/// shell calls Poll at the end of each turn, at least every kPollMs while a request is in flight
/// and every kStatusIntervalMs otherwise, and carries out what it gives.
///
/// Pure: the time comes in and never goes back. One thread.
class RouterCore {
 public:
  static constexpr std::uint64_t kPollMs = 10;
  static constexpr std::uint64_t kStatusIntervalMs = 250;  ///< Between questions to every daemon.

  explicit RouterCore(const CoreOptions& options);
  RouterCore(const RouterCore&) = delete;
  RouterCore& operator=(const RouterCore&) = delete;

  // Each request ends in exactly one completion of some later Poll.
  void Read(ReadRequest request, std::uint64_t now_ms);
  void Query(const QueryRequest& request, std::uint64_t now_ms);
  void Write(WriteRequest request, std::uint64_t now_ms);
  void Write(const ClientCommand& request, std::uint64_t now_ms);
  void Transact(TransactionStep step, std::uint64_t now_ms);
  void CompactHistory(const CompactRequest& request, std::uint64_t now_ms);
  void ChangeMembership(MembershipRequest request, std::uint64_t now_ms);

  /// A message of a node's daemon. What was never asked for is ignored.
  void OnPacket(NodeId from, Daemon daemon, proto::Packet packet, std::uint64_t now_ms);
  /// A message that an earlier Poll gave could not leave this process.
  void OnUnsent(NodeId to, Daemon daemon, RequestId request, std::uint64_t now_ms);

  /// Appends to `effects`. Nothing more comes of calling it again in the same millisecond unless
  /// something went in between.
  void Poll(std::uint64_t now_ms, Effects* effects);

  /// From here on no transaction begins, and those that are open end, but for commits under way.
  void Shutdown(std::uint64_t now_ms);

  /// Nothing is in flight and no transaction is open.
  bool idle() const {
    return reads_.in_flight() == 0 && writes_.in_flight() == 0 && forwards_.in_flight() == 0 &&
           membership_.in_flight() == 0 && transactions_.open() == 0;
  }
  std::size_t reads_in_flight() const { return reads_.in_flight(); }
  std::size_t writes_in_flight() const { return writes_.in_flight(); }
  std::uint64_t resends() const { return writes_.resends(); }
  CoreGauges Gauges(std::uint64_t now_ms) const;
  LeaderCache::Leader leader(std::uint64_t now_ms) const { return nodes_.leader(now_ms); }
  ClusterView View(std::uint64_t now_ms) const { return nodes_.View(now_ms); }
  const CoreOptions& options() const { return options_; }

 private:
  void OnRouterPacket(NodeId from, const RequestName& name, proto::Packet packet,
                      std::uint64_t now_ms);
  void OnRefusal(NodeId from, const RequestName& name, const proto::Error& error,
                 std::uint64_t now_ms);
  void FollowMembers(std::uint64_t now_ms);
  void AskForStatus();
  void ProposeHistory(std::uint64_t now_ms);
  void DropHistory(const Ticket& ticket, Version version, std::uint64_t deadline_ms,
                   std::uint64_t now_ms);
  /// Hands the core its own completions, which may make more.
  void TakeOwnCompletions(std::uint64_t now_ms);

  const CoreOptions options_;
  NodeTable nodes_;
  WriteLedger writes_;
  ReadLedger reads_;
  TransactionTable transactions_;
  ForwardLedger forwards_;
  MembershipLedger membership_;
  LinkPlan links_;
  std::uint64_t linked_generation_ = 0;  // of nodes_
  HistoryKeeper history_;
  Effects effects_;  // gathered since the last Poll
  std::uint64_t next_status_ms_ = 0;
};

}  // namespace bedrock::router
