#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace bedrock::engine {

/// Holds a copy of one key, the next one over the last; short ones without a call or allocation.
class KeyBuffer {
 public:
  KeyBuffer() = default;
  KeyBuffer(const KeyBuffer&) = delete;
  KeyBuffer& operator=(const KeyBuffer&) = delete;

  /// REQUIRES: `key` is no view of this buffer.
  void Assign(std::string_view key) {
    const std::size_t size = key.size();
    if (size >= 8 && size <= 16) {
      // Two words that overlap.
      std::memcpy(short_.data(), key.data(), 8);
      std::memcpy(short_.data() + size - 8, key.data() + size - 8, 8);
      view_ = {short_.data(), size};
    } else if (size <= short_.size()) {
      if (size > 0) std::memcpy(short_.data(), key.data(), size);
      view_ = {short_.data(), size};
    } else {
      long_.assign(key);
      view_ = long_;
    }
  }

  std::string_view view() const { return view_; }

 private:
  std::array<char, 48> short_;
  std::string long_;
  std::string_view view_;
};

}  // namespace bedrock::engine
