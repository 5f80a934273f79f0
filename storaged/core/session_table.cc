#include "storaged/core/session_table.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/coding.h"

namespace bedrock::storage {
namespace {

constexpr std::uint8_t kFormat = 1;

Status Damaged(std::string_view what) {
  return Status::Corruption(std::string("session table: ") + std::string(what));
}

// Only what was decided is kept.
bool IsKept(proto::ErrorCode code) {
  switch (code) {
    case proto::ErrorCode::kOk:
    case proto::ErrorCode::kPreconditionFailed:
    case proto::ErrorCode::kTransactionConflict:
    case proto::ErrorCode::kVersionCompacted:
    case proto::ErrorCode::kInvalidArgument:
    case proto::ErrorCode::kTransactionTooLarge:
    case proto::ErrorCode::kIdempotencyKeyReused:
      return true;
    default:
      return false;
  }
}

Result<KeptReply> DecodeReply(ByteReader& reader) {
  const auto encoded = reader.LengthPrefixed();
  if (!encoded) return Damaged("it ends inside a reply");
  auto reply = proto::DecodeCommandResult(*encoded);
  if (!reply.ok()) return reply.status().Prefixed("session table");
  if (!IsKept(reply->code)) return Damaged("a reply has a code that is never kept");
  return KeptReply(*reply);
}

// Reads `count` replies, ascending from `low_water` on.
Result<std::map<std::uint64_t, KeptReply>> DecodeReplies(ByteReader& reader, std::uint64_t count,
                                                         std::uint64_t low_water) {
  std::map<std::uint64_t, KeptReply> replies;
  std::uint64_t sequence = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto delta = reader.Varint();
    if (!delta) return Damaged("it ends inside a reply");
    if (*delta == 0 || *delta > std::numeric_limits<std::uint64_t>::max() - sequence) {
      return Damaged("sequence numbers do not ascend");
    }
    sequence += *delta;
    if (sequence < low_water) return Damaged("a reply is below its low-water mark");
    ASSIGN_OR_RETURN(KeptReply reply, DecodeReply(reader));
    replies.emplace_hint(replies.end(), sequence, std::move(reply));
  }
  return replies;
}

}  // namespace

Result<SessionTable> SessionTable::Decode(std::string_view encoded) {
  SessionTable table;
  if (encoded.empty()) return table;
  ByteReader reader(encoded);
  const auto format = reader.Fixed<std::uint8_t>();
  if (format != kFormat) return Damaged("unknown format");
  const auto time = reader.Varint();
  const auto clock = reader.Varint();
  const auto sessions = reader.Varint();
  if (!time || !clock || !sessions) return Damaged("it ends inside its header");
  if (*sessions > kSessionsMax) return Damaged("too many sessions");
  table.time_ms_ = *time;
  table.clock_ms_ = *clock;

  SessionId previous;
  for (std::uint64_t i = 0; i < *sessions; ++i) {
    const auto id = reader.Fixed<std::uint64_t>();
    const auto low_water = reader.Varint();
    const auto last_active = reader.Varint();
    const auto replies = reader.Varint();
    if (!id || !low_water || !last_active || !replies) return Damaged("it ends inside a session");
    if (SessionId(*id) <= previous) return Damaged("sessions do not ascend");
    if (*last_active > *clock || *clock - *last_active > kSessionIdleMsMax) {
      return Damaged("a session was active in the future or too long ago");
    }
    if (*replies > kRepliesPerSessionMax || table.reply_count_ + *replies > kRepliesMax) {
      return Damaged("too many replies");
    }
    previous = SessionId(*id);
    Session session{.low_water = *low_water, .last_active_ms = *last_active, .replies = {}};
    ASSIGN_OR_RETURN(session.replies, DecodeReplies(reader, *replies, *low_water));
    table.reply_count_ += session.replies.size();
    for (const auto& [sequence, reply] : session.replies) table.reply_bytes_ += reply.bytes();
    if (table.reply_bytes_ > kReplyBytesMax) return Damaged("too large replies");
    table.by_activity_.emplace(*last_active, previous);
    table.sessions_.emplace_hint(table.sessions_.end(), previous, std::move(session));
  }
  if (!reader.AtEnd()) return Damaged("bytes after its end");
  return table;
}

