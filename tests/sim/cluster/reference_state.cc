#include "tests/sim/cluster/reference_state.h"

#include <algorithm>
#include <charconv>

#include "common/codec/coding.h"
#include "storaged/engine/change_reader.h"
#include "tests/sim/sim_text.h"

namespace bedrock::sim {

namespace {

using proto::Command;
using proto::CommandResult;
using proto::Condition;
using proto::ErrorCode;
using proto::Operation;
using proto::OperationResult;
using proto::Read;
using torture::Change;
using torture::Seen;

constexpr char kUser = 'u';
constexpr std::string_view kReplyPrefix = "si";
constexpr std::string_view kWatermark = "sw";

// As transactions.md and storaged's headers promise them.
constexpr std::uint64_t kKeptMs = 600'000;
constexpr std::uint64_t kClockStepMsMax = 60'000;
constexpr std::size_t kDropsPerEntryMax = 4;

std::string EngineKey(std::string_view key) { return kUser + std::string(key); }
std::string EngineEnd(std::string_view end) {
  return end.empty() ? std::string(1, kUser + 1) : EngineKey(end);
}

std::vector<Change> Decode(std::string_view changes) {
  std::vector<Change> decoded;
  engine::ChangeReader reader(changes);
  while (reader.Next()) {
    Change& change = decoded.emplace_back();
    switch (reader.kind()) {
      case engine::ChangeReader::Kind::kPut:
        change.kind = Change::Kind::kPut;
        break;
      case engine::ChangeReader::Kind::kDelete:
        change.kind = Change::Kind::kDelete;
        break;
      case engine::ChangeReader::Kind::kDeleteRange:
        change.kind = Change::Kind::kDeleteRange;
        break;
    }
    change.key = reader.key();
    change.value = reader.value();
  }
  return decoded;
}

std::optional<std::int64_t> Number(std::string_view text) {
  std::int64_t number = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stopped != text.data() + text.size()) return std::nullopt;
  return number;
}

bool AsksForChanges(const Condition& condition) {
  return condition.kind == Condition::Kind::kUnchangedSince ||
         condition.kind == Condition::Kind::kRangeUnchangedSince;
}

/// Puts and deletes give nothing: a command of nothing else has no results at all.
bool GivesNothing(const std::vector<Operation>& operations) {
  return std::all_of(operations.begin(), operations.end(), [](const Operation& operation) {
    return operation.kind == Operation::Kind::kPut || operation.kind == Operation::Kind::kDelete ||
           operation.kind == Operation::Kind::kDropHistory;
  });
}

std::string Show(const std::map<std::string, std::optional<std::string>, std::less<>>& writes) {
  std::string text = "{";
  for (const auto& [key, value] : writes) {
    text += " " + key + "=" + (value ? value->substr(0, 40) : "(deleted)");
  }
  return text + " }";
}

}  // namespace

std::optional<Seen> ReferenceState::Find(std::string_view key, Version at,
                                         const Writes& writes) const {
  const auto own = writes.find(key);
  if (own == writes.end()) return content_.Get(EngineKey(key), at);
  if (!own->second) return std::nullopt;
  return Seen{EngineKey(key), *own->second, Version()};
}

std::vector<Seen> ReferenceState::FindAll(std::string_view begin, std::string_view end, Version at,
                                          const Writes& writes) const {
  std::map<std::string, Seen> found;
  for (Seen& seen : content_.Scan(EngineKey(begin), EngineEnd(end), at)) {
    found[seen.key.substr(1)] = std::move(seen);
  }
  for (const auto& [key, value] : writes) {
    if (key < begin || (!end.empty() && key >= end)) continue;
    if (value) {
      found[key] = Seen{EngineKey(key), *value, Version()};
    } else {
      found.erase(key);
    }
  }
  std::vector<Seen> all;
  all.reserve(found.size());
  for (auto& [key, seen] : found) all.push_back({key, std::move(seen.value), seen.version});
  return all;
}

