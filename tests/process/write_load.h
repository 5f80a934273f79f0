#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace bedrock::test {

/// Writers that put keys through HTTP on every node in turn and remember what was acknowledged, so
/// that a test can prove afterwards that nothing was lost, however many processes died meanwhile.
/// Each writer owns its keys: a new key for each write, and one key that it overwrites with an
/// ascending number.
///
/// Start and Stop by one thread; the counters from any.
class WriteLoad {
 public:
  /// `urls`: the routers to use; a writer moves to the next after a failure. `prefix`: of all keys,
  /// so that two loads on one cluster have keys of their own.
  WriteLoad(std::vector<std::string> urls, int writers, std::string prefix = "");
  ~WriteLoad();

  void Start();
  void Stop();

  std::uint64_t acknowledged() const { return acknowledged_.load(); }
  std::uint64_t failed() const { return failed_.load(); }
  /// The first few failures, a line each.
  std::string failures() const;
  /// When the latest write was acknowledged, in milliseconds of the steady clock.
  std::int64_t last_acknowledged_ms() const { return last_acknowledged_ms_.load(); }

  /// REQUIRES: stopped. Reads everything back through `url`, linearizably; adds one gtest failure
  /// for each of the first few writes that are lost or wrong. Overwritten keys must hold the last
  /// acknowledged number or a later attempted one.
  void VerifyThrough(const std::string& url) const;

 private:
  struct Writer {
    std::vector<std::string>
        written;  // keys of acknowledged writes; the value is the key itself, reversed
    std::uint64_t overwrites_attempted = 0;
    std::uint64_t overwrites_acknowledged = 0;
    std::uint64_t next_key = 0;
  };

  void Run(int number);
  std::string OverwrittenKey(int number) const;

  std::vector<std::string> urls_;
  std::string prefix_;
  std::vector<Writer> writers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> acknowledged_{0};
  std::atomic<std::uint64_t> failed_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> failures_;  // guarded by mutex_
  std::atomic<std::int64_t> last_acknowledged_ms_{0};
};

/// Milliseconds of the steady clock.
std::int64_t NowMs();

}  // namespace bedrock::test
