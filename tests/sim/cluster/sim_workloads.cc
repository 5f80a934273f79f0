#include <charconv>
#include <map>
#include <sstream>
#include <utility>

#include "tests/sim/cluster/sim_client.h"

namespace bedrock::sim {

namespace {

using checker::RegisterOperation;
using checker::Transaction;
using proto::Condition;
using proto::ErrorCode;
using proto::Operation;

Operation Put(std::string_view key, std::string_view value) {
  return {.kind = Operation::Kind::kPut, .key = key, .value = value};
}
Operation Delete(std::string_view key) { return {.kind = Operation::Kind::kDelete, .key = key}; }
Operation Get(std::string_view key) { return {.kind = Operation::Kind::kGet, .key = key}; }
Operation DeleteRange(std::string_view begin, std::string_view end) {
  return {.kind = Operation::Kind::kDeleteRange, .key = begin, .value = end};
}
Operation ScanOf(std::string_view begin, std::string_view end, const proto::Scan& scan) {
  return {.kind = Operation::Kind::kScan, .key = begin, .value = end, .scan = scan};
}

// ---- Registers

constexpr std::uint64_t kMomentsBeforeNewRegisters = 150;

class RegisterClient final : public SimClient {
 public:
  using SimClient::SimClient;

 private:
  using Kind = RegisterOperation::Kind;
  using Fate = RegisterOperation::Fate;

  void Work() override {
    // Other registers now and then: to judge one of many writes of unknown fate takes too long.
    const std::uint64_t epoch = histories_.moments / kMomentsBeforeNewRegisters;
    key_ = "r" + std::to_string(epoch * world_.options.keys + random_.Below(world_.options.keys));
    if (random_.Chance(world_.options.drop_history, 1000)) return DropHistory();
    const std::uint64_t drawn = random_.Below(100);
    if (drawn < 30) return Read();
    if (drawn < 40) return ReadStale();
    if (drawn < 50) return QueryAll();
    if (drawn < 75) return Overwrite(NewValue());
    if (drawn < 82) return Overwrite(0);
    CompareAndSet();
  }

  RegisterOperation Begun(Kind kind, std::uint64_t value) const {
    RegisterOperation operation;
    operation.name = name();
    operation.kind = kind;
    operation.value = value;
    operation.begun = begun_;
    return operation;
  }
  void Record(RegisterOperation operation) {
    operation.ended = histories_.Now();
    histories_.registers[key_].push_back(std::move(operation));
  }

  void Read() {
    proto::ClientGet get;
    get.key = Bytes::Copy(key_);
    Ask(get, Door::kListener, [this](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientGetReply>();
      if (reply != nullptr && (reply->error.ok() || reply->error.code == ErrorCode::kKeyNotFound)) {
        ++world_.stats.reads;
        known_[key_] = reply->error.ok() ? ValueOf(reply->value.view()) : 0;
        Record(Begun(Kind::kRead, known_[key_]));
        world_.checkers.OnRead(name(), floor(), reply->read_version);
        last_read_ = reply->read_version;
      }
      Done();
    });
  }

  /// No newer than now and no older than what it asks for: what the version holds is checked where
  /// it is answered.
  void ReadStale() {
    proto::ClientGet get;
    get.key = Bytes::Copy(key_);
    get.consistency = proto::Consistency::kStale;
    const bool at_least = random_.Chance(1, 2);
    if (at_least) get.min_version = last_read_;
    const bool at = !at_least && random_.Chance(1, 2);
    if (at) get.at = last_read_;
    Ask(get, Door::kListener, [this, get](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientGetReply>();
      if (reply != nullptr && (reply->error.ok() || reply->error.code == ErrorCode::kKeyNotFound)) {
        ++world_.stats.stale_reads;
        const bool right =
            reply->read_version >= get.min_version && (!get.at || reply->read_version == get.at);
        if (!right) {
          Fail("a stale read is at the version it asks for",
               "read at " + std::to_string(reply->read_version.value()));
        }
        world_.checkers.OnGet(NodeId(), {get.key, get.min_version, get.at},
                              {.error = {},
                               .found = reply->error.ok(),
                               .value = reply->value,
                               .version = reply->version,
                               .read_version = reply->read_version});
      }
      Done();
    });
  }

