#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "storaged/engine/job_context.h"
#include "storaged/engine/lane.h"
#include "storaged/engine/space_reserve.h"

namespace bedrock::engine {

/// Looks after what goes wrong slowly, on a lane of its own: quarantines tables that failed their
/// checks, keeps the reserve of space, and gives it back when the disk is full.
///
/// A table whose reads met damage says so (TableReader::damaged); whoever got the error wakes the
/// lane. The table stays live and stays where it is: its other blocks can be read, and what it
/// hides below stays hidden. Blob files are not marked, since none of their bytes hide others; that
/// one is damaged is known again once it is read.
class Caretaker {
 public:
  explicit Caretaker(JobContext& context);

  Lane::Next Step();
  /// Where the reserve is gone and can't be had again, the disk is full for all purposes.
  bool reserve_whole() const { return reserve_whole_.load(std::memory_order_relaxed); }

 private:
  static std::vector<FileNumber> NewlyDamaged(const VersionSet::Current& now);
  /// Looks at one of to_check_, all of it; its number where it is whole.
  std::optional<FileNumber> CheckOneQuarantined(const VersionSet::Current& now);
  Lane::Next CommitQuarantine(VersionEdit edit);
  Lane::Next KeepReserve();
  void ShowDamage(const VersionSet::Current& now);

  JobContext& context_;
  SpaceReserve reserve_;
  std::atomic<bool> reserve_whole_;
  bool released_ = false;  ///< And not had back since.
  /// Tables that were quarantined when the engine was opened: what an operator has mended since is
  /// released.
  std::vector<FileNumber> to_check_;
  Pause pause_;
};

}  // namespace bedrock::engine