bool ReferenceState::ChangedSince(const Read& read, Version since) const {
  if (read.kind == Read::Kind::kKey) return content_.NewestVersion(EngineKey(read.key)) > since;
  // A key that is there now, or was then, and is another one.
  const auto before = content_.Scan(EngineKey(read.key), EngineEnd(read.end), since);
  const auto now = content_.Scan(EngineKey(read.key), EngineEnd(read.end), newest_);
  return before != now;
}

bool ReferenceState::Holds(const Condition& condition, Version at) const {
  const auto found = content_.Get(EngineKey(condition.key), at);
  const Version current = found ? found->version : Version();
  switch (condition.kind) {
    case Condition::Kind::kVersionEquals:
      return current == condition.version;
    case Condition::Kind::kExists:
      return found.has_value();
    case Condition::Kind::kAbsent:
      return !found;
    case Condition::Kind::kVersionLess:
      return current < condition.version;
    case Condition::Kind::kVersionGreater:
      return current > condition.version;
    case Condition::Kind::kValueEquals:
      return found && found->value == condition.operand;
    case Condition::Kind::kUnchangedSince:
      return !ChangedSince({Read::Kind::kKey, condition.key, {}, {}}, condition.version);
    case Condition::Kind::kRangeUnchangedSince:
      return !ChangedSince({Read::Kind::kRange, condition.key, condition.operand, {}},
                           condition.version);
  }
  return false;
}

OperationResult ReferenceState::RunOne(const Operation& operation, Version at, Evaluation& out,
                                       ErrorCode& refusal) const {
  OperationResult result;
  const std::string key(operation.key);
  switch (operation.kind) {
    case Operation::Kind::kPut:
      out.writes[key] = std::string(operation.value);
      break;
    case Operation::Kind::kDelete:
      out.writes[key] = std::nullopt;
      break;
    case Operation::Kind::kGet:
      if (const auto found = Find(key, at, out.writes)) {
        result.found = true;
        result.value = found->value;
        result.version = found->version;
      }
      break;
    case Operation::Kind::kScan: {
      std::vector<Seen> all = FindAll(key, operation.value, at, out.writes);
      if (operation.scan.form == proto::Scan::Form::kCount) {
        result.count = all.size();
        break;
      }
      if (operation.scan.reverse) std::reverse(all.begin(), all.end());
      const bool keys = operation.scan.form == proto::Scan::Form::kKeys;
      const std::size_t most =
          operation.scan.items_max == 0 ? proto::kScanItemsMax : operation.scan.items_max;
      for (Seen& seen : all) {
        if (result.items.size() == most) {
          result.more = true;
          result.next = operation.scan.reverse ? result.items.back().key : seen.key;
          break;
        }
        result.items.push_back(
            {seen.key, keys ? std::string() : std::move(seen.value), seen.version});
      }
      result.count = result.items.size();
      break;
    }
    case Operation::Kind::kDeleteRange:
      for (const Seen& seen : FindAll(key, operation.value, at, out.writes)) {
        out.writes[seen.key] = std::nullopt;
        ++result.count;
      }
      break;
    case Operation::Kind::kAdd: {
      const auto found = Find(key, at, out.writes);
      const auto before = found ? Number(found->value) : 0;
      std::int64_t sum = 0;
      if (!before || __builtin_add_overflow(*before, operation.delta, &sum)) {
        refusal = ErrorCode::kInvalidArgument;
        break;
      }
      result.value = std::to_string(sum);
      out.writes[key] = result.value;
      break;
    }
    case Operation::Kind::kDropHistory:
      out.drop_history = std::max(out.drop_history, operation.version);
      break;
  }
  return result;
}

bool ReferenceState::Run(const std::vector<Operation>& operations, Version at,
                         Evaluation& out) const {
  ErrorCode refusal = ErrorCode::kOk;
  for (const Operation& operation : operations) {
    out.result.results.push_back(RunOne(operation, at, out, refusal));
    if (refusal == ErrorCode::kOk) continue;
    out = {};
    out.result.code = refusal;
    return false;
  }
  if (GivesNothing(operations)) out.result.results.clear();
  return true;
}

