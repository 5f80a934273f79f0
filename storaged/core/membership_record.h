#pragma once

#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// The newest membership entry that was applied, so that a snapshot tells whose it is without the
/// log behind it. Replicated; written in the batch of its entry:
///
///   's' 'm' → [ index varint, the entry's payload ]      none: no membership entry was applied yet
///
/// storaged does not read the payload, raftd does.
struct MembershipRecord {
  LogIndex index;  ///< 0: none.
  Bytes payload;

  friend bool operator==(const MembershipRecord&, const MembershipRecord&) = default;
};

std::string EncodeMembershipRecord(LogIndex index, std::string_view payload);
/// corruption where the bytes are none.
Result<MembershipRecord> DecodeMembershipRecord(std::string_view record);
/// The record as it was at an applied version that is not below the watermark.
Result<MembershipRecord> ReadMembershipRecord(const engine::Engine& engine, Version at);

/// What is durable, as raftd is told of it: a mark, and the membership as of there. Moves as one,
/// so that a log which begins behind the mark begins with the right members.
///
/// A value; one thread.
class DurableProgress {
 public:
  /// Follows the engine. After an error (a read that failed) it stays as it was.
  Status Follow(const engine::Engine& engine);

  const engine::AppliedMark& mark() const { return mark_; }
  const MembershipRecord& membership() const { return membership_; }

 private:
  engine::AppliedMark mark_;
  MembershipRecord membership_;
};

}  // namespace bedrock::storage
