#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "routerd/core/base/request_ids.h"
#include "routerd/core/base/slot_table.h"
#include "routerd/core/base/timer_wheel.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/node_table.h"
#include "routerd/core/requests/freshness.h"

namespace bedrock::router {

/// Whether a query is a WriteRequest's that writes nothing: its completion is that of a write.
using AnswersWrite = TypedBool<struct AnswersWriteTag>;

/// Every read in flight: gets of one key, and queries. A linearizable one first needs a read index
/// from some raftd (Raft thesis 6.4), then any storaged's answer at that index; a stale one, or one
/// at a version, needs a storaged only:
///
///   linearizable ─► waiting ─► in a batch ─► asking a storaged ─► completed
///                      ▲            │             │    ▲
///                      └────────────┘             └────┘ another one, after silence or an error
///                         no answer                ▲
///   stale, at a version ───────────────────────────┘
///
/// All reads of one turn share one query; an index serves only the reads that were in the batch
/// when its query was made, so each read's index was asked for after the read began. Reads change
/// nothing: every step may be repeated elsewhere until the deadline.
///
/// A stale read with a bound on its staleness goes at once where this node was in step within the
/// bound before the read came, at the index that this is known of: it sees every write that was
/// acknowledged earlier than the bound before it came, however long it then takes. While such reads
/// come, an index is asked for every kKeepFreshMs, so that a node that hears the leader is known to
/// be in step about as recently. Where that does not do (the first such read, or a tighter bound)
/// the read gets one try as a linearizable one, for kFreshenMs at most; and none where an index was
/// asked for in vain just now: it ends as kTooStale rather than wait for a leader.
///
/// The replies that queries may bring are bounded in bytes: a query whose reply might not fit waits
/// in line until others have theirs.
///
/// Pure; one thread. Borrows `nodes`.
class ReadLedger {
 public:
  /// Queries for an index without an answer at any time; when reached, new reads wait for one to
  /// return.
  static constexpr std::size_t kBatchesMax = 64;
  /// Of the replies that may come, as far as the queries bound them.
  static constexpr std::uint64_t kReplyBytesInFlightMax = 256 * kMiB;
  static constexpr std::uint64_t kFreshenMs = 1000;
  static constexpr std::uint64_t kKeepFreshMs = 250;
  /// So long after a read with a bound this node is kept known to be in step.
  static constexpr std::uint64_t kBoundedRecentMs = 30'000;

  ReadLedger(const CoreOptions& options, NodeTable& nodes);

  void Begin(ReadRequest request, std::uint64_t now_ms, Effects* effects);
  void Begin(const QueryRequest& request, AnswersWrite answers_write, std::uint64_t now_ms,
             Effects* effects);
  /// Completes with a read index as read_version, and asks no storaged.
  void BeginIndex(const Ticket& ticket, std::uint64_t deadline_ms, std::uint64_t now_ms,
                  Effects* effects);

  void OnIndex(NodeId from, const RequestName& name, const proto::ReadIndexAnswer& answer,
               std::uint64_t now_ms, Effects* effects);
  void OnReply(NodeId from, const RequestName& name, proto::GetReply reply, std::uint64_t now_ms,
               Effects* effects);
  void OnReply(NodeId from, const RequestName& name, proto::QueryReply reply, std::uint64_t now_ms,
               Effects* effects);
  /// `daemon` of `from` could not be asked (it was not reached, or it answered with a Refusal).
  void OnFailed(NodeId from, const RequestName& name, const proto::Error& error,
                std::uint64_t now_ms, Effects* effects);
  void OnStorageStatus(NodeId node, const proto::StorageStatus& status);

  /// Deadlines and time-outs; then one query for all reads that wait for an index.
  void Advance(std::uint64_t now_ms, Effects* effects);

