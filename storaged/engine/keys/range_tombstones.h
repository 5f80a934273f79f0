#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

/// Deletes what is older than `version` of all user keys in [begin, end). An empty `end` means that
/// the range has none. A point of the same version stays: within a commit the engine is handed what
/// is left after its deletions.
struct RangeTombstone {
  std::string begin;
  std::string end;
  Version version;

  friend bool operator==(const RangeTombstone&, const RangeTombstone&) = default;
};

/// The order of range ends: an empty one is behind all others.
inline bool EndsBefore(std::string_view a, std::string_view b) {
  if (a.empty()) return false;
  return b.empty() || a < b;
}
/// Whether `key` lies before the end of a range.
inline bool IsBeforeEnd(std::string_view key, std::string_view end) {
  return end.empty() || key < end;
}

// Fragments, as they stand in a table's range tombstone block; all numbers are varints:
//
//   count
//   each fragment, by key:   begin    0 where it begins at the end of the fragment before;
//                                     else its length + 1, then its bytes
//                            end      length, bytes; empty, and then the last: no end
//                            versions count, the newest, then how much each is below the one before
//
// There is one encoding of a set of tombstones, and Decode takes no other.

/// Range tombstones cut where any of them begins or ends: disjoint fragments in key order, each
/// with the versions of all the tombstones that lie over it, newest first. Neighbours that touch
/// and have the same versions are one fragment, so two sets that delete the same are equal.
///
/// Immutable once built: any thread. Views it hands out live as long as it stays where it is.
class FragmentedTombstones {
 public:
  struct Fragment {
    std::string_view begin;
    std::string_view end;               ///< Open; empty: there is none.
    std::span<const Version> versions;  ///< Newest first, at least one.
  };
  class Builder;

  FragmentedTombstones() = default;
  /// Takes tombstones in any order; one whose range is empty counts for nothing. REQUIRES: each
  /// version is in [1, kVersionMax].
  explicit FragmentedTombstones(const std::vector<RangeTombstone>& tombstones);

  /// What deletes all that any of `sets` deletes.
  static FragmentedTombstones Merge(std::span<const FragmentedTombstones* const> sets);
  /// What of this lies in [begin, end); an empty `end` means that there is none.
  FragmentedTombstones Clip(std::string_view begin, std::string_view end) const;

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  /// How many versions all fragments have.
  std::size_t version_count() const { return versions_.size(); }
  Fragment fragment(std::size_t i) const;
  /// The first fragment that ends behind `key`: it covers the key unless it begins behind it.
  /// size() where there is none.
  std::size_t FindFragment(std::string_view key) const;
  /// The newest version at or below `at` of a tombstone that covers `key`; 0: there is none.
  Version Covering(std::string_view key, Version at) const;

  /// The bounds of all fragments. REQUIRES: !empty().
  std::string_view begin() const { return fragment(0).begin; }
  std::string_view end() const { return fragment(size() - 1).end; }  ///< Open; empty: none.
  Version version_min() const { return version_min_; }
  Version version_max() const { return version_max_; }

  /// About what it takes in memory.
  std::size_t bytes() const {
    return keys_.size() + entries_.size() * sizeof(Entry) + versions_.size() * sizeof(Version);
  }

  std::string Encode() const;
  /// corruption: not an encoding. Any bytes may come in.
  static Result<FragmentedTombstones> Decode(std::string_view text);

  friend bool operator==(const FragmentedTombstones& a, const FragmentedTombstones& b);

 private:
  /// Where a fragment's bounds and versions stand.
  struct Entry {
    std::size_t begin_at = 0;
    std::size_t end_at = 0;
    std::uint32_t begin_size = 0;
    std::uint32_t end_size = 0;
    std::size_t versions_at = 0;
    std::size_t versions_size = 0;
  };

  std::string keys_;
  std::vector<Version> versions_;
  std::vector<Entry> entries_;
  Version version_min_ = kVersionMax;
  Version version_max_;
};

/// Makes a set out of fragments that come in key order.
class FragmentedTombstones::Builder {
 public:
  /// No versions: nothing is added. REQUIRES: `begin` is below `end` and not below the end of the
  /// fragment before; `versions` descend.
  void Add(std::string_view begin, std::string_view end, std::span<const Version> versions);
  FragmentedTombstones Finish() { return std::move(result_); }

 private:
  FragmentedTombstones result_;
};

}  // namespace bedrock::engine
