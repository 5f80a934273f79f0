#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "storaged/core/outgoing.h"
#include "storaged/core/read_queue.h"
#include "storaged/core/state_machine.h"

namespace bedrock::storage {

/// Reads that came and are not looked at yet; more are refused.
inline constexpr std::size_t kArrivedReadsMax = 65'536;
inline constexpr std::size_t kArrivedReadsBytesMax = 64 * kMiB;  ///< Of their subjects.
/// One Run reads no more (but one value or result); what is left is for the next.
inline constexpr std::size_t kReadBytesPerRunMax = 4 * kMiB;

/// Answers Get and Query. A read is at the version it names, else at the newest applied; one that
/// needs a later version waits for it until its deadline, one below the watermark gives
/// kVersionCompacted.
///
///   Receive ─► arrived ─► answered, or waiting for a version ─► answered, or deadline_exceeded
///
/// One thread, the engine's owner thread. Borrows the machine.
class ReadService {
 public:
  explicit ReadService(StateMachine& machine) : machine_(machine) {}

  /// The deadline of a request that came with a timeout; 0: it named none.
  static std::uint64_t DeadlineOf(std::uint32_t timeout_ms, std::uint64_t now_ms);

  /// Takes a read, or refuses it at a bound.
  void Receive(WaitingRead read, std::vector<Outgoing>& out);
  /// From here on no later version comes, and `error` says why: reads that wait for one end with
  /// it, now and later. kShuttingDown refuses all that come.
  void Stop(proto::Error error);
  /// Nothing is read any more: all that came and comes is answered with `error`.
  void RefuseAll(proto::Error error);
  /// Answers all that came and was not answered yet with `error`.
  void End(const proto::Error& error, std::vector<Outgoing>& out);
  /// Answers what can be answered, up to the bounds of one run.
  void Run(std::uint64_t now_ms, std::vector<Outgoing>& out);
  /// A command, encoded, on the newest applied state. What it reads counts for this run.
  proto::QueryReply QueryNewest(std::string_view command);
  /// Whether this run has not read its fill.
  bool MayRead() const { return read_bytes_ < kReadBytesPerRunMax; }

  /// Run can do more at once.
  bool HasMore() const;
  std::optional<std::uint64_t> NextDeadline() const { return waiting_.NextDeadline(); }
  /// Counts what a read elsewhere met, where that is damage.
  void Note(const Status& status);
  /// Reads that met damaged bytes, and what the last one said.
  std::uint64_t corrupt_reads() const { return corrupt_reads_; }
  const std::string& last_corruption() const { return last_corruption_; }

 private:
  void AnswerWaiting(std::uint64_t now_ms, std::vector<Outgoing>& out);
  void AnswerArrived(std::vector<Outgoing>& out);
  void Answer(const WaitingRead& read, std::vector<Outgoing>& out);
  void AnswerError(const WaitingRead& read, proto::Error error, std::vector<Outgoing>& out) const;
  proto::GetReply Get(const WaitingRead& read, Version at);
  proto::QueryReply Query(std::string_view command, Version at);
  proto::Error ReadError(const Status& status);

  StateMachine& machine_;
  std::deque<WaitingRead> arrived_;  // not looked at yet, in order
  std::size_t arrived_bytes_ = 0;
  ReadQueue waiting_;
  std::size_t read_bytes_ = 0;  // of this Run
  std::optional<proto::Error> stopped_;
  std::optional<proto::Error> refused_;
  std::uint64_t corrupt_reads_ = 0;
  std::string last_corruption_;
};

}  // namespace bedrock::storage
