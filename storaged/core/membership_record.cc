#include "storaged/core/membership_record.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "storaged/core/keyspace.h"

namespace bedrock::storage {

std::string EncodeMembershipRecord(LogIndex index, std::string_view payload) {
  std::string record;
  PutVarint(record, index.value());
  record.append(payload);
  return record;
}

Result<MembershipRecord> DecodeMembershipRecord(std::string_view record) {
  ByteReader reader(record);
  const auto index = reader.Varint();
  if (!index || *index == 0) return Status::Corruption("membership record: no index");
  return MembershipRecord{.index = LogIndex(*index), .payload = Bytes::Copy(reader.rest())};
}

Result<MembershipRecord> ReadMembershipRecord(const engine::Engine& engine, Version at) {
  ASSIGN_OR_RETURN(const engine::Lookup found, engine.Get(kMembershipKey, at));
  if (!found.found) return MembershipRecord{};
  ASSIGN_OR_RETURN(MembershipRecord record, DecodeMembershipRecord(found.value));
  if (record.index.value() != found.version.value()) {
    return Status::Corruption("membership record: of another entry");
  }
  return record;
}

Status DurableProgress::Follow(const engine::Engine& engine) {
  const engine::AppliedMark mark = engine.durable_applied();
  if (mark == mark_) return Status::Ok();
  // The engine keeps the version: it may drop none that a replay from here could look at.
  ASSIGN_OR_RETURN(membership_, ReadMembershipRecord(engine, Version(mark.index.value())));
  mark_ = mark;
  return Status::Ok();
}

}  // namespace bedrock::storage
