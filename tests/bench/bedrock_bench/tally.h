#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace bedrock::bench {

/// What reads gave: every answer is touched and folded into one number, so that no engine gets away
/// with not looking, and engines that read the same must come to the same. A value.
struct Tally {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t digest = 0;  ///< Depends on the order of the answers.

  void AddValue(std::string_view value) {
    std::uint64_t head = 0;
    if (value.size() >= sizeof(head)) {
      std::memcpy(&head, value.data(), sizeof(head));
    } else {
      std::memcpy(&head, value.data(), value.size());
    }
    digest = std::rotl(digest, 5) ^ (head + value.size());
    bytes += value.size();
    ++entries;
  }
  void AddEntry(std::string_view key, std::string_view value) {
    AddValue(value);
    digest += static_cast<unsigned char>(key.back());
    bytes += key.size();
  }
  /// Of another thread; the digest of several threads means nothing.
  void Add(const Tally& other) {
    entries += other.entries;
    bytes += other.bytes;
    digest += other.digest;
  }
};

}  // namespace bedrock::bench
