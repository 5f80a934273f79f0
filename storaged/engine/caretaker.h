#pragma once

#include <atomic>
#include <set>

#include "storaged/engine/job_context.h"
#include "storaged/engine/lane.h"
#include "storaged/engine/space_reserve.h"

namespace bedrock::engine {

/// Looks after what goes wrong slowly, on a lane of its own: quarantines tables that failed their
/// checks, keeps the reserve of space, and gives it back when the disk is full.
///
/// A table whose reads met damage says so (TableReader::damaged); whoever got the error wakes the
/// lane. The table stays live and stays where it is: its other blocks can be read, and what it
/// hides below stays hidden.
class Caretaker {
 public:
  explicit Caretaker(JobContext& context);

  Lane::Next Step();
  /// Where the reserve is gone and can't be had again, the disk is full for all purposes.
  bool reserve_whole() const { return reserve_whole_.load(std::memory_order_relaxed); }

 private:
  std::set<FileNumber> NewlyDamaged() const;
  Lane::Next Quarantine();
  Lane::Next KeepReserve();
  void ShowQuarantine(const ManifestState& state);

  JobContext& context_;
  SpaceReserve reserve_;
  std::atomic<bool> reserve_whole_;
  bool released_ = false;  ///< And not had back since.
  Pause pause_;
};

}  // namespace bedrock::engine