  void QueryAll() {
    proto::Command command;
    proto::Scan scan;
    scan.items_max = static_cast<std::uint32_t>(random_.Below(5));
    scan.reverse = random_.Chance(1, 3);
    scan.form = static_cast<proto::Scan::Form>(random_.Below(3));
    command.operations = {Get(key_), ScanOf("a", "z", scan)};
    proto::ClientQuery query;
    query.command = Bytes(proto::EncodeCommand(command));
    const bool stale = random_.Chance(1, 3);
    if (stale) query.consistency = proto::Consistency::kStale;
    Ask(query, Door::kListener, [this, stale](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientQueryReply>();
      if (reply != nullptr && reply->error.ok()) {
        ++world_.stats.reads;
        if (!stale) {
          const proto::OperationResult& got = reply->result.results.at(0);
          Record(Begun(Kind::kRead, got.found ? ValueOf(got.value) : 0));
          world_.checkers.OnRead(name(), floor(), reply->read_version);
        }
      }
      Done();
    });
  }

  void OnWritten(RegisterOperation operation, const Written& written) {
    switch (written.fate) {
      case Written::Fate::kDone:
        known_[key_] = operation.value;
        break;
      case Written::Fate::kRefused:
      case Written::Fate::kNone:
        operation.fate = Fate::kRefused;
        break;
      case Written::Fate::kUnknown:
        operation.fate = Fate::kUnknown;
        break;
    }
    const bool says_nothing =
        written.fate == Written::Fate::kNone ||
        (written.fate == Written::Fate::kRefused && written.code != ErrorCode::kPreconditionFailed);
    if (!says_nothing) Record(std::move(operation));
  }

  /// With 0: deletes.
  void Overwrite(std::uint64_t value) {
    const std::string text = TextOf(value);
    proto::Command command;
    command.operations = {value == 0 ? Delete(key_) : Put(key_, text)};
    Write(std::move(command), DrawWay(),
          [this, operation = Begun(Kind::kWrite, value)](const Written& written) {
            OnWritten(operation, written);
          });
  }

  void CompareAndSet() {
    const std::uint64_t expected = random_.Chance(1, 5) ? 0 : known_[key_];
    const std::uint64_t value = NewValue();
    const std::string text = TextOf(value);
    const std::string old = TextOf(expected);
    proto::Command command;
    Condition condition;
    condition.key = key_;
    condition.kind = expected == 0 ? Condition::Kind::kAbsent : Condition::Kind::kValueEquals;
    if (expected != 0) condition.operand = old;
    command.conditions = {condition};
    command.operations = {Put(key_, text)};
    RegisterOperation operation = Begun(Kind::kCompareAndSet, value);
    operation.expected = expected;
    Write(std::move(command), DrawWay(),
          [this, operation](const Written& written) { OnWritten(operation, written); });
  }

  void DropHistory() {
    proto::Command command;
    Operation drop{.kind = Operation::Kind::kDropHistory};
    drop.version = last_read_;
    command.operations = {drop};
    Write(std::move(command), Way::kSession, [](const Written&) {});
  }

  std::string key_;
  std::map<std::string, std::uint64_t> known_;
  Version last_read_;
};

// ---- Lists

using List = std::vector<std::uint64_t>;

List ParseList(std::string_view text) {
  List list;
  std::istringstream words{std::string(text)};
  for (std::uint64_t element = 0; words >> element;) list.push_back(element);
  return list;
}

std::string PrintList(const List& list) {
  std::string text;
  for (const std::uint64_t element : list) {
    if (!text.empty()) text += ' ';
    text += std::to_string(element);
  }
  return text;
}

std::string ListKey(std::uint64_t list) { return "l" + std::to_string(list); }

/// Then the clients go on to other lists, so that they stay short.
constexpr std::uint64_t kAppendsBeforeNewLists = 40;

std::uint64_t ListsBegun(const Histories& histories, const ClusterOptions& options) {
  return (histories.appends / kAppendsBeforeNewLists + 1) * options.keys;
}

class ListClient final : public SimClient {
 public:
  using SimClient::SimClient;

