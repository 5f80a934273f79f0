#include "storaged/engine/table/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/check.h"

#if defined(__x86_64__)
#include "storaged/engine/table/hash_avx2.h"
#endif

namespace bedrock::engine {

namespace {

#if defined(__x86_64__)
const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
#endif

/// Whether the vectors of hash_avx2.h pay for `bytes` here: short input uses none.
bool HasVectorsFor([[maybe_unused]] std::string_view bytes) {
#if defined(__x86_64__)
  constexpr std::size_t kLongBytes = 240;
  return bytes.size() > kLongBytes && kHasAvx2;
#else
  return false;
#endif
}

}  // namespace

std::uint64_t Hash64(std::string_view bytes, std::uint64_t seed) {
#if defined(__x86_64__)
  if (HasVectorsFor(bytes)) return Xxh3Avx2(bytes.data(), bytes.size(), seed);
#endif
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

struct StreamingHash64::State {
  XXH3_state_t xxh3;
};

StreamingHash64::StreamingHash64() : state_(std::make_unique<State>()) {
  CHECK(XXH3_64bits_reset(&state_->xxh3) == XXH_OK);
}
StreamingHash64::~StreamingHash64() = default;

void StreamingHash64::Update(std::string_view bytes) {
#if defined(__x86_64__)
  if (HasVectorsFor(bytes)) {
    CHECK(UpdateXxh3Avx2(&state_->xxh3, bytes.data(), bytes.size()));
    return;
  }
#endif
  CHECK(XXH3_64bits_update(&state_->xxh3, bytes.data(), bytes.size()) == XXH_OK);
}
std::uint64_t StreamingHash64::Digest() const { return XXH3_64bits_digest(&state_->xxh3); }

}  // namespace bedrock::engine