ReferenceState::Evaluation ReferenceState::Evaluate(const Command& command, Version at) const {
  Evaluation out;
  for (const Condition& condition : command.conditions) {
    if (AsksForChanges(condition) && condition.version < watermark_) {
      out.result.code = ErrorCode::kVersionCompacted;
      return out;
    }
    if (Holds(condition, at)) continue;
    if (!command.otherwise) {
      out.result.code = ErrorCode::kPreconditionFailed;
      return out;
    }
    if (Run(*command.otherwise, at, out)) out.result.ran_otherwise = true;
    return out;
  }
  Run(command.operations, at, out);
  return out;
}

ReferenceState::Writes ReferenceState::UserWrites(std::string_view changes) const {
  Writes writes;
  for (const Change& change : Decode(changes)) {
    if (change.key.empty() || change.key[0] != kUser) continue;
    const std::string key = change.key.substr(1);
    switch (change.kind) {
      case Change::Kind::kPut:
        writes[key] = change.value;
        break;
      case Change::Kind::kDelete:
        writes[key] = std::nullopt;
        break;
      case Change::Kind::kDeleteRange: {
        const bool to_the_end = change.value.empty() || change.value[0] != kUser;
        const std::string end = to_the_end ? std::string() : change.value.substr(1);
        for (const Seen& seen : FindAll(key, end, newest_, writes)) writes[seen.key] = std::nullopt;
        break;
      }
    }
  }
  return writes;
}

ReferenceState::Writes ReferenceState::Essence(Writes writes) const {
  std::erase_if(writes, [this](const auto& write) {
    return !write.second && !content_.Get(EngineKey(write.first), newest_);
  });
  return writes;
}

void ReferenceState::AdvanceClock(std::uint64_t time_ms) {
  if (time_ms <= time_ms_) return;
  clock_ms_ += std::min(time_ms - time_ms_, kClockStepMsMax);
  time_ms_ = time_ms;
  std::erase_if(sessions_, [this](const auto& session) {
    return clock_ms_ - session.second.active_ms > kKeptMs;
  });
}

std::string ReferenceState::Execute(const raft::Entry& entry, std::string_view changes) {
  const Version version(entry.index.value());
  if (version != newest_.Next()) {
    return Text("entry ", version.value(), " applied after ", newest_.value());
  }
  AdvanceClock(entry.time_ms);
  const Writes actual = Essence(UserWrites(changes));
  std::string wrong;
  Records records;
  if (entry.kind == raft::EntryKind::kCommand) {
    wrong = ExecuteCommand(entry, actual, records);
  } else if (!actual.empty()) {
    wrong = "an entry that is no command wrote";
  }
  newest_ = version;
  std::vector<Change> decoded = Decode(changes);
  if (wrong.empty()) wrong = FollowRecords(decoded, records);
  if (!decoded.empty()) content_.Commit(version, std::move(decoded));
  if (wrong.empty()) wrong = CheckSet();
  return wrong.empty() ? wrong : Text("entry ", version.value(), ": ", wrong);
}

std::string ReferenceState::FollowRecords(const std::vector<Change>& changes,
                                          const Records& records) {
  std::string wrong = FollowReplies(changes, records.key_kept);
  return wrong.empty() ? FollowWatermark(changes, records.watermark) : wrong;
}

