#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace bedrock::engine {

/// Hands out memory that lives as long as the arena and is freed all at once. One thread allocates;
/// what was handed out may be used from any thread that learned of it in order.
class Arena {
 public:
  /// `bytes` bytes, aligned to 8. Never null. REQUIRES: bytes > 0.
  char* Allocate(std::size_t bytes);

  /// What was handed out, in bytes, without the unused ends of blocks.
  std::size_t used_bytes() const { return used_bytes_; }

 private:
  static constexpr std::size_t kBlockBytes = std::size_t{256} << 10;

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* free_ = nullptr;
  std::size_t free_bytes_ = 0;
  std::size_t used_bytes_ = 0;
};

}  // namespace bedrock::engine
