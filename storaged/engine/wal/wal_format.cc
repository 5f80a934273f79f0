#include "storaged/engine/wal/wal_format.h"

#include <charconv>

#include "common/codec/coding.h"
#include "common/codec/crc32c.h"

namespace bedrock::engine::wal {
namespace {

constexpr std::uint64_t kMagic = 0x474F4C41574B5242;  // "BRKWALOG"
constexpr std::size_t kCrcOffset = 8;
constexpr std::size_t kCheckedOffset = 12;
constexpr std::size_t kFieldsOffset = 16;
constexpr std::size_t kCheckedEnd = 72;
constexpr std::size_t kNameDigits = 6;

std::uint32_t CheckedCrc(std::string_view page) {
  return Crc32c(page.substr(kCheckedOffset, kCheckedEnd - kCheckedOffset));
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string page(kSegmentHeaderBytes, '\0');
  StoreFixed(page.data(), kMagic);
  StoreFixed(page.data() + kCheckedOffset, kFormatVersion);
  char* at = page.data() + kFieldsOffset;
  for (const std::uint64_t field :
       {header.database_id, header.number.value(), header.bytes, header.first_version.value(),
        header.previous.value(), header.previous_end, header.previous_durable}) {
    StoreFixed(at, field);
    at += sizeof(field);
  }
  StoreFixed(page.data() + kCrcOffset, CheckedCrc(page));
  return page;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view page) {
  if (page.size() < kCheckedEnd) return Status::Corruption("the header is cut short");
  if (LoadFixed<std::uint64_t>(page.data()) != kMagic)
    return Status::Corruption("the header is damaged, or this is no write-ahead log");
  if (LoadFixed<std::uint32_t>(page.data() + kCrcOffset) != CheckedCrc(page))
    return Status::Corruption("the header is damaged: bad checksum");
  const auto format = LoadFixed<std::uint32_t>(page.data() + kCheckedOffset);
  if (format != kFormatVersion) {
    return Status::Corruption("the log has format " + std::to_string(format) +
                              "; this program reads format " + std::to_string(kFormatVersion));
  }
  const char* at = page.data() + kFieldsOffset;
  const auto take = [&] {
    const auto field = LoadFixed<std::uint64_t>(at);
    at += sizeof(field);
    return field;
  };
  SegmentHeader header;
  header.database_id = take();
  header.number = FileNumber(take());
  header.bytes = take();
  header.first_version = Version(take());
  header.previous = FileNumber(take());
  header.previous_end = take();
  header.previous_durable = take();
  const bool plausible = header.number && header.first_version && header.previous < header.number &&
                         header.bytes <= kSegmentBytesMax &&
                         header.previous_end <= kSegmentBytesMax &&
                         header.previous_durable <= header.previous_end;
  if (!plausible) return Status::Corruption("the header contradicts itself");
  return header;
}

std::string SegmentName(FileNumber number, std::string_view suffix) {
  std::string digits = std::to_string(number.value());
  if (digits.size() < kNameDigits) digits.insert(0, kNameDigits - digits.size(), '0');
  return digits + std::string(suffix);
}

std::optional<FileNumber> ParseSegmentName(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  const std::string_view digits = name.substr(0, name.size() - suffix.size());
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const FileNumber number(value);
  if (error != std::errc() || stop != digits.data() + digits.size() || !number ||
      SegmentName(number, suffix) != name) {
    return std::nullopt;
  }
  return number;
}

}  // namespace bedrock::engine::wal
