#pragma once

#include <cstdint>
#include <deque>

namespace bedrock::router {

/// The sequence numbers of one session: gives them out from 1 and knows the low-water mark, the
/// lowest that is still unanswered (Raft thesis 6.3). One thread.
class SequenceWindow {
 public:
  std::uint64_t Take();
  /// REQUIRES: taken, and not finished before.
  void Finish(std::uint64_t sequence);

  /// Every number below this is finished; the next to be taken where all are.
  std::uint64_t low_water() const { return base_; }
  /// From the low-water mark to the newest.
  std::uint64_t span() const { return finished_.size(); }

 private:
  std::uint64_t base_ = 1;
  std::deque<bool> finished_;  // of base_, base_ + 1, …
};

}  // namespace bedrock::router