 private:
  void Work() override {
    Draw();
    lists_.clear();
    at_ = 0;
    const std::uint64_t how = random_.Below(3);
    if (how == 0) return ReadForCompare();
    mode_ = how == 1 ? proto::TransactionMode::kOptimistic : proto::TransactionMode::kPessimistic;
    Begin(mode_, [this](bool begun) {
      if (!begun) return Abort();
      Step();
    });
  }

  void Draw() {
    transaction_ = {.name = name() + " at " + std::to_string(begun_), .begun = begun_};
    const std::uint64_t lists = ListsBegun(histories_, world_.options);
    for (std::uint64_t i = random_.Between(1, 4); i > 0; --i) {
      const std::string key = ListKey(lists - 1 - random_.Below(world_.options.keys));
      if (random_.Chance(1, 2)) {
        transaction_.operations.push_back(checker::Operation::Append(key, NewValue()));
        ++histories_.appends;
      } else {
        transaction_.operations.push_back(checker::Operation::Read(key, {}));
      }
    }
  }

  bool writes() const {
    for (const checker::Operation& operation : transaction_.operations) {
      if (operation.kind == checker::Operation::Kind::kAppend) return true;
    }
    return false;
  }

  void Record(Transaction::Fate fate) {
    transaction_.fate = fate;
    transaction_.ended = histories_.Now();
    histories_.lists.push_back(transaction_);
  }
  void Record(const Written& written) {
    switch (written.fate) {
      case Written::Fate::kDone:
        if (mode_ == proto::TransactionMode::kPessimistic) ++world_.stats.pessimistic;
        return Record(Transaction::Fate::kCommitted);
      case Written::Fate::kRefused:
      case Written::Fate::kNone:
        return Record(Transaction::Fate::kAborted);
      case Written::Fate::kUnknown:
        return Record(Transaction::Fate::kUnknown);
    }
  }
  void Abort() {
    Record(Transaction::Fate::kAborted);
    Rollback();
  }

  /// One step on the list as the transaction knows it.
  void Carry(checker::Operation& operation) {
    List& list = lists_[operation.key].list;
    if (operation.kind == checker::Operation::Kind::kAppend) {
      list.push_back(operation.element);
    } else {
      operation.seen = list;
    }
  }

  // Plain gets of every list, then one request on the condition that none has changed.
  void ReadForCompare() {
    mode_ = proto::TransactionMode::kOptimistic;
    if (at_ == transaction_.operations.size()) return CompareAndSet();
    checker::Operation& operation = transaction_.operations[at_];
    if (lists_.contains(operation.key)) {
      Carry(operation);
      ++at_;
      return ReadForCompare();
    }
    proto::ClientGet get;
    get.key = Bytes::Copy(operation.key);
    if (random_.Chance(1, 4)) get.consistency = proto::Consistency::kStale;
    Ask(get, Door::kListener, [this](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientGetReply>();
      const bool answered =
          reply != nullptr && (reply->error.ok() || reply->error.code == ErrorCode::kKeyNotFound);
      if (!answered) {
        Record(Transaction::Fate::kAborted);
        return Done();
      }
      lists_[transaction_.operations[at_].key] = {
          reply->error.ok() ? ParseList(reply->value.view()) : List(), reply->read_version};
      ReadForCompare();
    });
  }

  void CompareAndSet() {
    std::map<std::string, std::string> values;
    for (const checker::Operation& operation : transaction_.operations) {
      if (operation.kind != checker::Operation::Kind::kAppend) continue;
      values[operation.key] = PrintList(lists_[operation.key].list);
    }
    proto::Command command;
    const bool certify = random_.Chance(1, 3);
    const bool both = certify && IsOdd();
    for (const auto& [key, known] : lists_) {
      if (certify) command.reads.push_back({proto::Read::Kind::kKey, key, {}, known.version});
      if (!certify || both) {
        Condition condition;
        condition.kind = Condition::Kind::kUnchangedSince;
        condition.key = key;
        condition.version = known.version;
        command.conditions.push_back(condition);
      }
    }
    for (const auto& [key, value] : values) command.operations.push_back(Put(key, value));
    // Only a command of a session of its own says what it has read.
    const Way way = certify ? Way::kSession : DrawWay();
    Write(std::move(command), way, [this](const Written& written) { Record(written); });
  }

