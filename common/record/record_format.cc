#include "common/record/record_format.h"

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"

namespace bedrock::record {

void AppendRecord(std::string& out, const Record& record) {
  CHECK(record.type != 0);
  CHECK(record.payload.size() <= kPayloadBytesMax);
  CHECK(out.size() % kAlignment == 0);
  char header[kHeaderBytes];
  StoreFixed(header + 4, Crc32c(record.payload));
  StoreFixed(header + 8, static_cast<std::uint32_t>(record.payload.size()));
  StoreFixed(header + 12, kMagic);
  StoreFixed(header + 14, record.type);
  StoreFixed(header + 15, record.flags);
  StoreFixed(header + 16, record.stream);
  StoreFixed(header + 24, record.ordinal);
  StoreFixed(header + 32, record.aux);
  StoreFixed(header, Crc32c({header + 4, kHeaderBytes - 4}));
  out.append(header, kHeaderBytes);
  out.append(record.payload);
  out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
}

}  // namespace bedrock::record
