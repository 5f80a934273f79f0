#include "storaged/engine/table/search.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace bedrock::engine {

namespace {

/// Up to here heads are counted one vector after another, without a branch that could be
/// mispredicted; above, halving comes first.
constexpr std::size_t kWindow = 64;

std::size_t CountBelowPortable(const std::int32_t* heads, std::size_t n, std::int32_t head) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) count += heads[i] < head ? 1 : 0;
  return count;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::size_t CountBelowAvx2(const std::int32_t* heads, std::size_t n,
                                                           std::int32_t head) {
  const __m256i wanted = _mm256_set1_epi32(head);
  __m256i counts = _mm256_setzero_si256();
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i these = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(heads + i));
    counts = _mm256_sub_epi32(counts, _mm256_cmpgt_epi32(wanted, these));
  }
  // The last few: lanes at and behind n don't count, whatever stands there.
  const __m256i these = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(heads + i));
  const __m256i counted = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n - i)), lanes);
  counts = _mm256_sub_epi32(counts, _mm256_and_si256(counted, _mm256_cmpgt_epi32(wanted, these)));
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(counts), _mm256_extracti128_si256(counts, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return static_cast<std::size_t>(_mm_cvtsi128_si32(sum));
}

const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
#endif

std::size_t CountBelow(const std::int32_t* heads, std::size_t n, std::int32_t head) {
#if defined(__x86_64__)
  if (kHasAvx2) return CountBelowAvx2(heads, n, head);
#endif
  return CountBelowPortable(heads, n, head);
}

/// Halves [first, first + n) without a branch on the comparison until `n` is at most `window`.
/// Gives the new first.
template <typename Head>
const Head* Narrow(const Head* first, std::size_t& n, std::size_t window, Head head) {
  while (n > window) {
    const std::size_t half = n / 2;
    // Not by a condition, of which compilers make a jump.
    first += half & -static_cast<std::size_t>(first[half - 1] < head);
    n -= half;
  }
  return first;
}

template <typename Head>
std::size_t UpperBound(const Head* heads, std::size_t from, std::size_t n, Head head) {
  if (from == n || head < heads[from]) return from;
  if (from + 1 == n || head < heads[from + 1]) return from + 1;
  return static_cast<std::size_t>(std::upper_bound(heads + from + 1, heads + n, head) - heads);
}

}  // namespace

std::uint64_t Head64(std::string_view key) {
  std::uint64_t head = 0;
  if (key.size() >= sizeof(head)) {
    std::memcpy(&head, key.data(), sizeof(head));
  } else {
    std::memcpy(&head, key.data(), key.size());
  }
  return __builtin_bswap64(head);
}

std::int32_t Head32(std::string_view key) {
  std::uint32_t head = 0;
  if (key.size() >= sizeof(head)) {
    std::memcpy(&head, key.data(), sizeof(head));
  } else {
    std::memcpy(&head, key.data(), key.size());
  }
  return static_cast<std::int32_t>(__builtin_bswap32(head) ^ 0x8000'0000);
}

std::size_t LowerBound32(const std::int32_t* heads, std::size_t n, std::int32_t head) {
  const std::int32_t* const first = Narrow(heads, n, kWindow, head);
  return static_cast<std::size_t>(first - heads) + CountBelow(first, n, head);
}

std::size_t UpperBound32(const std::int32_t* heads, std::size_t from, std::size_t n,
                         std::int32_t head) {
  return UpperBound(heads, from, n, head);
}

std::size_t LowerBound64(const std::uint64_t* heads, std::size_t n, std::uint64_t head) {
  if (n == 0) return 0;
  const std::uint64_t* const first = Narrow(heads, n, 1, head);
  return static_cast<std::size_t>(first - heads) + (*first < head ? 1 : 0);
}

std::size_t UpperBound64(const std::uint64_t* heads, std::size_t from, std::size_t n,
                         std::uint64_t head) {
  return UpperBound(heads, from, n, head);
}

}  // namespace bedrock::engine