  void Step() {
    if (at_ == transaction_.operations.size()) {
      return Commit(writes(), [this](const Written& written) {
        Record(written);
        Done();
      });
    }
    checker::Operation& operation = transaction_.operations[at_];
    const bool append = operation.kind == checker::Operation::Kind::kAppend;
    proto::Command read;
    read.operations = {Get(operation.key)};
    Execute(read, append && random_.Chance(1, 2), [this](const auto* reply) {
      if (reply == nullptr || reply->result.results.size() != 1) return Abort();
      checker::Operation& now = transaction_.operations[at_];
      const proto::OperationResult& got = reply->result.results[0];
      lists_[now.key].list = got.found ? ParseList(got.value) : List();
      Carry(now);
      if (now.kind != checker::Operation::Kind::kAppend) {
        ++at_;
        return Step();
      }
      const std::string value = PrintList(lists_[now.key].list);
      proto::Command put;
      put.operations = {Put(now.key, value)};
      Execute(put, false, [this](const auto* done) {
        if (done == nullptr) return Abort();
        ++at_;
        Step();
      });
    });
  }

  struct Known {
    List list;
    Version version;
  };
  Transaction transaction_;
  proto::TransactionMode mode_ = proto::TransactionMode::kOptimistic;
  std::size_t at_ = 0;
  std::map<std::string, Known> lists_;
};

// ---- Counters

std::string CounterKey(std::uint64_t counter) { return "c" + std::to_string(counter); }

class CounterClient final : public SimClient {
 public:
  using SimClient::SimClient;

 private:
  void Work() override {
    const std::string key = CounterKey(random_.Below(world_.options.keys));
    if (IsOdd()) return AddInSteps(key);
    proto::Command command;
    command.operations = {AddOne(key)};
    const Way way = random_.Chance(1, 2) ? Way::kSession : Way::kKey;
    Write(std::move(command), way, [this, key](const Written& written) {
      const bool done = written.fate == Written::Fate::kDone;
      Count(key, written, done ? written.result.results.at(0).value : "");
    });
  }

  static Operation AddOne(std::string_view key) {
    Operation add{.kind = Operation::Kind::kAdd, .key = key};
    add.delta = 1;
    return add;
  }

  /// A transaction of one step, which must not be done twice.
  void AddInSteps(const std::string& key) {
    Begin(random_.Chance(1, 2) ? proto::TransactionMode::kPessimistic
                               : proto::TransactionMode::kOptimistic,
          [this, key](bool begun) {
            if (!begun) return Done();
            proto::Command step;
            step.operations = {AddOne(key)};
            Execute(step, false, [this, key](const auto* reply) {
              if (reply == nullptr || reply->result.results.size() != 1) return Rollback();
              const std::string text = reply->result.results[0].value;
              Commit(true, [this, key, text](const Written& written) {
                Count(key, written, text);
                Done();
              });
            });
          });
  }

  void Count(const std::string& key, const Written& written, const std::string& text) {
    Histories::Counter& counter = histories_.counters[key];
    if (written.fate == Written::Fate::kUnknown) ++counter.unknown;
    if (written.fate != Written::Fate::kDone) return;
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    const bool fresh = counter.answered.insert(number).second;
    if (!fresh && !world_.checkers.reference().has_forgotten()) {
      Fail("each add counts once", key + " became " + text + " twice");
    }
  }
};

// ---- Sets

class SetClient final : public SimClient {
 public:
  using SimClient::SimClient;

 private:
  static constexpr std::string_view kBegin = ReferenceState::kSetBegin;
  static constexpr std::string_view kEnd = ReferenceState::kSetEnd;

  void Work() override {
    const std::uint64_t how = random_.Below(3);
    if (how == 0) return QueryFirst();
    pessimistic_ = how == 2;
    Begin(pessimistic_ ? proto::TransactionMode::kPessimistic : proto::TransactionMode::kOptimistic,
          [this](bool begun) {
            if (!begun) return Done();
            ScanFirst();
          });
  }

  proto::Scan DrawScan() {
    proto::Scan scan;
    scan.form = static_cast<proto::Scan::Form>(random_.Below(3));
    scan.reverse = scan.form != proto::Scan::Form::kCount && random_.Chance(1, 3);
    return scan;
  }

