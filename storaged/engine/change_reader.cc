#include "storaged/engine/change_reader.h"

#include "bedrock/write_batch.h"
#include "common/codec/coding.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock {

namespace {

using Kind = engine::ChangeReader::Kind;

void AppendChange(std::string& out, Kind kind, std::string_view key) {
  out.push_back(static_cast<char>(kind));
  PutLengthPrefixed(out, key);
}

}  // namespace

void WriteBatch::Put(std::string_view key, std::string_view value) {
  AppendChange(encoded_, Kind::kPut, key);
  PutLengthPrefixed(encoded_, value);
  ++count_;
}

void WriteBatch::Delete(std::string_view key) {
  AppendChange(encoded_, Kind::kDelete, key);
  ++count_;
}

void WriteBatch::DeleteRange(std::string_view begin, std::string_view end) {
  if (!end.empty() && end <= begin) return;
  AppendChange(encoded_, Kind::kDeleteRange, begin);
  PutLengthPrefixed(encoded_, end);
  ++count_;
}

void WriteBatch::Clear() {
  encoded_.clear();
  count_ = 0;
}

}  // namespace bedrock

namespace bedrock::engine {

bool ChangeReader::TakeLongSize(std::uint64_t& size) {
  ByteReader reader({at_, static_cast<std::size_t>(end_ - at_)});
  const auto value = reader.Varint();
  if (!value) return false;
  at_ = reader.rest().data();
  size = *value;
  return true;
}

Status CheckChanges(std::string_view changes) {
  ChangeReader reader(changes);
  while (reader.Next()) {
    const bool range = reader.kind() == ChangeReader::Kind::kDeleteRange;
    if (reader.key().size() > kKeyBytesMax || (range && reader.value().size() > kKeyBytesMax)) {
      return Status::InvalidArgument("key too long");
    }
    if (!range && reader.value().size() > kValueBytesMax) {
      return Status::InvalidArgument("value too long");
    }
  }
  if (reader.malformed()) return Status::Corruption("malformed write batch");
  return {};
}

}  // namespace bedrock::engine
