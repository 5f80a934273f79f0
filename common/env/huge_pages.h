#pragma once

#include <cstddef>
#include <utility>

namespace bedrock {

/// What one entry of the TLB spans where the kernel agrees.
inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

/// Zeroed memory that the kernel is asked to back by huge pages, for structures that are loaded
/// from at random: with small pages most such loads miss the TLB as well as the cache. Aligned to
/// kHugePageBytes. The first touch of each huge page takes all of it, so small structures are
/// better off elsewhere.
///
/// A value that owns its memory; the bytes may be shared as their users agree.
class HugePages {
 public:
  HugePages() = default;
  /// `bytes` rounded up to whole huge pages. Throws std::bad_alloc as operator new does. REQUIRES:
  /// bytes > 0.
  explicit HugePages(std::size_t bytes);
  ~HugePages() { Free(); }
  HugePages(HugePages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  HugePages& operator=(HugePages&& other) noexcept {
    if (this != &other) {
      Free();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }

  char* data() const { return data_; }  ///< Null where nothing is owned.
  std::size_t size() const { return size_; }

 private:
  void Free();

  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bedrock
