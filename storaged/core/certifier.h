#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "storaged/engine/engine.h"
#include "storaged/txn/recent_commits.h"

namespace bedrock::storage {

/// So many commands after the last that had to be certified, nobody remembers them any more.
inline constexpr std::uint64_t kUncertifiedMax = 65'536;

/// Tells whether users' keys and ranges were changed since they were read, up to what is applied
/// now: exactly, so that a transaction is refused for a real conflict only. Most questions are
/// answered by RecentCommits, the rest by the engine's own versions. Where there are only plain
/// writes, nothing is remembered of them and they cost nothing here.
///
/// Every `since` has to be at or above the watermark: below it the engine may have forgotten.
/// Errors are those of the engine's reads.
///
/// One thread, the engine's owner thread. Borrows the engine.
class Certifier {
 public:
  explicit Certifier(const engine::Engine& engine) : engine_(engine) {}

  /// Whether anything was written to or deleted from the key after `since`.
  Result<bool> Changed(std::string_view key, Version since) const;
  /// The same for all keys in [begin, end); an empty end is unbounded.
  Result<bool> ChangedIn(std::string_view begin, std::string_view end, Version since) const;
  /// The position of the first read that was changed since; none: all are as they were.
  Result<std::optional<std::size_t>> FindConflict(std::span<const proto::Read> reads,
                                                  Version read_version);

  /// To be told of every command that was applied.
  void Add(std::span<const proto::Operation> operations, Version version) {
    if (recent_ != nullptr) Remember(operations, version);
  }

 private:
  void Remember(std::span<const proto::Operation> operations, Version version);

  const engine::Engine& engine_;
  std::unique_ptr<txn::RecentCommits> recent_;  // null: nothing was certified lately
  std::uint64_t uncertified_ = 0;               // commands since the last that had reads
};

/// The version that a read was made at.
inline Version VersionOf(const proto::Read& read, Version read_version) {
  return read.at ? read.at : read_version;
}

}  // namespace bedrock::storage
