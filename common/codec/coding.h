#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace bedrock {

// Little-endian fixed-width and LEB128 varint coding for everything on disk.

static_assert(std::endian::native == std::endian::little,
              "disk formats are written by memcpy and need a little-endian host");

template <typename UInt>
inline void PutFixed(std::string& out, UInt value) {
  char raw[sizeof(value)];
  std::memcpy(raw, &value, sizeof(value));
  out.append(raw, sizeof(value));
}
/// Writes sizeof(UInt) bytes at `at`.
template <typename UInt>
inline void StoreFixed(char* at, UInt value) {
  std::memcpy(at, &value, sizeof(value));
}
/// Reads sizeof(UInt) bytes from `at`.
template <typename UInt>
inline UInt LoadFixed(const char* at) {
  UInt value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

/// 1 to 10 bytes, seven bits each, lowest first.
void PutVarint(std::string& out, std::uint64_t value);
/// A varint length, then the bytes.
void PutLengthPrefixed(std::string& out, std::string_view bytes);

/// Takes values off the front of a byte string. After the first failure every further read fails
/// too, so a decoder may read all its fields and check once.
class ByteReader {
 public:
  explicit ByteReader(std::string_view input) : rest_(input) {}

  template <typename UInt>
  std::optional<UInt> Fixed() {
    const auto raw = Take(sizeof(UInt));
    if (!raw) return std::nullopt;
    return LoadFixed<UInt>(raw->data());
  }
  /// nullopt for a truncated varint and for one that does not fit 64 bits.
  std::optional<std::uint64_t> Varint();
  std::optional<std::string_view> LengthPrefixed();
  /// The next n bytes, a view into the input.
  std::optional<std::string_view> Take(std::uint64_t n);

  std::string_view rest() const { return rest_; }
  bool failed() const { return failed_; }
  /// Everything was read and nothing failed.
  bool AtEnd() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace bedrock
