#pragma once

#include <cstdint>
#include <string>

namespace bedrock::torture {

/// What a run has done, to see that it met what it is for.
struct TortureStats {
  std::uint64_t commits = 0;
  std::uint64_t reads = 0;
  std::uint64_t moves = 0;  ///< Of iterators.
  std::uint64_t crashes = 0;
  std::uint64_t lost_commits = 0;  ///< Not acknowledged as durable, and gone after a crash.
  std::uint64_t reopens = 0;
  std::uint64_t faults = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t flushes = 0;
  std::uint64_t compactions = 0;

  void Add(const TortureStats& other);
  std::string ToString() const;
};

struct TortureResult {
  std::string failure;  ///< Empty: passed. Otherwise what went wrong, with the last steps.
  TortureStats stats;
};

/// One database on a memory file system, driven by one thread from one seed: writes, reads at all
/// versions that are kept, walks in both directions, snapshots and iterators held across flushes
/// and compactions, background steps in any order, crashes of every kind at any change of the disk,
/// failing calls, full disks, checkpoints, time. After each crash the state has to be that of a
/// prefix of the commits, and hold everything that was acknowledged as durable.
TortureResult Torture(std::uint64_t seed);

/// The same operations under several sets of options, on a memory file system and on a real one
/// (in a folder below `scratch`): every answer must be the same.
TortureResult Metamorphic(std::uint64_t seed, const std::string& scratch);

}  // namespace bedrock::torture
