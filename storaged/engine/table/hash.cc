#include "storaged/engine/table/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/check.h"

namespace bedrock::engine {

std::uint64_t Hash64(std::string_view bytes, std::uint64_t seed) {
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
  CHECK(XXH3_64bits_update(&state_->xxh3, bytes.data(), bytes.size()) == XXH_OK);
}
std::uint64_t StreamingHash64::Digest() const { return XXH3_64bits_digest(&state_->xxh3); }

}  // namespace bedrock::engine
