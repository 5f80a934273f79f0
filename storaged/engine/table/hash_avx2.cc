#include "storaged/engine/table/hash_avx2.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace bedrock::engine {

std::uint64_t Xxh3Avx2(const char* bytes, std::size_t n, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, n, seed);
}

bool UpdateXxh3Avx2(void* state, const char* bytes, std::size_t n) {
  return XXH3_64bits_update(static_cast<XXH3_state_t*>(state), bytes, n) == XXH_OK;
}

}  // namespace bedrock::engine
