#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "tests/sim/sim_options.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

/// The three processes of a node, and those who ask them.
enum class Program : std::uint8_t { kRaftd, kStoraged, kRouterd, kClient };
inline constexpr std::size_t kProgramsOfNode = 3;

/// "raftd".
std::string_view NameOf(Program program);

/// A process: of a node, or a client by its number.
struct Address {
  NodeId node;
  Program program = Program::kRaftd;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison's 0 for a pointer
  friend auto operator<=>(const Address&, const Address&) = default;
};

/// "n1.raftd", "c3".
std::string FormatAddress(const Address& address);

/// What happened in a run of a whole cluster: a hash of all of it, frames byte for byte, and the
/// last events for whoever has to find out why a run failed. One thread.
class ClusterTrace {
 public:
  enum class Kind : std::uint8_t {
    kSend,
    kDrop,
    kDeliver,
    kStart,     ///< A process, with what it recovered.
    kEnd,       ///< A process, and why (End).
    kWrite,     ///< raftd's log was given a write.
    kSync,      ///< raftd's log is durable up to a write.
    kRole,      ///< Of raftd: role, term, leader.
    kCommit,    ///< raftd knows of.
    kApply,     ///< storaged, an index.
    kFlush,     ///< storaged: durable up to.
    kBegin,     ///< A client's operation.
    kFinish,    ///< The same, with its fate.
    kNemesis,   ///< The action's kind and numbers.
    kResume,    ///< A process goes on.
    kPhase,     ///< The second one.
    kSnapshot,  ///< storaged took another one's state, at an index.
  };
  /// Why a process ended.
  enum class End : std::uint8_t { kKilled, kPowerCut, kDisk, kForEver, kInOrder, kRebuilt };

  static constexpr std::size_t kKept = 300;

  explicit ClusterTrace(PrintTrace print) : print_(print) {}

  void Add(TimeUs at, Kind kind, const Address& who, std::uint64_t a = 0, std::uint64_t b = 0,
           std::uint64_t c = 0);
  /// `hash` is HashFrame of the frame, which is kept for printing.
  void AddFrame(TimeUs at, Kind kind, const Address& from, const Address& to, const Bytes& frame,
                std::uint64_t hash);

  std::uint64_t hash() const { return hash_; }
  /// The last kKept events, a line each.
  std::string Last() const;

 private:
  struct Event {
    TimeUs at = 0;
    Kind kind = Kind::kSend;
    Address who;
    Address to;
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::uint64_t c = 0;
    Bytes frame;
  };

  static std::string Format(const Event& event);
  void Mix(std::uint64_t value) { hash_ = HashMix(hash_, value); }
  void Keep(Event event);

  const PrintTrace print_;
  std::uint64_t hash_ = 0x9E3779B97F4A7C15ULL;
  std::deque<Event> last_;
};

std::uint64_t HashFrame(std::string_view frame);
/// What is in a frame, in a line.
std::string DescribeFrame(const Bytes& frame);

}  // namespace bedrock::sim
