#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "tests/sim/cluster/cluster_options.h"

namespace bedrock::sim {

/// One thing that is done to a cluster at a moment. What its numbers mean follows from its kind
/// (kActionTexts in nemesis_plan.cc names them). A node of 0 is whoever leads then.
struct NemesisAction {
  enum class Kind : std::uint8_t {
    kCut,          ///< From the nodes of a mask to those of another one.
    kHeal,         ///< The same, back.
    kHealAll,      ///< Every link.
    kKill,         ///< One process of a node, by number (Program); it comes back.
    kPowerCut,     ///< A node: what was not synced is lost, kept or torn, as the mode says.
    kPowerCutAll,  ///< The whole room.
    kCrashPoint,   ///< A node dies in the middle of the nth next change of one of its disks.
    kPause,        ///< One process, or all of a node.
    kStall,        ///< A disk takes its time.
    kFull,         ///< A disk has room for so many bytes more.
    kFailSync,     ///< A disk's next sync fails.
    kTransfer,     ///< Leadership, to a node; to 0: to whoever is furthest.
    kWallClock,    ///< A node's wall clock jumps.
    kReset,        ///< What is under way between two nodes is lost.
    kMembers,      ///< A voter becomes a learner, a learner a voter, or a member goes.
    /// Each node dies in the middle of the nth change of its storaged's disk after its fetch of a
    /// snapshot has reached a stage (SnapshotFetch::State), the next time that it does.
    kCrashFetch,
    kJoin,     ///< A node that was not there before is taken in.
    kReplace,  ///< A node is gone for ever; it is removed, and another one taken in.
    kRestart,  ///< One process, or all of a node, end in order and start again.
    kRebuild,  ///< A node's storaged loses its data and starts again.
    kRot,      ///< A bit of a file of a node's disk turns over.
    kAlter,    ///< A value becomes another one on a node, somewhere (Alteration).
  };
  static constexpr std::size_t kKinds = 22;

  TimeUs at = 0;
  Kind kind = Kind::kHealAll;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;

  /// "action 1200000 kill node=2 program=1 down_us=30000"
  std::string ToString() const;

  friend bool operator==(const NemesisAction&, const NemesisAction&) = default;
};

using NemesisPlan = std::vector<NemesisAction>;

/// Which disk of a node.
inline constexpr std::uint64_t kRaftDisk = 0;
inline constexpr std::uint64_t kStorageDisk = 1;
/// Where a value becomes another one.
enum class Alteration : std::uint64_t {
  kInEngine = 0,   ///< What is applied is what the entry says, and not what is kept.
  kInCommand = 1,  ///< On its way from raftd: what is executed is not what the entry says.
};
/// Instead of a process's number: all of a node.
inline constexpr std::uint64_t kAllPrograms = 3;

/// What the seed of `options` has in store: all of it is drawn before the run begins, so that
/// actions can be taken out one by one without shifting the others.
NemesisPlan DrawPlan(const ClusterOptions& options);

std::string_view NameOf(NemesisAction::Kind kind);
/// None where the line is no action.
std::optional<NemesisAction> ParseAction(const std::string& line);

/// A run as a text file, which is all that is needed to do it again:
///
///   bedrock cluster simulation 1
///   seed 42
///   option nodes 3
///   …                          every option; one that is missing has its default
///   action 1200000 kill node=2 program=1 down_us=30000
///   …                          in order of time; none: nothing is done to it
///
/// Lines that begin with '#' are ignored. It is worth as much as the commit that it belongs to:
/// note that beside it.
struct ClusterScript {
  ClusterOptions options;
  NemesisPlan plan;

  std::string ToString() const;
  /// invalid_argument names the line.
  static Result<ClusterScript> Parse(std::string_view text);
};

}  // namespace bedrock::sim
