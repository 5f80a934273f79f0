#include "storaged/engine/wal/wal_record.h"

#include <cstring>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"

namespace bedrock::engine::wal {
namespace {

constexpr std::size_t kCheckOffset = 4;
constexpr std::size_t kTypeOffset = 6;
constexpr std::size_t kLengthOffset = 8;
constexpr std::uint8_t kSynced = 1;  // in the type: a distance follows

char* StoreVarint(char* at, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

/// A varint of the least size, so that a record has one encoding.
std::optional<std::uint64_t> TakeVarint(ByteReader& reader) {
  const std::size_t before = reader.rest().size();
  const char* const begin = reader.rest().data();
  const auto value = reader.Varint();
  if (!value) return std::nullopt;
  const std::size_t size = before - reader.rest().size();
  if (size > 1 && begin[size - 1] == 0) return std::nullopt;
  return value;
}

/// The CRC of a header's end, bytes kTypeOffset up to the payload, at its place.
std::uint32_t HeaderCrc(FileNumber number, std::uint64_t offset, std::string_view fields) {
  char place[16];
  StoreFixed(place, number.value());
  StoreFixed(place + 8, offset);
  return ExtendCrc32c(Crc32c({place, sizeof(place)}), fields);
}

}  // namespace

std::size_t EncodeRecord(char* out, FileNumber number, std::uint64_t offset,
                         const WalRecord& record) {
  DCHECK(record.payload.size() <= kPayloadBytesMax && record.durable <= offset);
  const bool synced = record.durable != 0;
  StoreFixed(out + kTypeOffset, static_cast<std::uint8_t>(static_cast<std::uint8_t>(record.type) |
                                                          (synced ? kSynced : 0)));
  StoreFixed(out + kTypeOffset + 1, record.ordinal);
  char* at = StoreVarint(out + kLengthOffset, record.payload.size());
  if (synced) at = StoreVarint(at, offset - record.durable);
  const std::size_t header_bytes = static_cast<std::size_t>(at - out);
  const std::uint32_t header_crc =
      HeaderCrc(number, offset, {out + kTypeOffset, header_bytes - kTypeOffset});
  StoreFixed(out + kCheckOffset, static_cast<std::uint16_t>(header_crc));
  StoreFixed(out, ExtendCrc32c(header_crc, record.payload));
  // memcpy takes no null, which an empty view may be.
  if (!record.payload.empty()) std::memcpy(at, record.payload.data(), record.payload.size());
  return header_bytes + record.payload.size();
}

void AppendRecord(std::string& out, FileNumber number, std::uint64_t offset,
                  const WalRecord& record) {
  const std::size_t at = out.size();
  out.resize(at + RecordBytesMax(record.payload.size()));
  out.resize(at + EncodeRecord(out.data() + at, number, offset, record));
}

/// The end of the record that stands whole at `at`, which is in record_ then.
std::optional<std::uint64_t> WalRecordReader::Parse(std::uint64_t at) {
  if (at > segment_.size() || segment_.size() - at < kRecordHeaderBytesMin) return std::nullopt;
  const char* const header = segment_.data() + at;
  const auto type = LoadFixed<std::uint8_t>(header + kTypeOffset);
  const auto kind = static_cast<RecordType>(type & ~kSynced);
  if (kind != RecordType::kCommit && kind != RecordType::kClose) return std::nullopt;
  ByteReader reader(segment_.substr(at + kLengthOffset));
  const auto length = TakeVarint(reader);
  if (!length || *length > kPayloadBytesMax) return std::nullopt;
  WalRecord record{.type = kind, .ordinal = LoadFixed<std::uint8_t>(header + kTypeOffset + 1)};
  if ((type & kSynced) != 0) {
    const auto distance = TakeVarint(reader);
    if (!distance || *distance >= at) return std::nullopt;
    record.durable = at - *distance;
  }
  const char* const fields = header + kTypeOffset;
  const std::uint32_t header_crc =
      HeaderCrc(number_, at, {fields, static_cast<std::size_t>(reader.rest().data() - fields)});
  if (LoadFixed<std::uint16_t>(header + kCheckOffset) != static_cast<std::uint16_t>(header_crc))
    return std::nullopt;
  const auto payload = reader.Take(*length);
  if (!payload || LoadFixed<std::uint32_t>(header) != ExtendCrc32c(header_crc, *payload))
    return std::nullopt;
  record.payload = *payload;
  record_ = record;
  return segment_.size() - reader.rest().size();
}

bool WalRecordReader::Next() {
  const auto end = Parse(offset_);
  if (!end) return false;
  offset_ = *end;
  return true;
}

bool WalRecordReader::FindProof(std::uint64_t end) {
  std::uint64_t at = offset_;
  while (at + kRecordHeaderBytesMin <= segment_.size()) {
    const auto type = LoadFixed<std::uint8_t>(segment_.data() + at + kTypeOffset);
    const auto record_end = type < 0xC0 || type > 0xC3 ? std::nullopt : Parse(at);
    if (record_end && record_.durable > end) {
      offset_ = *record_end;
      return true;
    }
    at = record_end.value_or(at + 1);
  }
  offset_ = segment_.size();
  return false;
}

}  // namespace bedrock::engine::wal
