#include "common/record/record_reader.h"

#include <algorithm>

#include "common/codec/coding.h"
#include "common/codec/crc32c.h"

namespace bedrock::record {

std::optional<Record> RecordReader::Parse(std::size_t position) const {
  if (position > input_.size() || input_.size() - position < kHeaderBytes) return std::nullopt;
  const char* header = input_.data() + position;
  if (LoadFixed<std::uint16_t>(header + 12) != kMagic) return std::nullopt;
  if (LoadFixed<std::uint64_t>(header + 16) != stream_) return std::nullopt;
  if (LoadFixed<std::uint32_t>(header) != Crc32c({header + 4, kHeaderBytes - 4}))
    return std::nullopt;
  const std::size_t length = LoadFixed<std::uint32_t>(header + 8);
  if (length > kPayloadBytesMax || input_.size() - position < EncodedSize(length))
    return std::nullopt;
  const std::string_view payload(header + kHeaderBytes, length);
  if (LoadFixed<std::uint32_t>(header + 4) != Crc32c(payload)) return std::nullopt;
  const auto type = LoadFixed<std::uint8_t>(header + 14);
  if (type == 0) return std::nullopt;
  return Record{.type = type,
                .flags = LoadFixed<std::uint8_t>(header + 15),
                .stream = stream_,
                .ordinal = LoadFixed<std::uint64_t>(header + 24),
                .aux = LoadFixed<std::uint64_t>(header + 32),
                .payload = payload};
}

Finding RecordReader::Next() {
  if (position_ == input_.size()) return Finding::kEnd;
  if (const auto record = Parse(position_)) {
    record_ = *record;
    position_ += EncodedSize(record->payload.size());
    return Finding::kRecord;
  }
  const std::string_view rest = input_.substr(position_);
  const bool zeroes = std::all_of(rest.begin(), rest.end(), [](char c) { return c == '\0'; });
  return zeroes ? Finding::kZeroes : Finding::kDamaged;
}

bool RecordReader::Resync() {
  for (std::size_t at = position_ + kAlignment; at + kHeaderBytes <= input_.size();
       at += kAlignment) {
    if (Parse(at)) {
      position_ = at;
      return true;
    }
  }
  position_ = input_.size();
  return false;
}

}  // namespace bedrock::record
