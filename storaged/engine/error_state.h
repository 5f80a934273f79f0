#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "bedrock/stats.h"
#include "bedrock/status.h"
#include "common/base/thread_annotations.h"
#include "storaged/engine/engine_health.h"

namespace bedrock::engine {

/// In which of its states the engine is, and why. What happened goes in; of all that holds, the
/// worst is the state:
///
///   Fail          ──► kFailed     for ever: a sync or the MANIFEST failed
///   EndWrites     ──► kReadOnly   for ever: tables can't be written any more
///   Trouble(no_space)  kNoSpace   until that job is Well
///   Trouble(other)     kDegraded  until that job is Well
///   Quarantined        kDegraded  while there is a quarantined file
///   nothing of these   kHealthy
///
/// Any thread. `on_event` is told of each change of the state and of each Trouble that is new, one
/// line at a time, on the thread that brings the news.
class ErrorState {
 public:
  /// Who can be in trouble.
  enum class Job : std::uint8_t { kFlush, kSecondFlush, kCompaction, kManifest, kReserve };

  explicit ErrorState(std::function<void(std::string_view)> on_event)
      : on_event_(std::move(on_event)) {}

  void Fail(const Status& why);
  void EndWrites(const Status& why);
  /// `job` could not go on; it will try again.
  void Trouble(Job job, const Status& why);
  /// True where it was in trouble.
  bool Well(Job job);
  void Quarantined(std::size_t files, std::string_view detail);
  /// Says something that changes no state.
  void Tell(std::string_view line);

  /// Whether `job` waits for space.
  bool HasNoSpace(Job job) const;
  bool FlushHasNoSpace() const { return HasNoSpace(Job::kFlush) || HasNoSpace(Job::kSecondFlush); }

  EngineState state() const { return state_.load(std::memory_order_acquire); }
  /// State and reason of one moment.
  EngineHealth health() const;
  /// Nothing can be made durable any more: what the background does has no point.
  bool ended() const {
    return state() == EngineState::kFailed || state() == EngineState::kReadOnly;
  }
  bool failed() const { return state() == EngineState::kFailed; }
  /// What a write gets in kReadOnly and kFailed; ok otherwise.
  Status Refusal() const;

 private:
  static constexpr std::size_t kJobs = 5;

  EngineState StateLocked() const REQUIRES(mutex_);
  std::string DetailLocked() const REQUIRES(mutex_);
  /// After each change; gives the line to be told, empty for none.
  std::string Settle(bool news) REQUIRES(mutex_);

  const std::function<void(std::string_view)> on_event_;
  Mutex telling_;  ///< Held while on_event_ runs; never together with mutex_.
  mutable Mutex mutex_;
  Status failure_ GUARDED_BY(mutex_);
  Status writes_ended_ GUARDED_BY(mutex_);
  std::array<Status, kJobs> troubles_ GUARDED_BY(mutex_);
  std::size_t quarantined_ GUARDED_BY(mutex_) = 0;
  std::string quarantine_detail_ GUARDED_BY(mutex_);
  std::atomic<EngineState> state_{EngineState::kHealthy};
};

}  // namespace bedrock::engine