/// Each entry drops the oldest of the replies that have grown old, a few at a time, and keeps its
/// own.
std::string ReferenceState::FollowReplies(const std::vector<Change>& changes,
                                          const std::string& kept) {
  std::vector<std::string> due;
  for (const auto& [time_ms, key] : by_age_) {
    if (due.size() == kDropsPerEntryMax || clock_ms_ <= time_ms + kKeptMs) break;
    due.push_back(key);
  }
  std::vector<std::string> dropped;
  std::string added;
  for (const Change& change : changes) {
    if (change.key.substr(0, kReplyPrefix.size()) != kReplyPrefix) continue;
    std::string key = change.key.substr(kReplyPrefix.size());
    if (change.kind != Change::Kind::kPut) {
      dropped.push_back(std::move(key));
    } else if (key == kept) {
      added = std::move(key);
    } else {
      return "a reply was kept under the Idempotency-Key " + key + ", not " + kept;
    }
  }
  if (added != kept) return "the reply to the Idempotency-Key " + kept + " was not kept";
  if (dropped != due) {
    return Text("replies to Idempotency-Keys are dropped once they are old, the oldest first: ",
                dropped.size(), " were, not the ", due.size(), " that are due");
  }
  for (const std::string& key : due) {
    by_age_.erase({kept_.at(key), key});
    kept_.erase(key);
  }
  replies_dropped_ += due.size();
  if (kept.empty()) return "";
  kept_[kept] = clock_ms_;
  by_age_.emplace(clock_ms_, kept);
  return "";
}

std::string ReferenceState::FollowWatermark(const std::vector<Change>& changes, Version at_least) {
  const Version before = watermark_;
  for (const Change& change : changes) {
    if (change.key != kWatermark) continue;
    ByteReader reader(change.value);
    watermark_ = Version(reader.Varint().value_or(0));
    watermarks_[newest_] = watermark_;
  }
  if (watermark_ < before || watermark_ < at_least || watermark_ > newest_) {
    return Text("the watermark only goes up, as far as it is asked to: from ", before.value(),
                " to ", watermark_.value(), ", asked for ", at_least.value());
  }
  return "";
}

Version ReferenceState::WatermarkAt(Version at) const {
  const auto later = watermarks_.upper_bound(at);
  return later == watermarks_.begin() ? Version() : std::prev(later)->second;
}

bool ReferenceState::Certify(const Command& command, Version version) {
  bool certified = true;
  for (const Read& read : command.reads) {
    const Version since = read.at ? read.at : command.read_version;
    if (since < watermark_) compacted_.insert(version);
    certified = certified && !ChangedSince(read, since);
  }
  if (!certified) conflicts_.insert(version);
  return certified;
}

std::string ReferenceState::ExecuteCommand(const raft::Entry& entry, const Writes& actual,
                                           Records& records) {
  const Version version(entry.index.value());
  const auto command = proto::DecodeCommand(entry.payload.view());
  if (!command.ok()) return actual.empty() ? "" : "what is no command wrote";
  const std::pair id(command->session, command->sequence);
  const std::string key(command->idempotency.key);
  Session& session = sessions_[command->session];
  const bool known_key = kept_.contains(key);
  const bool known = known_key || session.executed.contains(command->sequence);
  const bool stale = command->sequence < session.low_water;
  session.low_water = std::max(session.low_water, command->low_water);
  session.active_ms = clock_ms_;

  const bool certified = known || stale || Certify(*command, version);
  const Evaluation expected = Evaluate(*command, newest_);
  if (!actual.empty()) {
    if (known) return "a command was executed twice";
    if (stale) return "a command below its session's low-water mark was executed";
    if (!certified) return "a transaction committed though what it read was changed";
    if (compacted_.contains(version)) {
      return "a transaction committed though nobody knows any more what it read";
    }
    if (Essence(expected.writes) != actual) {
      return Text("a command wrote ", Show(actual), " and not ", Show(Essence(expected.writes)));
    }
  }
  // Where ranges were deleted the real certifier may see a change that no key shows.
  const bool exact =
      command->reads.empty() &&
      std::none_of(command->conditions.begin(), command->conditions.end(), AsksForChanges);
  if (actual.empty() && !known && !stale && exact && !Essence(expected.writes).empty()) {
    return Text("a command did not write ", Show(Essence(expected.writes)));
  }
  if (known_key && !stale) session.executed.insert(command->sequence);
  if (known || stale) return "";
  session.executed.insert(command->sequence);
  records.key_kept = key;
  const bool again = !ever_by_sequence_.insert(id).second;
  has_forgotten_ |= again || (!key.empty() && !ever_by_key_.insert(key).second);
  const bool surely_ran = !actual.empty() || exact;
  if (!surely_ran) return "";
  ++executed_count_;
  results_[version] = expected.result;
  records.watermark = std::min(expected.drop_history, version);
  return "";
}

