#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/raft_messages.h"
#include "proto/storage_messages.h"
#include "tests/torture/model.h"

namespace bedrock::sim {

/// What the replicated log has made of the keyspace, entry by entry, by the plainest reading of
/// transactions.md: every version of every key, and what each command had to do and to answer.
/// Written anew here: nothing of storaged is used but the encodings.
///
/// It is told what the first replica to apply an entry did, judges that, and goes on from there.
/// That replies are forgotten once they are old, by the replicated time, is part of it: a command
/// that comes again later than that is executed again, and may be. One thread.
class ReferenceState {
 public:
  /// The most members that the range of the sets may hold after any entry (clients see to it by
  /// transactions that look before they add).
  static constexpr std::size_t kSetMembersMax = 3;
  static constexpr std::string_view kSetBegin = "s/";
  static constexpr std::string_view kSetEnd = "s0";

  /// The entry after newest(), and the changes of the keyspace (a WriteBatch) that came of it.
  /// Gives what is wrong with them; empty: nothing.
  std::string Execute(const raft::Entry& entry, std::string_view changes);

  // Whether what a storaged answered is what the content at that version says. Empty: it is.
  std::string CheckGet(const proto::Get& get, const proto::GetReply& reply) const;
  std::string CheckQuery(std::string_view command, const proto::CommandResult& result,
                         Version at) const;
  std::string CheckReply(const proto::CommandResult& result);

  Version newest() const { return newest_; }
  /// Everything, system records included, at a version.
  std::vector<torture::Seen> Content(Version at) const { return content_.Scan("", "", at); }
  /// Commands that wrote or would have, by their results.
  std::uint64_t executed() const { return executed_count_; }
  /// Versions below this one may be gone for whoever has applied everything up to `at`.
  Version WatermarkAt(Version at) const;
  /// A command was executed once more, long enough after the first time: what its client makes of
  /// that proves nothing.
  bool has_forgotten() const { return has_forgotten_; }
  /// Replies to Idempotency-Keys that were dropped because they were old.
  std::uint64_t replies_dropped() const { return replies_dropped_; }

 private:
  /// A command's writes of users' keys, each as it ends: a value, or none where it is deleted.
  using Writes = std::map<std::string, std::optional<std::string>, std::less<>>;

  struct Evaluation {
    proto::CommandResult result;
    Writes writes;
    Version drop_history;
  };

  Evaluation Evaluate(const proto::Command& command, Version at) const;
  bool Holds(const proto::Condition& condition, Version at) const;
  bool Run(const std::vector<proto::Operation>& operations, Version at, Evaluation& out) const;
  proto::OperationResult RunOne(const proto::Operation& operation, Version at, Evaluation& out,
                                proto::ErrorCode& refusal) const;
  std::optional<torture::Seen> Find(std::string_view key, Version at, const Writes& writes) const;
  std::vector<torture::Seen> FindAll(std::string_view begin, std::string_view end, Version at,
                                     const Writes& writes) const;
  bool ChangedSince(const proto::Read& read, Version since) const;

  /// A client of the cluster: a session, with what of it was executed.
  struct Session {
    std::uint64_t low_water = 0;
    std::uint64_t active_ms = 0;  ///< By clock_ms_.
    std::set<std::uint64_t> executed;
  };
  /// What an entry has to do to the system's own records.
  struct Records {
    std::string key_kept;  ///< The Idempotency-Key whose reply it keeps; empty: none.
    Version watermark;     ///< At least.
  };

  void AdvanceClock(std::uint64_t time_ms);
  std::string ExecuteCommand(const raft::Entry& entry, const Writes& actual, Records& records);
  /// Whether nobody has changed what the command has read; `certified_` and `compacted_` take note.
  bool Certify(const proto::Command& command, Version version);
  std::string FollowRecords(const std::vector<torture::Change>& changes, const Records& records);
  std::string FollowReplies(const std::vector<torture::Change>& changes, const std::string& kept);
  std::string FollowWatermark(const std::vector<torture::Change>& changes, Version at_least);
  Writes UserWrites(std::string_view changes) const;
  /// Without deletes of what was not there.
  Writes Essence(Writes writes) const;
  std::string CheckSet() const;

  torture::Model content_;
  Version newest_;
  Version watermark_;
  std::map<Version, Version> watermarks_;  ///< By the entry that moved it there.
  std::uint64_t time_ms_ = 0;              ///< Of the newest entry.
  std::uint64_t clock_ms_ = 0;             ///< The replicated time, in steps that are bounded.
  std::map<SessionId, Session> sessions_;
  std::map<std::string, std::uint64_t, std::less<>> kept_;  ///< Idempotency-Keys: since when.
  std::set<std::pair<std::uint64_t, std::string>> by_age_;  ///< The same, the oldest first.
  /// Commands that were ever executed.
  std::set<std::pair<SessionId, std::uint64_t>> ever_by_sequence_;
  std::set<std::string, std::less<>> ever_by_key_;
  bool has_forgotten_ = false;
  std::uint64_t replies_dropped_ = 0;
  std::set<Version> conflicts_;  ///< Commands that have read what was changed since.
  std::set<Version> compacted_;  ///< Commands that have read below the watermark.
  std::map<Version, proto::CommandResult> results_;  ///< Expected, of commands that were executed.
  std::map<Version, std::string> replies_;           ///< Given, encoded.
  std::uint64_t executed_count_ = 0;
};

}  // namespace bedrock::sim
