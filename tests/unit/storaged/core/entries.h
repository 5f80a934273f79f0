#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/raft_messages.h"

namespace bedrock::storage {

// Makes log entries and commands for tests.

inline raft::Entry MakeEntry(std::uint64_t index, std::string payload,
                             raft::EntryKind kind = raft::EntryKind::kCommand) {
  raft::Entry entry;
  entry.index = LogIndex(index);
  entry.term = Term(1);
  entry.kind = kind;
  entry.time_ms = 1'700'000'000'000 + index * 100;
  entry.payload = Bytes(std::move(payload));
  return entry;
}

inline raft::Entry Noop(std::uint64_t index) {
  return MakeEntry(index, "", raft::EntryKind::kNoop);
}

inline proto::Command MakeCommand(std::uint64_t session, std::uint64_t sequence,
                                  std::uint64_t low_water = 0) {
  proto::Command command;
  command.session = SessionId(session);
  command.sequence = sequence;
  command.low_water = low_water;
  return command;
}

inline proto::Operation PutOf(std::string_view key, std::string_view value) {
  return {proto::Operation::Kind::kPut, key, value};
}
inline proto::Operation DeleteOf(std::string_view key) {
  return {proto::Operation::Kind::kDelete, key, {}};
}

inline proto::Operation GetOf(std::string_view key) {
  return {proto::Operation::Kind::kGet, key, {}};
}
inline proto::Operation AddOf(std::string_view key, std::int64_t delta) {
  return {.kind = proto::Operation::Kind::kAdd, .key = key, .delta = delta};
}
inline proto::Operation DeleteRangeOf(std::string_view begin, std::string_view end) {
  return {proto::Operation::Kind::kDeleteRange, begin, end};
}
inline proto::Operation ScanOf(std::string_view begin, std::string_view end,
                               const proto::Scan& scan = {}) {
  return {.kind = proto::Operation::Kind::kScan, .key = begin, .value = end, .scan = scan};
}
inline proto::Operation DropHistoryOf(std::uint64_t version) {
  return {.kind = proto::Operation::Kind::kDropHistory, .version = Version(version)};
}
inline proto::Read KeyRead(std::string_view key, std::uint64_t at = 0) {
  return {proto::Read::Kind::kKey, key, {}, Version(at)};
}
inline proto::Read RangeRead(std::string_view begin, std::string_view end, std::uint64_t at = 0) {
  return {proto::Read::Kind::kRange, begin, end, Version(at)};
}
/// 16 bytes that tell requests apart.
inline std::string FingerprintOf(char request) { return std::string(16, request); }

inline proto::Command PutCommand(std::uint64_t session, std::uint64_t sequence,
                                 std::string_view key, std::string_view value,
                                 std::uint64_t low_water = 0) {
  proto::Command command = MakeCommand(session, sequence, low_water);
  command.operations.push_back(PutOf(key, value));
  return command;
}

inline raft::Entry MakeEntry(std::uint64_t index, const proto::Command& command) {
  return MakeEntry(index, proto::EncodeCommand(command));
}

}  // namespace bedrock::storage
