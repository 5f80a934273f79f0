#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "storaged/core/history.h"
#include "storaged/core/idempotency_store.h"

namespace bedrock::storage {
namespace {

/// What decodes comes back from its encoding; what does not is said to be damaged.
void Exercise(std::string_view input) {
  const auto watermark = DecodeWatermark(input);
  CHECK(watermark.ok() || watermark.status().IsCorruption());
  const auto record = DecodeIdempotencyRecord(input);
  if (!record.ok()) {
    CHECK(record.status().IsCorruption());
    return;
  }
  const auto again = DecodeIdempotencyRecord(EncodeIdempotencyRecord(*record));
  CHECK(again.ok());
  CHECK(*again == *record);
}

}  // namespace
}  // namespace bedrock::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bedrock::storage::Exercise({reinterpret_cast<const char*>(data), size});
  return 0;
}
