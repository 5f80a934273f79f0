#include "common/record/record_format.h"

#include <cstring>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"

namespace bedrock::record {

void EncodeRecord(char* out, const Record& record) {
  CHECK(record.type != 0);
  CHECK(record.payload.size() <= kPayloadBytesMax);
  StoreFixed(out + 4, Crc32c(record.payload));
  StoreFixed(out + 8, static_cast<std::uint32_t>(record.payload.size()));
  StoreFixed(out + 12, kMagic);
  StoreFixed(out + 14, record.type);
  StoreFixed(out + 15, record.flags);
  StoreFixed(out + 16, record.stream);
  StoreFixed(out + 24, record.ordinal);
  StoreFixed(out + 32, record.aux);
  StoreFixed(out, Crc32c({out + 4, kHeaderBytes - 4}));
  // memcpy takes no null, which an empty view may be.
  if (!record.payload.empty())
    std::memcpy(out + kHeaderBytes, record.payload.data(), record.payload.size());
  const std::size_t written = kHeaderBytes + record.payload.size();
  std::memset(out + written, 0, EncodedSize(record.payload.size()) - written);
}

void AppendRecord(std::string& out, const Record& record) {
  CHECK(out.size() % kAlignment == 0);
  const std::size_t at = out.size();
  out.resize(at + EncodedSize(record.payload.size()));
  EncodeRecord(out.data() + at, record);
}

}  // namespace bedrock::record
