#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace bedrock {

/// A 64-bit number that cannot be mistaken for another kind of number. Zero means "none" for every
/// id below. A value type; ordered like its number.
template <typename Tag>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(std::uint64_t value) : value_(value) {}

  constexpr std::uint64_t value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }

  constexpr StrongId Next() const { return StrongId(value_ + 1); }
  /// REQUIRES: value() > 0.
  constexpr StrongId Prev() const { return StrongId(value_ - 1); }
  constexpr StrongId operator+(std::uint64_t n) const { return StrongId(value_ + n); }
  /// How far this is above `other`. REQUIRES: other <= *this.
  constexpr std::uint64_t operator-(StrongId other) const { return value_ - other.value_; }

  // The linter takes the comparison's hidden 0 for a null pointer.
  constexpr auto operator<=>(const StrongId&) const = default;  // NOLINT(modernize-use-nullptr)

 private:
  std::uint64_t value_ = 0;
};

/// A commit's number: its log index in a cluster, its commit sequence embedded. In every key, for
/// ever. 0: none, as the version of an absent key.
using Version = StrongId<struct VersionTag>;

}  // namespace bedrock

template <typename Tag>
struct std::hash<bedrock::StrongId<Tag>> {
  std::size_t operator()(bedrock::StrongId<Tag> id) const noexcept {
    return std::hash<std::uint64_t>()(id.value());
  }
};
