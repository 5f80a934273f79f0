#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/ids.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/node_table.h"

namespace bedrock::router {

/// What /metrics shows of the core.
struct CoreGauges {
  std::size_t reads_in_flight = 0;
  std::size_t queries_in_flight = 0;  ///< Of the reads.
  std::size_t writes_in_flight = 0;
  std::size_t transactions_open = 0;  ///< Interactive ones that this router holds.
  std::size_t locks_waited_for = 0;
  std::uint64_t resends = 0;
  std::uint64_t indexes_leased = 0;  ///< ReadLedger counts them.
  std::uint64_t indexes_confirmed = 0;
  NodeId leader;
  // Of this node's storaged, as it said last.
  LogIndex checked;
  std::uint64_t check_passes = 0;
  LogIndex diverged_at;
};

/// The core as the fronts see it. A request ends in one Completion, which the shell hands to the
/// front of its ticket later, never during the call. Loop thread only.
class Gateway {
 public:
  virtual ~Gateway() = default;

  virtual void Read(ReadRequest request) = 0;
  virtual void Query(QueryRequest request) = 0;
  virtual void Write(WriteRequest request) = 0;
  virtual void Write(const ClientCommand& request) = 0;
  virtual void Transact(TransactionStep step) = 0;
  virtual void CompactHistory(const CompactRequest& request) = 0;
  virtual void ChangeMembership(MembershipRequest request) = 0;
  virtual ClusterView Cluster() const = 0;
  virtual CoreGauges Gauges() const = 0;
};

}  // namespace bedrock::router
