#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "routerd/core/node_table.h"
#include "routerd/core/request_ids.h"
#include "routerd/core/slot_table.h"
#include "routerd/core/timer_wheel.h"
#include "routerd/core/types.h"

namespace bedrock::router {

/// Every read in flight. A linearizable read first needs a read index from some raftd (Raft thesis
/// 6.4), then any storaged's answer at that index; a stale one needs a storaged only:
///
///   linearizable ─► waiting ─► in a batch ─► asking a storaged ─► completed
///                      ▲            │             │    ▲
///                      └────────────┘             └────┘ another one, after silence or an error
///                         no answer                ▲
///   stale ─────────────────────────────────────────┘
///
/// All reads of one turn share one query; an index serves only the reads that were in the batch
/// when its query was made, so each read's index was asked for after the read began. Reads change
/// nothing: every step may be repeated elsewhere until the deadline.
///
/// Pure; one thread. Borrows `nodes`.
class ReadLedger {
 public:
  /// Queries without an answer at any time; when reached, new reads wait for one to return.
  static constexpr std::size_t kBatchesMax = 64;

  ReadLedger(const CoreOptions& options, NodeTable& nodes);

  void Begin(ReadRequest request, std::uint64_t now_ms, Effects* effects);

  void OnIndex(NodeId from, const RequestName& name, const proto::ReadIndexAnswer& answer,
               std::uint64_t now_ms, Effects* effects);
  void OnReply(NodeId from, const RequestName& name, const proto::GetReply& reply,
               std::uint64_t now_ms, Effects* effects);
  /// `daemon` of `from` could not be asked (it was not reached, or it answered with a Refusal).
  void OnFailed(NodeId from, const RequestName& name, const proto::Error& error,
                std::uint64_t now_ms, Effects* effects);

  /// Deadlines and time-outs; then one query for all reads that wait for an index.
  void Advance(std::uint64_t now_ms, Effects* effects);

  std::size_t in_flight() const { return reads_.size(); }

 private:
  struct Read {
    Ticket ticket;
    Bytes key;
    Version wanted;  // the client's min_version
    Version index;   // the read index, once known
    std::uint64_t deadline_ms = 0;
    std::uint64_t wake_ms = 0;
    std::uint32_t attempts = 0;  // at storageds
    bool indexed = false;        // asks a storaged: its index is known, or it needs none
    bool pausing = false;        // between attempts
    NodeId target;
    proto::Error failure;  // the last one
  };
  struct Batch {
    NodeId target;
    std::vector<SlotHandle> reads;
  };

  void Ask(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects);
  void AskAnother(SlotHandle handle, Read* read, proto::Error error, std::uint64_t now_ms,
                  Effects* effects);
  void Query(std::uint64_t now_ms, Effects* effects);
  void FailBatch(SlotHandle handle, const proto::Error& error, std::uint64_t now_ms);
  void OnReadTimer(SlotHandle handle, std::uint64_t now_ms, Effects* effects);
  void Wake(SlotHandle handle, Read* read, std::uint64_t at_ms);
  void Expire(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects);
  void Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms, Effects* effects);

  const CoreOptions& options_;
  NodeTable& nodes_;
  SlotTable<Read> reads_;
  SlotTable<Batch> batches_;
  std::vector<SlotHandle> waiting_;   // for an index
  std::uint32_t query_failures_ = 0;  // in a row
  std::uint64_t hold_until_ms_ = 0;   // no query before
  LeaderCache::Leader known_leader_;
  TimerWheel wheel_;
};

}  // namespace bedrock::router
