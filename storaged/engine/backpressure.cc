#include "storaged/engine/backpressure.h"

#include <algorithm>
#include <cmath>

namespace bedrock::engine {

namespace {

/// Where nothing was measured yet: about what a slow disk takes.
constexpr double kRateUnknown = 16.0 * 1024 * 1024;

double PartOf(std::uint64_t value, std::uint64_t limit) {
  return static_cast<double>(value) / static_cast<double>(std::max<std::uint64_t>(limit, 1));
}

}  // namespace

void Backpressure::Rate::Add(std::uint64_t bytes, std::uint64_t us) {
  const double time = static_cast<double>(std::max<std::uint64_t>(us, 1));
  const double measured = static_cast<double>(bytes) * 1e6 / time;
  const double weight = value_ == 0 ? 1 : time / (time + kMeanUs);
  value_ += weight * (measured - value_);
}

void Backpressure::Update(const Load& load) {
  const double memory = PartOf(load.memtable_bytes, load.memtable_bytes_max);
  const double tables = std::max(PartOf(load.level0_files, load.level0_files_max),
                                 PartOf(load.debt_bytes, load.debt_bytes_max));
  const double pressure = std::max(memory, tables);
  if (pressure <= 0.5) {
    rate_ = 0;
    return;
  }
  const double x = std::min(1.0, (pressure - 0.5) * 2);
  const Rate& drain = memory >= tables ? flush_rate_ : compaction_rate_;
  const double base = drain.value() > 0 ? drain.value() : kRateUnknown;
  if (rate_ == 0) tokens_ = 0;
  rate_ = std::max(kRateMin, base * std::exp2(1 - 2 * x));
}

std::uint64_t Backpressure::Take(std::uint64_t bytes, std::uint64_t now_us) {
  if (rate_ == 0) return 0;
  const double passed = now_us > refilled_us_ ? static_cast<double>(now_us - refilled_us_) : 0;
  refilled_us_ = std::max(refilled_us_, now_us);
  tokens_ = std::min(tokens_ + passed * rate_ / 1e6, kBurstUs * rate_ / 1e6);
  tokens_ -= static_cast<double>(bytes);
  if (tokens_ >= 0) return 0;
  const double delay = std::min(-tokens_ / rate_ * 1e6, static_cast<double>(kDelayUsMax));
  // Nobody waits longer than that, so nothing more is owed.
  tokens_ = std::max(tokens_, -static_cast<double>(kDelayUsMax) * rate_ / 1e6);
  return static_cast<std::uint64_t>(delay);
}

}  // namespace bedrock::engine
