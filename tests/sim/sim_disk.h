#pragma once

#include <algorithm>
#include <cstdint>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "tests/sim/sim_options.h"

namespace bedrock::sim {

/// The disk of a simulated node and what goes wrong with it. What a fault does to the process is
/// the node's business. One thread.
class SimDisk {
 public:
  explicit SimDisk(const Random& random) : random_(random) {}

  MemoryFileSystem& files() { return files_; }
  /// All that is left to chance about the disk is drawn from it.
  Random& random() { return random_; }

  /// The `calls`-th next call that changes anything, and all after it, fail until Crash.
  void CrashAfter(std::uint64_t calls);
  /// That call was reached.
  bool crashed() const { return files_.crashed(); }
  void Crash(MemoryFileSystem::CrashMode mode);

  /// The next sync fails, or the next write.
  void FailNext();
  bool fails() const { return fails_; }

  /// Hardly any room is left.
  void Fill();
  void MakeRoom();
  bool full() const { return full_; }

  void StallUntil(TimeUs at) { stalled_until_ = at; }
  /// 0: it does not.
  TimeUs stalled_until(TimeUs now) const { return stalled_until_ > now ? stalled_until_ : 0; }

  /// Ends all faults.
  void Calm();

 private:
  Random random_;
  MemoryFileSystem files_;
  bool fails_ = false;
  bool full_ = false;
  TimeUs stalled_until_ = 0;
};

}  // namespace bedrock::sim