std::string SessionTable::Encode() const {
  std::string out;
  AppendTo(out);
  return out;
}

void SessionTable::AppendTo(std::string& out) const {
  PutFixed(out, kFormat);
  PutVarint(out, time_ms_);
  PutVarint(out, clock_ms_);
  PutVarint(out, sessions_.size());
  for (const auto& [id, session] : sessions_) {
    PutFixed(out, id.value());
    PutVarint(out, session.low_water);
    PutVarint(out, session.last_active_ms);
    PutVarint(out, session.replies.size());
    std::uint64_t previous = 0;
    for (const auto& [sequence, reply] : session.replies) {
      PutVarint(out, sequence - previous);
      PutLengthPrefixed(out, reply.Encode());
      previous = sequence;
    }
  }
}

void SessionTable::AdvanceTime(std::uint64_t time_ms) {
  if (time_ms <= time_ms_) return;
  clock_ms_ += std::min(time_ms - time_ms_, kSessionClockStepMsMax);
  time_ms_ = time_ms;
  DropIdle();
}

void SessionTable::DropIdle() {
  while (!by_activity_.empty() && clock_ms_ - by_activity_.begin()->first > kSessionIdleMsMax) {
    const auto session = sessions_.find(by_activity_.begin()->second);
    CHECK(session != sessions_.end());
    for (const auto& [sequence, reply] : session->second.replies) Forget(reply);
    sessions_.erase(session);
    by_activity_.erase(by_activity_.begin());
  }
}

SessionTable::Entered SessionTable::Enter(SessionId id, std::uint64_t sequence,
                                          std::uint64_t low_water) {
  CHECK(id && sequence != 0);
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) {
    if (sequence < low_water) return {.verdict = Verdict::kStale, .reply = std::nullopt};
    const bool full = sessions_.size() >= kSessionsMax || reply_count_ >= kRepliesMax;
    return {.verdict = full ? Verdict::kFull : Verdict::kNew, .reply = std::nullopt};
  }
  Session& session = found->second;
  Touch(id, session);
  RaiseLowWater(session, low_water);
  const auto known = session.replies.find(sequence);
  if (known != session.replies.end()) {
    return {.verdict = Verdict::kKnown, .reply = known->second.Result()};
  }
  if (sequence < session.low_water) return {.verdict = Verdict::kStale, .reply = std::nullopt};
  const bool full = session.replies.size() >= kRepliesPerSessionMax || reply_count_ >= kRepliesMax;
  return {.verdict = full ? Verdict::kFull : Verdict::kNew, .reply = std::nullopt};
}

void SessionTable::Record(SessionId id, std::uint64_t sequence, std::uint64_t low_water,
                          KeptReply reply) {
  CHECK(HasRoomFor(reply));
  reply_bytes_ += reply.bytes();
  const auto [entry, begun] = sessions_.try_emplace(id);
  Session& session = entry->second;
  if (begun) {
    session.low_water = low_water;
    session.last_active_ms = clock_ms_;
    by_activity_.emplace(clock_ms_, id);
  }
  CHECK(IsKept(reply.code()));
  // Sequence numbers come nearly in order: the end is the right hint.
  const std::size_t before = session.replies.size();
  session.replies.emplace_hint(session.replies.end(), sequence, std::move(reply));
  CHECK(session.replies.size() == before + 1);
  ++reply_count_;
}

void SessionTable::RaiseLowWater(Session& session, std::uint64_t low_water) {
  if (low_water <= session.low_water) return;
  session.low_water = low_water;
  auto reply = session.replies.begin();
  while (reply != session.replies.end() && reply->first < low_water) {
    Forget(reply->second);
    reply = session.replies.erase(reply);
  }
}

void SessionTable::Forget(const KeptReply& reply) {
  --reply_count_;
  reply_bytes_ -= reply.bytes();
}

void SessionTable::Touch(SessionId id, Session& session) {
  if (session.last_active_ms == clock_ms_) return;
  by_activity_.erase({session.last_active_ms, id});
  session.last_active_ms = clock_ms_;
  by_activity_.emplace(clock_ms_, id);
}

}  // namespace bedrock::storage
