#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/version.h"

namespace bedrock {

/// How a client finds its cluster and how long it tries.
struct ClientOptions {
  /// The routers' ZeroMQ endpoints, all of one cluster, at most 64. Name several: the client moves
  /// on to the next when one does not answer.
  std::vector<std::string> endpoints = {"tcp://127.0.0.1:7000"};
  /// How long a call may take, all its attempts together. 1 to 300,000 ms: a cluster remembers
  /// for ten minutes which writes it has seen, and no retry may come later than that.
  std::uint64_t deadline_ms = 5000;
  /// How long to wait for one router's answer before asking the next. Lower it where routers die
  /// often and the network is fast.
  std::uint64_t attempt_timeout_ms = 1000;

  /// invalid_argument names the field that is out of its bounds.
  Status Validate() const;
};

struct ClientReadOptions {
  enum class Consistency : std::uint8_t {
    kLinearizable,  ///< Sees every write that was acknowledged, to anybody, before the call.
    kStale,         ///< The asked node's state, which may be behind; needs no leader.
  };
  Consistency consistency = Consistency::kLinearizable;
  /// The answer is no older than this version: a session's own writes, read on any node.
  Version min_version;
  std::uint64_t deadline_ms = 0;  ///< 0: ClientOptions::deadline_ms.
};

/// What must hold of the key, at the moment of the commit, for a write to happen.
class WriteCondition {
 public:
  enum class Kind : std::uint8_t { kNone, kVersion, kExists, kAbsent };

  /// Nothing.
  WriteCondition() = default;
  /// The key has exactly this version; Version() (0): it is absent.
  static WriteCondition IfVersion(Version version) { return {Kind::kVersion, version}; }
  static WriteCondition IfExists() { return {Kind::kExists, Version()}; }
  static WriteCondition IfAbsent() { return {Kind::kAbsent, Version()}; }

  Kind kind() const { return kind_; }
  Version version() const { return version_; }

 private:
  WriteCondition(Kind kind, Version version) : kind_(kind), version_(version) {}

  Kind kind_ = Kind::kNone;
  Version version_;
};

struct ClientWriteOptions {
  WriteCondition condition;
  std::uint64_t deadline_ms = 0;  ///< 0: ClientOptions::deadline_ms.
};

struct VersionedValue {
  std::string value;
  Version version;       ///< Of the key: the commit that wrote it.
  Version read_version;  ///< That was read; give it as min_version to never read anything older.
};

/// A client of a Bedrock cluster over ZeroMQ, with the verbs and meanings of the embedded library.
///
/// Any thread may call it, many at once: calls block until they are answered, and travel together.
/// It runs two threads of its own (one with the request ledger, one of ZeroMQ). Destroy it when no
/// call is running.
///
/// Keys are 1 to 8192 bytes of anything, values up to the servers' --max-value-bytes (1 MiB unless
/// set, 8 MiB at most).
///
/// Every call is tried again, through one router after another, until it is answered or its
/// deadline has passed. A write is never applied twice by that: each is a numbered command of this
/// client's session, and the cluster gives the first execution's answer to any repeat.
///
/// Errors, of all calls: invalid_argument (keys, values, options, a cluster that is not the one
/// this client began with); timed_out where the deadline passed: for a write its message says
/// whether it was surely not applied, or whether that is unknown; busy where 65,536 calls are
/// waiting; no_space where the cluster's disks are full, and nothing was written.
class Client {
 public:
  /// Does not wait for the cluster: calls do, until their deadlines. invalid_argument for options
  /// out of bounds.
  static Result<std::unique_ptr<Client>> Connect(const ClientOptions& options);

  class Impl;
  /// For Connect: nobody else has an Impl.
  explicit Client(std::unique_ptr<Impl> impl);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Gives the commit's version. It is on the disks of a majority. conflict: the condition did not
  /// hold; nothing was written.
  Result<Version> Put(std::string_view key, std::string_view value,
                      const ClientWriteOptions& options = {});
  /// As Put. Deleting an absent key succeeds, unless a condition says otherwise.
  Result<Version> Delete(std::string_view key, const ClientWriteOptions& options = {});

  /// not_found where the key is absent; `value` is touched only where the result is ok.
  Status Get(std::string_view key, std::string* value, const ClientReadOptions& options = {});
  /// The same with the versions.
  Result<VersionedValue> GetVersioned(std::string_view key, const ClientReadOptions& options = {});

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedrock
