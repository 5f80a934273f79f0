#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "routerd/core/base/slot_table.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/leader_cache.h"
#include "routerd/core/interactive/transaction_step.h"

namespace bedrock::router {

/// The conversation of one pessimistic transaction with the lock manager of the leader's storaged:
/// takes the locks of a step one after the other, each as soon as the one before is given, and
/// reads under the last of them.
///
///   idle ──Begin──► asking ──given──► … ──given, with the answer to the query──► idle
///                    │   ▲
///                    └───┘ again: no answer, a refusal that is about the moment, another leader
///
/// Locks are of one leader's term. Under another one all are gone, and the step takes its own anew;
/// those of earlier steps are not taken again, since what was read under them is certified at
/// commit whatever happens to locks. While a transaction has locks, they are kept alive by asking
/// for one of them again.
///
/// Pure; one thread.
class LockTaker {
 public:
  static constexpr std::uint64_t kHoldMs = 10'000;  ///< What a router that died leaves behind.
  static constexpr std::uint64_t kRefreshMs = 3'000;
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  /// The step's locks are held, or it failed, or the transaction did.
  struct Progress {
    enum class Kind : std::uint8_t { kNothing, kDone, kStepFailed, kDeadlock };
    Kind kind = Kind::kNothing;
    proto::Error error;
    proto::CommandResult result;  ///< kDone, of the query.
    Version read_version;         ///< kDone, of the query.
    NodeId served_by;
  };

  LockTaker(const CoreOptions& options, const proto::TransactionName& name,
            std::uint64_t begun_wall_ms, std::uint64_t lock_timeout_ms);

  /// Takes `wishes`, not empty; `query` (empty: none) is read under the last, at `least` or later.
  /// REQUIRES: idle. Drive carries it on.
  void Begin(std::vector<LockWish> wishes, Bytes query, Version least, std::uint64_t deadline_ms);
  /// Sends what is due. Done at once where all is held and there is no query.
  Progress Drive(SlotHandle handle, const LeaderCache::Leader& leader, std::uint64_t now_ms,
                 Effects* effects);
  Progress OnReply(NodeId from, std::uint32_t attempt, proto::LockReply reply,
                   std::uint64_t now_ms);
  /// The newest attempt never arrived, or was answered with a Refusal.
  void OnFailed(std::uint32_t attempt, const proto::Error& error, std::uint64_t now_ms);
  /// Ends the step's asking; what it has of its locks it keeps.
  void Stop();
  /// Gives everything back.
  void Unlock(Effects* effects);

  bool asking() const { return asking_; }
  /// When to Drive again.
  std::uint64_t wake_ms() const;
  /// Why the asking has got nowhere, for a step that ran out of time.
  const proto::Error& failure() const { return failure_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  using What = std::tuple<std::string, std::string, bool>;  // LockRange

  static What WhatOf(const proto::LockRange& range);
  bool Holds(const LockWish& wish) const;
  void Hold(const LockWish& wish);
  void ForgetLocks();
  void SkipHeld();
  void Pause(std::uint64_t now_ms);
  void Send(SlotHandle handle, std::uint32_t attempt, const LockWish& wish, const Bytes& query,
            std::uint64_t timeout_ms, Effects* effects) const;
  bool IsCurrent(std::uint32_t attempt) const;
  Progress Finish(Progress::Kind kind);

  const CoreOptions& options_;
  const proto::TransactionName name_;
  const std::uint64_t begun_wall_ms_;
  const std::uint64_t lock_timeout_ms_;

  LeaderCache::Leader at_;  // whose locks these are; none: nothing was asked for yet
  std::map<What, proto::LockMode> held_;
  std::uint64_t bytes_ = 0;  // of held_
  std::uint64_t refresh_ms_ = 0;

  bool asking_ = false;
  std::vector<LockWish> wishes_;
  std::size_t next_ = 0;  // the wish that is asked for
  Bytes query_;
  Version least_;
  std::uint64_t deadline_ms_ = 0;
  std::uint64_t wake_ms_ = 0;  // not asked again before
  bool sent_ = false;
  std::uint32_t attempt_ = 0;        // the newest ever, from 1
  std::uint32_t first_attempt_ = 1;  // of this wish
  std::uint32_t tries_ = 0;          // of this wish
  proto::Error failure_;
};

}  // namespace bedrock::router
