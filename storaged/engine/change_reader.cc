#include "storaged/engine/change_reader.h"

#include "bedrock/write_batch.h"
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

bool ChangeReader::Next() {
  if (malformed_ || reader_.AtEnd()) return false;
  const auto kind = reader_.Fixed<std::uint8_t>();
  const auto key = reader_.LengthPrefixed();
  malformed_ = !key || *kind < static_cast<std::uint8_t>(Kind::kPut) ||
               *kind > static_cast<std::uint8_t>(Kind::kDeleteRange);
  if (malformed_) return false;
  kind_ = static_cast<Kind>(*kind);
  key_ = *key;
  value_ = {};
  if (kind_ == Kind::kDelete) return true;
  const auto value = reader_.LengthPrefixed();
  malformed_ = !value || (kind_ == Kind::kDeleteRange && !value->empty() && *value <= key_);
  if (malformed_) return false;
  value_ = *value;
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
