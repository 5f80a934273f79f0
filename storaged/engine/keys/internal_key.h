#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/base/ids.h"

namespace bedrock::engine {

/// What an entry says of its key at its version. The numbers are on disk.
enum class EntryKind : std::uint8_t {
  kPut = 1,
  kDelete = 2,   ///< A tombstone. Its value is empty.
  kBlobPut = 3,  ///< A put whose value stands in a blob file: the entry's is an encoded BlobRef.
};

/// Whether `kind` is one of the above: what comes from a disk may be anything.
constexpr bool IsKnownKind(EntryKind kind) {
  return kind == EntryKind::kPut || kind == EntryKind::kDelete || kind == EntryKind::kBlobPut;
}

/// Versions take 56 bits, so that version and kind fit one word.
inline constexpr Version kVersionMax{(std::uint64_t{1} << 56) - 1};
/// What block offsets and the memtable's nodes can hold; far above what the state machine lets in.
inline constexpr std::size_t kKeyBytesMax = std::size_t{64} << 10;
inline constexpr std::size_t kValueBytesMax = std::size_t{128} << 20;

/// Version and kind of an entry in one word: version in the upper 56 bits, kind in the lower 8. Of
/// two entries of a key, the one with the larger trailer is newer and sorts first.
class Trailer {
 public:
  constexpr Trailer() = default;
  constexpr Trailer(Version version, EntryKind kind)
      : packed_(version.value() << 8 | static_cast<std::uint8_t>(kind)) {}

  /// Sorts before every entry of its key whose version is at most `version`, and after all newer
  /// ones.
  static constexpr Trailer SeekTo(Version version) {
    return FromPacked(version.value() << 8 | 0xff);
  }
  /// Sorts behind every entry of its key.
  static constexpr Trailer Last() { return FromPacked(0); }
  static constexpr Trailer FromPacked(std::uint64_t packed) {
    Trailer trailer;
    trailer.packed_ = packed;
    return trailer;
  }

  constexpr std::uint64_t packed() const { return packed_; }
  constexpr Version version() const { return Version(packed_ >> 8); }
  constexpr EntryKind kind() const { return static_cast<EntryKind>(packed_ & 0xff); }

  friend constexpr bool operator==(Trailer, Trailer) = default;

 private:
  std::uint64_t packed_ = 0;
};

/// The key of an entry inside the engine, borrowed: ordered by user key ascending (bytewise), then
/// by version descending. A type of its own so that it can't be taken for a user key.
struct InternalKeyView {
  std::string_view user_key;
  Trailer trailer;

  Version version() const { return trailer.version(); }
  EntryKind kind() const { return trailer.kind(); }

  friend bool operator==(const InternalKeyView&, const InternalKeyView&) = default;
  friend std::strong_ordering operator<=>(const InternalKeyView& a, const InternalKeyView& b) {
    const int order = a.user_key.compare(b.user_key);
    if (order != 0) return order <=> 0;
    return b.trailer.packed() <=> a.trailer.packed();
  }
};

/// Where a read of `user_key` at version `at` starts.
inline InternalKeyView SeekKey(std::string_view user_key, Version at) {
  return {user_key, Trailer::SeekTo(at < kVersionMax ? at : kVersionMax)};
}

/// An InternalKeyView that owns its bytes.
struct InternalKey {
  std::string user_key;
  Trailer trailer;

  InternalKeyView view() const { return {user_key, trailer}; }
};

/// A short user key s with a <= s < b, for an index that only has to part its blocks. REQUIRES: a <
/// b.
std::string ShortestSeparator(std::string_view a, std::string_view b);

}  // namespace bedrock::engine