  std::size_t in_flight() const { return reads_.size(); }
  std::size_t queries_in_flight() const { return queries_; }
  /// Answers with an index, each for all reads of a turn: those that a leader's lease confirmed,
  /// and those that took a round of messages.
  std::uint64_t indexes_leased() const { return indexes_leased_; }
  std::uint64_t indexes_confirmed() const { return indexes_confirmed_; }

 private:
  enum class What : std::uint8_t { kGet, kQuery, kIndex };
  struct Read {
    Ticket ticket;
    What what = What::kGet;
    bool answers_write = false;
    Bytes asked;     // a key or an encoded query
    Version wanted;  // the client's min_version
    Version index;   // the read index, once known
    Version at;
    bool bounded = false;  // its one try to keep a bound on its staleness
    std::uint64_t deadline_ms = 0;
    std::uint64_t wake_ms = 0;
    std::uint64_t reply_bytes = 0;  // that a query's reply may have
    bool holds_bytes = false;       // they count in reply_bytes_
    std::uint32_t attempts = 0;     // at storageds
    bool indexed = false;           // asks a storaged: its index is known, or it needs none
    bool pausing = false;           // between attempts
    NodeId target;
    proto::Error failure;  // the last one
  };
  struct Batch {
    NodeId target;
    std::uint64_t asked_ms = 0;
    std::vector<SlotHandle> reads;
  };

  /// kOk, or why one more read with a query of `bytes` can't be taken.
  proto::Error Admit(std::uint64_t bytes) const;
  void Refuse(const Ticket& ticket, AnswersWrite answers_write, proto::Error error,
              std::uint64_t now_ms, Effects* effects);
  void Start(Read read, std::uint64_t max_staleness_ms, std::uint64_t now_ms, Effects* effects);
  /// Decides about a read with a bound on its staleness. False: it can't be kept.
  bool Bound(Read* read, std::uint64_t max_staleness_ms, std::uint64_t now_ms);
  bool FreshenDue(std::uint64_t now_ms) const {
    return now_ms < keep_fresh_until_ms_ && now_ms >= index_asked_ms_ + kKeepFreshMs;
  }
  /// Asks a storaged, now or once there is room for the reply.
  void AskInTurn(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects);
  void AskHeld(std::uint64_t now_ms, Effects* effects);
  void Ask(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects);
  void AskAnother(SlotHandle handle, Read* read, proto::Error error, std::uint64_t now_ms,
                  Effects* effects);
  void AskForIndex(std::uint64_t now_ms, Effects* effects);
  void FailBatch(SlotHandle handle, const proto::Error& error, std::uint64_t now_ms,
                 Effects* effects);
  void OnReadTimer(SlotHandle handle, std::uint64_t now_ms, Effects* effects);
  void Learn(NodeId from, const Read& read, Version read_version);
  void Wake(SlotHandle handle, Read* read, std::uint64_t at_ms);
  void Expire(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects);
  void Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms, Effects* effects);

  const CoreOptions& options_;
  NodeTable& nodes_;
  Freshness freshness_;
  SlotTable<Read> reads_;
  SlotTable<Batch> batches_;
  std::vector<SlotHandle> waiting_;   // for an index
  std::deque<SlotHandle> held_;       // for room, in the order of their coming
  std::size_t queries_ = 0;           // in reads_
  std::uint64_t query_bytes_ = 0;     // in reads_
  std::uint64_t reply_bytes_ = 0;     // that queries at storageds may bring
  std::uint32_t query_failures_ = 0;  // in a row
  std::uint64_t query_failed_ms_ = 0;
  std::uint64_t hold_until_ms_ = 0;   // no query before
  std::uint64_t index_asked_ms_ = 0;  // the last time
  std::uint64_t keep_fresh_until_ms_ = 0;
  std::uint64_t indexes_leased_ = 0;
  std::uint64_t indexes_confirmed_ = 0;
  LeaderCache::Leader known_leader_;
  TimerWheel wheel_;
};

}  // namespace bedrock::router
