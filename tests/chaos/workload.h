#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bedrock::chaos {

/// How often what happened, for the closing line.
struct Tally {
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> refused{0};  ///< Conflicts, deadlocks, time-outs: nothing happened.
  std::atomic<std::uint64_t> unknown{0};
};

/// What clients do to a cluster while it is broken, and how one sees afterwards that it did right
/// by them. Work is called on many threads at once, Prepare before and Check after all of it.
class Workload {
 public:
  virtual ~Workload() = default;
  virtual std::string name() const = 0;
  /// Makes what Work needs; the cluster is well. Empty, or what went wrong.
  virtual std::string Prepare(const std::vector<std::string>& urls, std::uint64_t seed) = 0;
  /// A client, until `stop`. Different clients have different numbers.
  virtual void Work(const std::vector<std::string>& urls, std::uint64_t client, std::uint64_t seed,
                    const std::atomic<bool>& stop) = 0;
  /// The cluster is well again. Empty, or what was violated.
  virtual std::string Check(const std::vector<std::string>& urls, std::uint64_t seed) = 0;

  const Tally& tally() const { return tally_; }

 protected:
  Tally tally_;
};

/// Accounts that money is moved between, by transactions of every kind; whoever looks at all of
/// them at once sees the same sum.
std::unique_ptr<Workload> NewBank();
/// Transactions that read lists and append to them; what they saw must be strictly serializable.
std::unique_ptr<Workload> NewListAppend();
/// Adds under an idempotency key, sent again and again, by two connections at once, until one
/// answer comes: each counts once.
std::unique_ptr<Workload> NewCounters();

}  // namespace bedrock::chaos
