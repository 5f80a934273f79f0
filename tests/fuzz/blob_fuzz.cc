#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/env/memory_file_system.h"
#include "storaged/engine/blob/blob_format.h"
#include "storaged/engine/blob/blob_reader.h"
#include "storaged/engine/blob/blob_set.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/hash.h"

// A blob file whose checksums may hold but whose records are what the fuzzer says, and references
// into it. Whatever they are, reading gives a value or corruption.

namespace bedrock::engine {
namespace {

constexpr FileNumber kNumber{5};

class Builder {
 public:
  explicit Builder(std::string_view input) : input_(input) {}

  std::string Records() {
    std::string content = EncodeBlobHeader(kNumber);
    for (unsigned n = Byte() & 7; n > 0; --n) AppendRecord(content);
    if (Byte() & 1) content += Piece(255);
    return content;
  }
  BlobRef Ref() {
    const auto part = input_.LengthPrefixed();
    const auto decoded = BlobRef::Decode(part.value_or(std::string_view()));
    if (decoded.ok()) return *decoded;
    return {kNumber, Byte() * 4u, Byte()};
  }
  unsigned Byte() { return input_.Fixed<std::uint8_t>().value_or(0); }

 private:
  std::string_view Piece(unsigned mask) {
    const std::size_t bytes = Byte() & mask;
    return input_.Take(std::min(bytes, input_.rest().size())).value_or("");
  }

  void AppendRecord(std::string& content) {
    const std::uint64_t record = content.size();
    std::string value(Piece(255));
    const std::string key(Piece(15));
    value += static_cast<char>(Byte() & 3);  // compression
    PutFixed(value, Hash64(value, BlockSeed(kNumber, record + kBlobRecordHeaderBytes)));
    const unsigned lie = Byte();
    AppendBlobRecordHeader(
        content,
        {.stored_bytes = static_cast<std::uint32_t>(value.size() - kBlockTrailerBytes +
                                                    (lie == 1 ? Byte() : 0)),
         .key_bytes = static_cast<std::uint32_t>(key.size() + (lie == 2 ? Byte() << 20 : 0)),
         .version = Version(Byte())},
        key, kNumber, record);
    content += value;
    content += key;
  }

  ByteReader input_;
};

void Run(std::string_view input) {
  Builder builder(input);
  std::string content = builder.Records();
  const BlobFooter footer{.number = kNumber,
                          .records = builder.Byte(),
                          .record_bytes = content.size() - kBlobHeaderBytes,
                          .content_hash = Hash64(content)};
  BlobFile blob{.number = kNumber,
                .size = content.size() + kBlobFooterBytes,
                .value_bytes = footer.record_bytes,
                .content_hash = footer.content_hash};
  content += footer.Encode();
  const unsigned flip = builder.Byte();
  if (flip != 0) content[flip * 31 % content.size()] ^= 1;
  MemoryFileSystem files;
  CHECK(files.CreateDirectories("db").ok());
  auto file = files.Open("db/" + BlobName(kNumber), FileSystem::OpenMode::kCreate);
  CHECK(file.ok() && (*file)->WriteAt(0, content).ok());
  const auto reader = BlobReader::Open(files, "db", blob);
  if (!reader.ok()) {
    CHECK(reader.status().IsCorruption());
    return;
  }
  const BlobSet set({*reader});
  const Status walked = (*reader)->ForEach([&](const BlobReader::Record& record) {
    CHECK(record.value.size() <= kValueBytesMax);
    CHECK(set.Read(record.ref.Encode(), VerifyChecksums::kYes)->value == record.value);
    return Status::Ok();
  });
  CHECK(walked.ok() || walked.IsCorruption());
  for (int i = 0; i < 4; ++i) {
    const auto read = set.Read(builder.Ref().Encode(), VerifyChecksums(i % 2 == 0));
    CHECK(read.ok() || read.status().IsCorruption());
  }
  (void)BlobRef::Decode(input);
  (void)BlobFooter::Decode(input);
}

}  // namespace
}  // namespace bedrock::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bedrock::engine::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