  /// Adds a member where there is room, else takes members away.
  void AddWrite(const proto::OperationResult& seen, proto::Command& command) {
    if (seen.count < ReferenceState::kSetMembersMax) {
      member_ = std::string(kBegin) + std::to_string(NewValue());
      command.operations = {Put(member_, "member")};
    } else if (!seen.items.empty() && random_.Chance(1, 2)) {
      member_ = seen.items[random_.Below(seen.items.size())].key;
      command.operations = {Delete(member_)};
    } else {
      command.operations = {DeleteRange(kBegin, kEnd)};
    }
  }

  void ScanFirst() {
    proto::Command look;
    look.operations = {ScanOf(kBegin, kEnd, DrawScan())};
    Execute(look, random_.Chance(1, 2), [this](const auto* reply) {
      if (reply == nullptr || reply->result.results.size() != 1) return Rollback();
      proto::Command change;
      AddWrite(reply->result.results[0], change);
      Execute(change, false, [this](const auto* done) {
        if (done == nullptr) return Rollback();
        Commit(true, [this](const Written& written) {
          if (written.fate == Written::Fate::kDone && pessimistic_) ++world_.stats.pessimistic;
          Done();
        });
      });
    });
  }

  void QueryFirst() {
    proto::Command look;
    look.operations = {ScanOf(kBegin, kEnd, DrawScan())};
    proto::ClientQuery query;
    query.command = Bytes(proto::EncodeCommand(look));
    if (random_.Chance(1, 3)) query.consistency = proto::Consistency::kStale;
    Ask(query, Door::kListener, [this](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientQueryReply>();
      if (reply == nullptr || !reply->error.ok()) return Done();
      proto::Command change;
      AddWrite(reply->result.results.at(0), change);
      const bool certify = random_.Chance(1, 2);
      if (certify) {
        change.reads = {{proto::Read::Kind::kRange, kBegin, kEnd, reply->read_version}};
      } else {
        Condition condition;
        condition.kind = Condition::Kind::kRangeUnchangedSince;
        condition.key = kBegin;
        condition.operand = kEnd;
        condition.version = reply->read_version;
        change.conditions = {condition};
      }
      Write(std::move(change), certify ? Way::kSession : DrawWay(), [](const Written&) {});
    });
  }

  bool pessimistic_ = false;
  std::string member_;
};

// ---- An archive

class ArchiveClient final : public SimClient {
 public:
  using SimClient::SimClient;

 private:
  void Work() override {
    if (histories_.archived.empty() || random_.Chance(1, 3)) return Put();
    number_ = histories_.archived[random_.Below(histories_.archived.size())];
    random_.Chance(1, 2) ? Read() : Query();
  }

  static std::string KeyOf(std::uint64_t number) {
    return std::string(Histories::kArchive) + std::to_string(number);
  }

  void Put() {
    number_ = NewValue();
    const std::string key = KeyOf(number_);
    const std::string text = TextOf(number_);
    proto::Command command;
    command.operations = {sim::Put(key, text)};
    Write(std::move(command), DrawWay(), [this](const Written& written) {
      if (written.fate == Written::Fate::kDone) histories_.archived.push_back(number_);
    });
  }

  void Read() {
    proto::ClientGet get;
    get.key = Bytes(KeyOf(number_));
    const bool stale = random_.Chance(1, 3);
    if (stale) get.consistency = proto::Consistency::kStale;
    Ask(get, Door::kListener, [this, stale](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientGetReply>();
      if (reply != nullptr && (reply->error.ok() || reply->error.code == ErrorCode::kKeyNotFound)) {
        Look(reply->error.ok(), reply->value.view(), stale);
      }
      Done();
    });
  }

  void Query() {
    const std::string key = KeyOf(number_);
    proto::Command command;
    command.operations = {Get(key)};
    proto::ClientQuery query;
    query.command = Bytes(proto::EncodeCommand(command));
    Ask(query, Door::kListener, [this](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientQueryReply>();
      if (reply != nullptr && reply->error.ok()) {
        const proto::OperationResult& got = reply->result.results.at(0);
        Look(got.found, got.value, false);
      }
      Done();
    });
  }

