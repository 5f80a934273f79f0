#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace bedrock::conformance {

enum class Mode : std::uint8_t { kPessimistic, kOptimistic };

/// What became of a request, as far as transactions care.
enum class Outcome : std::uint8_t {
  kOk,        ///< Also a read of a key that is absent.
  kConflict,  ///< Lost against another transaction; it is over.
  kDeadlock,  ///< Chosen as a deadlock's victim; it is over.
  kTimeout,   ///< Waited too long for a lock; it is over.
  kUnknown,   ///< A commit that may have taken effect, or may yet.
  kOther,     ///< It is over, too; Session::error says why.
};

using Content = std::map<std::string, std::string>;

struct BeginOptions {
  Mode mode = Mode::kPessimistic;
  bool read_only = false;
  std::chrono::milliseconds lock_timeout{60'000};
};

/// One client, with one transaction at a time. One thread at a time; calls block as long as the
/// store lets them wait.
class Session {
 public:
  virtual ~Session() = default;

  virtual Outcome Begin(const BeginOptions& options) = 0;
  virtual Outcome Get(const std::string& key, std::optional<std::string>* value) = 0;
  virtual Outcome GetForUpdate(const std::string& key, std::optional<std::string>* value) = 0;
  /// All of [begin, end); an empty `end` is unbounded.
  virtual Outcome Scan(const std::string& begin, const std::string& end, Content* content) = 0;
  virtual Outcome Put(const std::string& key, const std::string& value) = 0;
  virtual Outcome Delete(const std::string& key) = 0;
  virtual Outcome DeleteRange(const std::string& begin, const std::string& end) = 0;
  virtual Outcome Commit() = 0;
  /// Does nothing where the transaction is over.
  virtual void Rollback() = 0;

  /// What was last refused, and why, for people.
  virtual std::string error() const = 0;
};

/// What is held to the suite. Any thread; sessions go before it does.
class Store {
 public:
  virtual ~Store() = default;
  virtual std::unique_ptr<Session> NewSession() = 0;
  /// How many requests wait for a lock now; never more than do.
  virtual std::size_t waiting() = 0;
};

}  // namespace bedrock::conformance