std::string ReferenceState::CheckSet() const {
  const std::size_t members =
      content_.Scan(EngineKey(kSetBegin), EngineKey(kSetEnd), newest_).size();
  if (members <= kSetMembersMax) return "";
  return Text("a range holds ", members,
              " members though every transaction that adds one has seen "
              "fewer than ",
              kSetMembersMax);
}

std::string ReferenceState::CheckGet(const proto::Get& get, const proto::GetReply& reply) const {
  if (!reply.error.ok()) return "";
  const Version at = reply.read_version;
  if (at < get.min_version) return Text("read at ", at.value(), " below ", get.min_version.value());
  if (get.at && at != get.at) return Text("read at ", at.value(), ", not at ", get.at.value());
  if (at > newest_) return Text("read at ", at.value(), ", which nobody has applied");
  const auto found = content_.Get(EngineKey(get.key.view()), at);
  const bool right =
      found.has_value() == reply.found &&
      (!found || (found->value == reply.value.view() && found->version == reply.version));
  if (right) return "";
  return Text(get.key.view(), " at ", at.value(), " is ",
              found ? found->value.substr(0, 60) : "(absent)", ", read as ",
              reply.found ? reply.value.view().substr(0, 60) : "(absent)");
}

std::string ReferenceState::CheckQuery(std::string_view encoded, const CommandResult& result,
                                       Version at) const {
  const auto command = proto::DecodeCommand(encoded);
  if (!command.ok() || result.code != ErrorCode::kOk) return "";
  if (at > newest_) return Text("queried at ", at.value(), ", which nobody has applied");
  for (const Condition& condition : command->conditions) {
    if (AsksForChanges(condition)) return "";  // about the present, which this is not
  }
  const Evaluation expected = Evaluate(*command, at);
  if (expected.result.code == ErrorCode::kOk && expected.result.results == result.results) {
    return "";
  }
  std::string text = Text("a query at ", at.value(), " gave another answer:");
  for (const Operation& operation : command->operations) {
    text += Text(" ", static_cast<int>(operation.kind), ":", operation.key);
  }
  return text;
}

std::string ReferenceState::CheckReply(const CommandResult& result) {
  std::string encoded = proto::EncodeCommandResult(result);
  const auto [known, fresh] = replies_.emplace(result.version, encoded);
  if (!fresh && known->second != encoded) {
    return Text("the command of entry ", result.version.value(), " got two different answers");
  }
  // First of all what it has read is looked at.
  if (compacted_.contains(result.version) && result.code != ErrorCode::kVersionCompacted) {
    return Text("the command of entry ", result.version.value(), " was answered ",
                proto::ErrorCodeName(result.code), " though it has read below the watermark");
  }
  if (conflicts_.contains(result.version) && result.code != ErrorCode::kTransactionConflict &&
      result.code != ErrorCode::kVersionCompacted) {
    return Text("the command of entry ", result.version.value(), " was answered ",
                proto::ErrorCodeName(result.code), " though what it has read was changed");
  }
  const auto expected = results_.find(result.version);
  const bool comparable = result.code == ErrorCode::kOk ||
                          result.code == ErrorCode::kPreconditionFailed ||
                          result.code == ErrorCode::kInvalidArgument;
  if (expected == results_.end() || !comparable) return "";
  const CommandResult& right = expected->second;
  if (right.code == result.code && right.results == result.results &&
      right.ran_otherwise == result.ran_otherwise) {
    return "";
  }
  return Text("the command of entry ", result.version.value(), " was answered ",
              proto::ErrorCodeName(result.code), " with ", result.results.size(), " results, not ",
              proto::ErrorCodeName(right.code), " with ", right.results.size());
}

}  // namespace bedrock::sim
