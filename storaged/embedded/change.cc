#include "storaged/embedded/change.h"

#include <string>

#include "common/base/status_macros.h"

namespace bedrock::embedded {
namespace {

Status CheckSize(std::string_view what, std::size_t size, std::size_t max) {
  if (size <= max) return {};
  return Status::InvalidArgument(std::string(what) + " has " + std::to_string(size) +
                                 " bytes, more than " + std::to_string(max));
}

}  // namespace

void Change::AddTo(WriteBatch& batch) const {
  switch (kind) {
    case Kind::kPut:
      return batch.Put(key, value);
    case Kind::kDelete:
      return batch.Delete(key);
    case Kind::kDeleteRange:
      return batch.DeleteRange(key, value);
  }
}

Status CheckKey(std::string_view key) {
  if (key.empty()) return Status::InvalidArgument("the key is empty");
  return CheckSize("the key", key.size(), kKeyBytesMax);
}

Status CheckBound(std::string_view bound) {
  return CheckSize("a bound of the range", bound.size(), kKeyBytesMax);
}

Status CheckValue(std::string_view value) {
  return CheckSize("the value", value.size(), kValueBytesMax);
}

Status CheckChange(const Change& change) {
  if (change.kind == Change::Kind::kDeleteRange) {
    RETURN_IF_ERROR(CheckBound(change.key));
    return CheckBound(change.value);
  }
  RETURN_IF_ERROR(CheckKey(change.key));
  return CheckValue(change.value);
}

Result<std::size_t> CheckBatch(const WriteBatch& batch) {
  RETURN_IF_ERROR(CheckSize("the batch", batch.bytes(), kBatchBytesMax));
  std::size_t bytes = 0;
  engine::ChangeReader reader(batch.encoded());
  while (reader.Next()) {
    const Change change{reader.kind(), reader.key(), reader.value()};
    RETURN_IF_ERROR(CheckChange(change));
    bytes += change.bytes();
  }
  if (reader.malformed()) return Status::InvalidArgument("the batch is malformed");
  return bytes;
}

}  // namespace bedrock::embedded
