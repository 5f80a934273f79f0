#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/record/record_format.h"
#include "common/record/record_reader.h"

namespace bedrock::record {
namespace {

constexpr std::uint64_t kStream = 7;

/// Reads the whole input, over every damage, as recovery does.
void ReadAll(std::string_view input) {
  RecordReader reader(input, 0, kStream);
  std::uint64_t offset = 0;
  while (true) {
    const Finding finding = reader.Next();
    if (finding == Finding::kRecord) {
      const Record& record = reader.record();
      CHECK(record.type != 0);
      CHECK(record.stream == kStream);
      CHECK(reader.offset() == offset + EncodedSize(record.payload.size()));
      // What is read is what would be written, but for the padding, which nothing checks.
      std::string again;
      AppendRecord(again, record);
      const std::size_t checked = kHeaderBytes + record.payload.size();
      CHECK(again.substr(0, checked) == input.substr(offset, checked));
    } else {
      CHECK(reader.offset() == offset);
      CHECK((finding == Finding::kEnd) == (offset == input.size()));
      if (finding != Finding::kDamaged) return;
      if (!reader.Resync()) {
        CHECK(reader.offset() == input.size());
        return;
      }
      CHECK(reader.offset() > offset && reader.offset() % kAlignment == 0);
      offset = reader.offset();
      CHECK(reader.Next() == Finding::kRecord);  // Resync promised one
    }
    offset = reader.offset();
  }
}

/// A file of valid records with the fuzzer's bytes as payloads, damaged where the fuzzer says:
/// random bytes alone would never get past the checksums.
std::string DamagedFile(std::string_view input) {
  std::string file;
  std::uint64_t ordinal = 0;
  while (input.size() >= 2) {
    const std::size_t length = static_cast<unsigned char>(input[0]);
    const bool foreign = (static_cast<unsigned char>(input[1]) & 1U) != 0;
    const std::string_view payload = input.substr(2, length);
    AppendRecord(file, {.type = 1,
                        .flags = 0,
                        .stream = foreign ? kStream + 1 : kStream,
                        .ordinal = ++ordinal,
                        .aux = 0,
                        .payload = payload});
    const std::size_t damage = static_cast<unsigned char>(input[1]) >> 1U;
    if (damage != 0 && damage < file.size()) file[file.size() - damage] ^= 1;
    input.remove_prefix(2 + payload.size());
  }
  return file;
}

}  // namespace
}  // namespace bedrock::record

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  bedrock::record::ReadAll(input);
  bedrock::record::ReadAll(bedrock::record::DamagedFile(input));
  return 0;
}