  void Look(bool found, std::string_view value, bool stale) {
    ++world_.stats.reads;
    if (found ? value == TextOf(number_) : stale) return;
    Fail("what was written once is read as it was written",
         KeyOf(number_) + (found ? " is another" : " is missing"));
  }

  std::uint64_t number_ = 0;
};

// ---- The end

class LastReader final : public SimClient {
 public:
  using SimClient::SimClient;

 private:
  void Work() override {
    if (keys_.empty()) {
      for (const auto& [key, operations] : histories_.registers) keys_.push_back(key);
      for (const auto& [key, counter] : histories_.counters) keys_.push_back(key);
    }
    ReadNext();
  }

  void ReadNext() {
    if (at_ == keys_.size()) return ReadLists();
    proto::ClientGet get;
    get.key = Bytes::Copy(keys_[at_]);
    Ask(get, Door::kListener, [this, begun = histories_.Now()](const Heard& heard) {
      const auto* reply = heard.As<proto::ClientGetReply>();
      const bool answered =
          reply != nullptr && (reply->error.ok() || reply->error.code == ErrorCode::kKeyNotFound);
      if (answered) {
        world_.checkers.OnRead(name(), floor(), reply->read_version);
        Record(keys_[at_++], reply->error.ok() ? reply->value.view() : std::string_view(), begun);
      }
      ReadNext();
    });
  }

  void Record(const std::string& key, std::string_view text, std::uint64_t begun) {
    if (key[0] == 'c') {
      histories_.counters[key].last = static_cast<std::int64_t>(ValueOf(text));
      return;
    }
    RegisterOperation read;
    read.name = name();
    read.value = ValueOf(text);
    read.begun = begun;
    read.ended = histories_.Now();
    histories_.registers[key].push_back(read);
  }

  /// All at one version: a write that nobody waits for any more may still come in between.
  void ReadLists() {
    std::vector<std::string> keys;
    for (std::uint64_t i = 0; i < ListsBegun(histories_, world_.options); ++i) {
      keys.push_back(ListKey(i));
    }
    proto::Command command;
    for (const std::string& key : keys) command.operations.push_back(Get(key));
    proto::ClientQuery query;
    query.command = Bytes(proto::EncodeCommand(command));
    Transaction transaction{.name = name(), .begun = histories_.Now()};
    Ask(query, Door::kListener, [this, keys, transaction](const Heard& heard) mutable {
      const auto* reply = heard.As<proto::ClientQueryReply>();
      if (reply == nullptr || !reply->error.ok()) return ReadLists();
      for (std::size_t i = 0; i < keys.size(); ++i) {
        transaction.operations.push_back(
            checker::Operation::Read(keys[i], ParseList(reply->result.results.at(i).value)));
      }
      transaction.ended = histories_.Now();
      histories_.lists.push_back(std::move(transaction));
      Stop();
      Done();
    });
  }

  std::vector<std::string> keys_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<SimClient> NewRegisterClient(std::uint64_t number, const ClusterWorld& world,
                                             Histories& histories, Random random) {
  return std::make_unique<RegisterClient>(number, world, histories, random);
}
std::unique_ptr<SimClient> NewListClient(std::uint64_t number, const ClusterWorld& world,
                                         Histories& histories, Random random) {
  return std::make_unique<ListClient>(number, world, histories, random);
}
std::unique_ptr<SimClient> NewCounterClient(std::uint64_t number, const ClusterWorld& world,
                                            Histories& histories, Random random) {
  return std::make_unique<CounterClient>(number, world, histories, random);
}
std::unique_ptr<SimClient> NewSetClient(std::uint64_t number, const ClusterWorld& world,
                                        Histories& histories, Random random) {
  return std::make_unique<SetClient>(number, world, histories, random);
}
std::unique_ptr<SimClient> NewArchiveClient(std::uint64_t number, const ClusterWorld& world,
                                            Histories& histories, Random random) {
  return std::make_unique<ArchiveClient>(number, world, histories, random);
}
std::unique_ptr<SimClient> NewLastReader(std::uint64_t number, const ClusterWorld& world,
                                         Histories& histories, Random random) {
  return std::make_unique<LastReader>(number, world, histories, random);
}

}  // namespace bedrock::sim
