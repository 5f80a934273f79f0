#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/codec/crc32c.h"
#include "storaged/core/membership_record.h"
#include "storaged/snapshot/manifest.h"

namespace bedrock::storage {
namespace {

constexpr std::size_t kCrcAt = 12;
constexpr std::size_t kBodyAt = 16;

/// What decodes is a snapshot by all checks, and comes back from its encoding.
void ExerciseManifest(std::string_view input) {
  const auto manifest = DecodeManifest(input);
  if (!manifest.ok()) {
    CHECK(manifest.status().IsCorruption());
    return;
  }
  CHECK(CheckManifest(*manifest).ok());
  CHECK(BytesOf(*manifest) > 0);
  for (const auto& file : manifest->files) CHECK(file.name.find('/') == std::string::npos);
  const auto again = DecodeManifest(EncodeManifest(*manifest));
  CHECK(again.ok() && *again == *manifest);
}

void ExerciseMembership(std::string_view input) {
  const auto record = DecodeMembershipRecord(input);
  if (!record.ok()) return;
  const auto again =
      DecodeMembershipRecord(EncodeMembershipRecord(record->index, record->payload.view()));
  CHECK(again.ok() && *again == *record);
}

void Exercise(std::string_view input) {
  ExerciseManifest(input);
  ExerciseMembership(input);
  if (input.size() < kBodyAt) return;
  // The same behind a checksum that holds.
  std::string sealed(input);
  const std::uint32_t crc = Crc32c(input.substr(kBodyAt));
  for (std::size_t i = 0; i < sizeof(crc); ++i) {
    sealed[kCrcAt + i] = static_cast<char>(crc >> (8 * i));
  }
  ExerciseManifest(sealed);
}

}  // namespace
}  // namespace bedrock::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bedrock::storage::Exercise({reinterpret_cast<const char*>(data), size});
  return 0;
}
