#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "common/record/record_format.h"
#include "storaged/engine/manifest/manifest_log.h"
#include "storaged/engine/manifest/version_edit.h"

// Three depths: the file's bytes as they are; records with true checksums around the fuzzer's
// payloads; and the edit alone, which has to come back the same where it decodes.

namespace bedrock::engine {
namespace {

constexpr FileNumber kNumber{7};

std::string Header() {
  std::string out("BRKMANIF");
  PutFixed(out, std::uint32_t{2});
  std::string rest;
  PutFixed(rest, kNumber.value());
  rest.append(8, '\0');
  PutFixed(out, ExtendCrc32c(Crc32c(out), rest));
  return out + rest;
}

void FuzzRecords(std::string_view input) {
  ByteReader reader(input);
  std::string file = Header();
  for (std::uint64_t ordinal = 1; !reader.rest().empty(); ++ordinal) {
    const auto type = reader.Fixed<std::uint8_t>();
    const auto flags = reader.Fixed<std::uint8_t>();
    const auto length = reader.Fixed<std::uint8_t>();
    if (reader.failed()) break;
    const auto payload =
        reader.Take(*length < reader.rest().size() ? *length : reader.rest().size());
    record::AppendRecord(file, {.type = static_cast<std::uint8_t>(1 + *type % 3),
                                .flags = *flags,
                                .stream = kNumber.value(),
                                .ordinal = ordinal,
                                .aux = *type,
                                .payload = *payload});
  }
  const auto state = DecodeManifest(file, kNumber);
  if (!state.ok()) return;
  ManifestState again;
  CHECK(again.Apply(state->AsEdit()).ok());
}

}  // namespace
}  // namespace bedrock::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;
  using namespace bedrock::engine;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  (void)DecodeManifest(input, kNumber);
  (void)DecodeManifest(Header() + std::string(input), kNumber);
  (void)IsUnbornManifest(input, kNumber);
  FuzzRecords(input);
  const auto edit = VersionEdit::Decode(input);
  if (edit.ok()) CHECK(*VersionEdit::Decode(edit->Encode()) == *edit);
  return 0;
}
