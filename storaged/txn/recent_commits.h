#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"

namespace bedrock::txn {

inline constexpr std::size_t kRecentSlots = 65'536;  ///< A power of two.
inline constexpr std::size_t kRecentKeysMax = 8'192;
inline constexpr std::size_t kRecentRangesMax = 256;

/// What was written lately, to tell in a few instructions that a key or a range was *not* changed
/// since some version. It never says so wrongly; where it does not know it says "perhaps", and who
/// asked has to look into the engine. So it has no part in any result, only in how fast it comes,
/// and is no replicated state: it starts empty.
///
///   keys     a table by hash: the newest version of any key that falls into a slot
///   ranges   a ring of the last keys, each by its first bytes, oldest overwritten
///   both     a ring of the last range deletes
///
/// Knows nothing of versions at or below the one it starts with, nor (in a ring) at or below that
/// of the newest change it has lost. A value; one thread.
class RecentCommits {
 public:
  explicit RecentCommits(Version begun_at);

  /// Versions never go down.
  void AddKey(std::string_view key, Version version);
  /// [begin, end); an empty end is unbounded.
  void AddRange(std::string_view begin, std::string_view end, Version version);

  /// What came up to `version` was not told, or would be too much to tell.
  void SkipTo(Version version);

  /// False: nothing was written to or deleted from `key` after `since`.
  bool MayHaveChanged(std::string_view key, Version since) const;
  /// False: the same for all of [begin, end).
  bool MayHaveChangedIn(std::string_view begin, std::string_view end, Version since) const;

 private:
  /// A key by its first bytes.
  struct Key {
    static constexpr std::size_t kShown = 23;
    Version version;
    std::uint8_t size = 0;  // of the whole key, or kShown + 1 where it is cut
    std::array<char, kShown> shown{};

    /// Whether it may be in the range.
    bool MayBeIn(std::string_view begin, std::string_view end) const;
  };
  struct Range {
    Version version;
    std::string begin;
    std::string end;
  };

  Version begun_at_;
  std::vector<Version> slots_;
  std::vector<Key> keys_;     // grows to kRecentKeysMax, then it is a ring
  std::size_t next_key_ = 0;  // where the next one goes
  Version keys_lost_at_;      // of the newest key that was overwritten
  std::deque<Range> ranges_;
  Version ranges_lost_at_;
};

}  // namespace bedrock::txn
