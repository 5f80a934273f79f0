#pragma once

#include <cstddef>
#include <cstdint>

namespace bedrock::engine {

/// Slows writers down smoothly before they would have to stop: a token bucket in front of Apply
/// whose rate follows what the background was measured to drain. Pure: time and measures come in.
/// One thread at a time.
///
/// Each input counts as a part of its limit, and the largest is the pressure p. Up to one half
/// nobody waits. Above, with x going from 0 to 1, writers get
///
///   rate = drain · 2^(1 - 2x)         twice the drain at p = 1/2, as much at 3/4, half at 1
///
/// so that p settles where as much comes in as goes out, and the hard stop at p = 1, which is not
/// made here, is met by bursts only.
class Backpressure {
 public:
  /// What waits, of what is the most.
  struct Load {
    std::uint64_t memtable_bytes = 0;
    std::uint64_t memtable_bytes_max = 1;
    std::size_t level0_files = 0;
    std::size_t level0_files_max = 1;
    std::uint64_t debt_bytes = 0;
    std::uint64_t debt_bytes_max = 1;
  };

  /// A flush took `us` for `bytes` of memtable, or a compaction for as much of level 0.
  void Flushed(std::uint64_t bytes, std::uint64_t us) { flush_rate_.Add(bytes, us); }
  void Compacted(std::uint64_t bytes, std::uint64_t us) { compaction_rate_.Add(bytes, us); }
  /// What waits has changed.
  void Update(const Load& load);

  /// Whether anybody has to wait at all.
  bool slow() const { return rate_ > 0; }
  /// Bytes a second that writers get; 0: as many as they like.
  double rate() const { return rate_; }
  /// Takes `bytes` out of the bucket and says after how many microseconds they are in it, at most
  /// kDelayUsMax.
  std::uint64_t Take(std::uint64_t bytes, std::uint64_t now_us);

  static constexpr std::uint64_t kDelayUsMax = 100'000;
  /// Writers get no less, whatever was measured.
  static constexpr double kRateMin = 64.0 * 1024;

 private:
  /// Bytes a second, as a mean over about kMeanUs of work.
  class Rate {
   public:
    void Add(std::uint64_t bytes, std::uint64_t us);
    double value() const { return value_; }

   private:
    static constexpr double kMeanUs = 2e6;
    double value_ = 0;
  };

  /// So much may be taken at once after a pause.
  static constexpr double kBurstUs = 2'000;

  Rate flush_rate_;
  Rate compaction_rate_;
  double rate_ = 0;
  double tokens_ = 0;  ///< Bytes; negative: promised already.
  std::uint64_t refilled_us_ = 0;
};

}  // namespace bedrock::engine
