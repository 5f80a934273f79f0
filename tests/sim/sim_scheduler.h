#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/sim/sim_options.h"

namespace bedrock::sim {

/// Simulated time and what is to happen in it. Events of the same moment run in the order in which
/// they were scheduled. One thread.
class SimScheduler {
 public:
  TimeUs now() const { return now_; }

  /// Runs `action` when `delay` has passed; with 0 after everything already due now.
  void After(TimeUs delay, std::function<void()> action);
  /// Moves time to the next event and runs it. False where there is none.
  bool RunOne();
  std::uint64_t events_run() const { return events_run_; }

 private:
  struct Event {
    TimeUs at;
    std::uint64_t number;
    std::function<void()> action;
  };

  static bool Later(const Event& a, const Event& b) {
    return a.at != b.at ? a.at > b.at : a.number > b.number;
  }

  TimeUs now_ = 0;
  std::uint64_t events_made_ = 0;
  std::uint64_t events_run_ = 0;
  std::vector<Event> heap_;
};

}  // namespace bedrock::sim
