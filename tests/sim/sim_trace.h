#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "common/base/typed_bool.h"
#include "proto/raft_messages.h"
#include "tests/sim/sim_options.h"

namespace bedrock::sim {

using PrintTrace = TypedBool<struct PrintTraceTag>;

/// What happened, as numbers: a hash of all of it proves that two runs were the same, and the last
/// events are kept for whoever has to find out why a run failed.
class SimTrace {
 public:
  enum class Kind : std::uint8_t {
    kSend,
    kDrop,
    kDeliver,
    kTick,
    kWrite,
    kSync,
    kDurable,
    kApply,
    kPropose,
    kRead,
    kReadReady,
    kReadFailed,
    kRole,
    kCommit,
    kCompact,
    kFetch,
    kStart,
    kCrash,
    kPause,
    kResume,
    kCut,
    kHeal,
    kStall,
    kFull,
    kLowSpace,
    kFault,
    kPhase,
    kTransfer,
    kReconfigure,
    kMembers,
    kOpenSnapshot,
    kInstall,
    kRestored,
    kWipe,
    kRot,
    kLost,
    kScrubbed,
  };

  static constexpr std::size_t kKept = 200;

  explicit SimTrace(PrintTrace print) : print_(print) {}

  /// Four numbers whose meaning follows from the kind (see Format).
  void Add(TimeUs at, Kind kind, std::uint64_t node, std::uint64_t a = 0, std::uint64_t b = 0,
           std::uint64_t c = 0);
  void AddMessage(TimeUs at, Kind kind, NodeId from, NodeId to,
                  std::shared_ptr<const raft::Message> message);

  std::uint64_t hash() const { return hash_; }
  /// The last kKept events, a line each; ticks are not among them.
  std::string Last() const;

 private:
  struct Event {
    TimeUs at = 0;
    Kind kind = Kind::kTick;
    std::uint64_t node = 0;
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::uint64_t c = 0;
    std::shared_ptr<const raft::Message> message;
  };

  static std::string Format(const Event& event);
  void Mix(std::uint64_t value);
  void Keep(Event event);

  const PrintTrace print_;
  std::uint64_t hash_ = 0x9E3779B97F4A7C15ULL;
  std::deque<Event> last_;
};

/// One line, as traces show it.
std::string Describe(const raft::Message& message);
/// A hash of everything in it.
std::uint64_t HashMessage(const raft::Message& message);
/// A hash of the entry without its place: kind, time and payload.
std::uint64_t HashEntry(const raft::Entry& entry);
std::uint64_t HashMix(std::uint64_t a, std::uint64_t b);

}  // namespace bedrock::sim
