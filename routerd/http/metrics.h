#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "routerd/core/gateway.h"
#include "routerd/http/routes.h"

namespace bedrock::router {

/// Counts HTTP replies and spells them in Prometheus' text format 0.0.4. Loop thread only.
class Metrics {
 public:
  void Count(Route route, int status, std::uint64_t duration_us);
  void Connected() { ++connections_accepted_; }
  void Rejected() { ++connections_rejected_; }

  std::string Render(const CoreGauges& core, std::size_t connections) const;

 private:
  /// Upper bounds in microseconds; a last bucket holds what is above.
  static constexpr std::array<std::uint64_t, 12> kBoundsUs = {
      250, 500, 1000, 2500, 5000, 10'000, 25'000, 50'000, 100'000, 500'000, 1'000'000, 5'000'000};
  struct Histogram {
    std::array<std::uint64_t, kBoundsUs.size() + 1> counts{};
    std::uint64_t sum_us = 0;
  };

  std::map<std::pair<Route, int>, std::uint64_t> replies_;
  std::array<Histogram, kRoutes> durations_;
  std::uint64_t connections_accepted_ = 0;
  std::uint64_t connections_rejected_ = 0;
};

}  // namespace bedrock::router
