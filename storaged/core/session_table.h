#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/command.h"
#include "storaged/core/kept_reply.h"

namespace bedrock::storage {

inline constexpr std::size_t kSessionsMax = 65'536;
inline constexpr std::size_t kRepliesPerSessionMax = 65'536;
inline constexpr std::size_t kRepliesMax = 262'144;  ///< Of all sessions together.
/// Of all replies that are more than a plain write's, encoded. All go into each flush.
inline constexpr std::size_t kReplyBytesMax = 64 * kMiB;
/// A session that was silent for longer than this, by the session clock, is dropped.
inline constexpr std::uint64_t kSessionIdleMsMax = 600'000;
/// The most that the session clock moves from one entry to the next.
inline constexpr std::uint64_t kSessionClockStepMsMax = 60'000;

/// What makes commands safe to send again: the reply to every command that its sender may still ask
/// for, by session and sequence number (Raft thesis 6.3). Part of the replicated state: every
/// replica that has applied the same entries holds the same table, and Encode gives the same bytes.
///
/// What is dropped is dropped by rules that need nothing but the entries:
///  - replies below the session's low-water mark, at once;
///  - sessions silent for kSessionIdleMsMax. They age by the *session clock*, which follows the
///    entries' replicated time but moves by at most kSessionClockStepMsMax an entry, so that a new
///    leader whose clock is hours ahead can't age every session at once;
///  - nothing else. At a bound a new command is refused (kFull) and leaves no trace, as if its
///    entry were not in the log: forgetting a reply instead could execute a command twice.
///
/// The session clock is also what idempotency replies age by (idempotency_store.h).
///
/// AdvanceTime and Enter may be repeated for the same entry without a further effect, so an entry
/// that could not be applied yet may be tried again, also after a flush and a restart in between.
///
/// In memory; encoded into each flush's client state (client_state.h):
///
///   [ format u8 = 1 ][ time ms varint ][ session clock ms varint ][ sessions varint ] session …
///   session = [ id u64 ][ low water varint ][ last active, by session clock varint ]
///             [ replies varint ] reply …                     ascending by id
///   reply   = [ sequence minus the one before (0 before the first) varint ]
///             [ length varint ][ proto::EncodeCommandResult ]  ascending by sequence
///
/// One thread.
class SessionTable {
 public:
  enum class Verdict : std::uint8_t {
    kNew,    ///< To be executed, and its reply given to Record.
    kKnown,  ///< Executed before: `reply` is the answer.
    kStale,  ///< Below the low-water mark: whether it was executed is not known any more.
    kFull,   ///< A bound is reached: refuse it.
  };
  struct Entered {
    Verdict verdict = Verdict::kNew;
    std::optional<proto::CommandResult> reply;  ///< Of kKnown.
  };

  /// The table of a client state. An empty one gives an empty table; corruption where the bytes
  /// are no table.
  static Result<SessionTable> Decode(std::string_view encoded);
  std::string Encode() const;
  void AppendTo(std::string& out) const;  ///< Encode's bytes.

  /// Drops what the time of an entry drops. A time below an earlier one counts as that one.
  void AdvanceTime(std::uint64_t time_ms);

  /// Raises the session's low-water mark to the command's and says what is to be done with the
  /// command. A session begins with its first Record, not here.
  /// REQUIRES: session and sequence are not 0.
  Entered Enter(SessionId session, std::uint64_t sequence, std::uint64_t low_water);

  /// Whether the reply's bytes are within the bounds. Where not, the command is refused as with
  /// kFull.
  bool HasRoomFor(const KeptReply& reply) const {
    return reply_bytes_ + reply.bytes() <= kReplyBytesMax;
  }
  /// Keeps the reply to a command that was executed.
  /// REQUIRES: Enter gave kNew for the same arguments, with no change since; HasRoomFor(reply).
  void Record(SessionId session, std::uint64_t sequence, std::uint64_t low_water, KeptReply reply);

  std::size_t session_count() const { return sessions_.size(); }
  std::size_t reply_count() const { return reply_count_; }
  std::size_t reply_bytes() const { return reply_bytes_; }
  /// The session clock, in milliseconds.
  std::uint64_t clock_ms() const { return clock_ms_; }

  friend bool operator==(const SessionTable&, const SessionTable&) = default;

 private:
  struct Session {
    std::uint64_t low_water = 0;
    std::uint64_t last_active_ms = 0;            // by the session clock
    std::map<std::uint64_t, KeptReply> replies;  // all at or above low_water

    friend bool operator==(const Session&, const Session&) = default;
  };
  using Sessions = std::map<SessionId, Session>;
  using Replies = std::map<std::uint64_t, KeptReply>;

  void Forget(const KeptReply& reply);
  void RaiseLowWater(Session& session, std::uint64_t low_water);
  void Touch(SessionId id, Session& session);
  void DropIdle();

  std::uint64_t time_ms_ = 0;   // of the newest entry
  std::uint64_t clock_ms_ = 0;  // the session clock
  Sessions sessions_;
  std::set<std::pair<std::uint64_t, SessionId>> by_activity_;  // of each session, last_active_ms
  // Over all sessions.
  std::size_t reply_count_ = 0;
  std::size_t reply_bytes_ = 0;
};

}  // namespace bedrock::storage
