#include "tests/sim/cluster/minimise.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace bedrock::sim {

namespace {

/// Tries smaller scripts and keeps those that still fail alike.
class Minimiser {
 public:
  Minimiser(const ClusterScript& script, std::uint64_t runs_max, const RunScript& run)
      : runs_max_(runs_max), run_(run) {
    best_.script = script;
    best_.result = run_(script);
    best_.runs = 1;
  }

  Minimised Run() && {
    LeaveOutKinds();
    ShortenTime();
    LeaveOutOptions();
    LeaveOutClients();
    LeaveOutNodes();
    LeaveOutActions();
    ShortenTime();
    return std::move(best_);
  }

 private:
  bool Try(const ClusterScript& smaller) {
    if (best_.runs >= runs_max_) return false;
    ++best_.runs;
    ClusterResult result = run_(smaller);
    if (result.ok || result.invariant != best_.result.invariant) return false;
    best_.script = smaller;
    best_.result = std::move(result);
    return true;
  }

  void LeaveOutKinds() {
    for (std::size_t kind = 0; kind < NemesisAction::kKinds; ++kind) {
      ClusterScript smaller = best_.script;
      const auto removed = std::erase_if(smaller.plan, [kind](const NemesisAction& action) {
        return static_cast<std::size_t>(action.kind) == kind;
      });
      if (removed > 0) Try(smaller);
    }
  }

  /// Faults that are probabilities, and clocks.
  void LeaveOutOptions() {
    for (const char* name : {"loss", "duplication", "late", "clock_skew_per_mille", "wall_skew_ms",
                             "drop_history", "majority_only", "history_ms", "wall_rush",
                             "odd_requests", "gone_return", "alters", "rests"}) {
      ClusterScript smaller = best_.script;
      if (smaller.options.Set(name, 0).ok()) Try(smaller);
    }
  }

  void LeaveOutClients() {
    using Field = std::uint64_t ClusterOptions::*;
    constexpr std::array<Field, 5> kFields = {
        &ClusterOptions::register_clients, &ClusterOptions::list_clients,
        &ClusterOptions::counter_clients, &ClusterOptions::set_clients,
        &ClusterOptions::archive_clients};
    for (const Field field : kFields) {
      while (best_.script.options.*field > 0) {
        ClusterScript smaller = best_.script;
        --(smaller.options.*field);
        if (!Try(smaller)) break;
      }
    }
    for (std::uint64_t keys = best_.script.options.keys; keys > 1; --keys) {
      ClusterScript smaller = best_.script;
      smaller.options.keys = keys - 1;
      if (!Try(smaller)) break;
    }
  }

  void LeaveOutNodes() {
    for (std::uint64_t ClusterOptions::*const count :
         {&ClusterOptions::spares, &ClusterOptions::nodes}) {
      const std::uint64_t least = count == &ClusterOptions::nodes ? 1 : 0;
      while (best_.script.options.*count > least) {
        ClusterScript smaller = best_.script;
        --(smaller.options.*count);
        if (!Try(smaller)) break;
      }
    }
  }

  void ShortenTime() {
    for (std::uint64_t part = 2; part <= 16; part *= 2) {
      for (;;) {
        ClusterScript smaller = best_.script;
        TimeUs& duration = smaller.options.duration_us;
        const TimeUs less = duration / part;
        if (less < 10'000) break;
        duration -= less;
        std::erase_if(smaller.plan,
                      [&](const NemesisAction& action) { return action.at >= duration; });
        if (!Try(smaller)) break;
      }
    }
  }

  /// Delta debugging: without one part of n of the plan, for ever larger n.
  void LeaveOutActions() {
    for (std::size_t parts = 2; !best_.script.plan.empty();) {
      const std::size_t size = best_.script.plan.size();
      parts = std::min(parts, size);
      bool smaller_found = false;
      for (std::size_t part = 0; part < parts && !smaller_found; ++part) {
        ClusterScript smaller = best_.script;
        const auto begin = smaller.plan.begin();
        smaller.plan.erase(begin + static_cast<std::ptrdiff_t>(part * size / parts),
                           begin + static_cast<std::ptrdiff_t>((part + 1) * size / parts));
        smaller_found = Try(smaller);
      }
      if (smaller_found) {
        parts = std::max<std::size_t>(parts - 1, 2);
      } else if (parts == size || best_.runs >= runs_max_) {
        break;
      } else {
        parts = std::min(2 * parts, size);
      }
    }
  }

  const std::uint64_t runs_max_;
  const RunScript& run_;
  Minimised best_;
};

}  // namespace

Minimised Minimise(const ClusterScript& script, std::uint64_t runs_max, const RunScript& run) {
  return Minimiser(script, runs_max, run).Run();
}

}  // namespace bedrock::sim
