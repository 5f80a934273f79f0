#include "common/env/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "common/base/check.h"

namespace bedrock {

HugePages::HugePages(std::size_t bytes) {
  CHECK(bytes > 0);
  const std::size_t size = (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  // Mapped with room to spare, so that an aligned piece can be cut out.
  const std::size_t mapped_size = size + kHugePageBytes;
  void* mapped =
      mmap(nullptr, mapped_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const start = static_cast<char*>(mapped);
  const std::size_t past = reinterpret_cast<std::uintptr_t>(start) % kHugePageBytes;
  const std::size_t skipped = past == 0 ? 0 : kHugePageBytes - past;
  // Returning pages that nothing uses yet can't fail in a way that matters.
  if (skipped > 0) (void)munmap(start, skipped);
  if (skipped < kHugePageBytes) (void)munmap(start + skipped + size, kHugePageBytes - skipped);
  data_ = start + skipped;
  size_ = size;
#ifdef MADV_HUGEPAGE
  // Advice: a kernel without huge pages does as well, only slower.
  (void)madvise(data_, size_, MADV_HUGEPAGE);
#endif
}

void HugePages::Free() {
  if (data_ != nullptr) (void)munmap(data_, size_);
}

}  // namespace bedrock
