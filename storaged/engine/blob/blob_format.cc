#include "storaged/engine/blob/blob_format.h"

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::engine {
namespace {

constexpr std::uint64_t kMagic = 0x53424F4C424B5242;  // "BRKBLOBS"
constexpr std::size_t kHashedHeaderBytes = 24;
constexpr std::size_t kHashedFooterBytes = 40;
constexpr std::size_t kRecordFieldsBytes = 16;

Status CheckFormat(std::uint32_t format) {
  if (format == kBlobFormatVersion) return Status::Ok();
  return Status::Corruption("a blob file of format " + std::to_string(format) +
                            "; this program reads format " + std::to_string(kBlobFormatVersion));
}

}  // namespace

std::string BlobRef::Encode() const {
  std::string out;
  PutVarint(out, file.value());
  PutVarint(out, offset);
  PutVarint(out, size);
  return out;
}

Result<BlobRef> BlobRef::Decode(std::string_view text) {
  ByteReader reader(text);
  const auto file = reader.Varint();
  const auto offset = reader.Varint();
  const auto size = reader.Varint();
  if (!reader.AtEnd() || *file == 0 || *size > kBlockBytesMax) {
    return Status::Corruption("not a reference to a blob");
  }
  return BlobRef{FileNumber(*file), *offset, *size};
}

std::string BlobFooter::Encode() const {
  std::string out;
  PutFixed(out, number.value());
  PutFixed(out, records);
  PutFixed(out, record_bytes);
  PutFixed(out, content_hash);
  PutFixed(out, kBlobFormatVersion);
  PutFixed(out, std::uint32_t{0});
  PutFixed(out, Hash64(out));
  PutFixed(out, kMagic);
  return out;
}

Result<BlobFooter> BlobFooter::Decode(std::string_view text) {
  ByteReader reader(text);
  BlobFooter footer;
  footer.number = FileNumber(reader.Fixed<std::uint64_t>().value_or(0));
  footer.records = reader.Fixed<std::uint64_t>().value_or(0);
  footer.record_bytes = reader.Fixed<std::uint64_t>().value_or(0);
  footer.content_hash = reader.Fixed<std::uint64_t>().value_or(0);
  const auto format = reader.Fixed<std::uint32_t>();
  const auto zero = reader.Fixed<std::uint32_t>();
  const auto hash = reader.Fixed<std::uint64_t>();
  const auto magic = reader.Fixed<std::uint64_t>();
  if (!reader.AtEnd() || *magic != kMagic || *hash != Hash64(text.substr(0, kHashedFooterBytes)) ||
      *zero != 0) {
    return Status::Corruption("the footer is damaged, or this is no blob file");
  }
  RETURN_IF_ERROR(CheckFormat(*format));
  return footer;
}

std::string EncodeBlobHeader(FileNumber number) {
  std::string out;
  PutFixed(out, kMagic);
  PutFixed(out, kBlobFormatVersion);
  PutFixed(out, std::uint32_t{0});
  PutFixed(out, number.value());
  PutFixed(out, Hash64(out));
  return out;
}

Status CheckBlobHeader(std::string_view text, FileNumber number) {
  if (text.size() != kBlobHeaderBytes || LoadFixed<std::uint64_t>(text.data()) != kMagic ||
      LoadFixed<std::uint64_t>(text.data() + kHashedHeaderBytes) !=
          Hash64(text.substr(0, kHashedHeaderBytes))) {
    return Status::Corruption("the header is damaged, or this is no blob file");
  }
  RETURN_IF_ERROR(CheckFormat(LoadFixed<std::uint32_t>(text.data() + 8)));
  const FileNumber found(LoadFixed<std::uint64_t>(text.data() + 16));
  if (found != number) {
    return Status::Corruption("this is blob file " + std::to_string(found.value()));
  }
  return Status::Ok();
}

std::uint64_t BlobRecordHash(std::string_view fields, std::string_view key, FileNumber number,
                             std::uint64_t offset) {
  return Hash64(key, Hash64(fields.substr(0, kRecordFieldsBytes), BlockSeed(number, offset)));
}

void AppendBlobRecordHeader(std::string& out, const BlobRecordHeader& header, std::string_view key,
                            FileNumber number, std::uint64_t offset) {
  const std::size_t begin = out.size();
  PutFixed(out, header.stored_bytes);
  PutFixed(out, header.key_bytes);
  PutFixed(out, header.version.value());
  PutFixed(out, BlobRecordHash(std::string_view(out).substr(begin), key, number, offset));
}

BlobRecordHeader DecodeBlobRecordHeader(std::string_view text) {
  return {.stored_bytes = LoadFixed<std::uint32_t>(text.data()),
          .key_bytes = LoadFixed<std::uint32_t>(text.data() + 4),
          .version = Version(LoadFixed<std::uint64_t>(text.data() + 8)),
          .hash = LoadFixed<std::uint64_t>(text.data() + kRecordFieldsBytes)};
}

}  // namespace bedrock::engine
