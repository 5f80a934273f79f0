#include "routerd/core/requests/fingerprint.h"

#define XXH_INLINE_ALL  // the library's own object is slower and no smaller
#include <xxhash.h>

namespace bedrock::router {

static_assert(sizeof(XXH128_canonical_t) == proto::kFingerprintBytes);

std::string FingerprintOf(proto::Command command) {
  command.session = SessionId();
  command.sequence = 0;
  command.low_water = 0;
  command.idempotency = {};
  const std::string encoded = proto::EncodeCommand(command);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(encoded.data(), encoded.size()));
  return {reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest)};
}

}  // namespace bedrock::router
