#include "tests/conformance/embedded_store.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "storaged/embedded/txn/database_transaction.h"

namespace bedrock::conformance {

Outcome ToOutcome(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
    case StatusCode::kNotFound:
      return Outcome::kOk;
    case StatusCode::kConflict:
      return Outcome::kConflict;
    case StatusCode::kDeadlock:
      return Outcome::kDeadlock;
    case StatusCode::kTimedOut:
      return Outcome::kTimeout;
    default:
      return Outcome::kOther;
  }
}

namespace {

/// A host whose transactions lock in a table of their own, where nobody else is, and note nothing
/// for their certification.
class UncheckedHost final : public embedded::TransactionHost {
 public:
  UncheckedHost(std::shared_ptr<embedded::Core> core, const Environment& environment)
      : core_(std::move(core)), locks_(*environment.executor, *environment.clock) {}

  Status CheckOpen() const override { return core_->CheckOpen(); }
  engine::Engine& engine() override { return core_->engine(); }
  embedded::CommitPipeline& pipeline() override { return core_->pipeline(); }
  embedded::LockTable& locks() override { return locks_; }
  std::shared_ptr<embedded::ReadSet> NewReadSet() override { return nullptr; }

 private:
  const std::shared_ptr<embedded::Core> core_;
  embedded::LockTable locks_;
};

class EmbeddedSession : public Session {
 public:
  std::string error() const override { return last_.ToString(); }

 protected:
  Outcome Note(Status status) {
    last_ = std::move(status);
    return ToOutcome(last_);
  }
  Outcome NoteRead(Status status, std::string found, std::optional<std::string>* value) {
    value->reset();
    if (status.ok()) *value = std::move(found);
    return Note(std::move(status));
  }
  Outcome NoteScan(Iterator& it, Content* content) {
    content->clear();
    for (it.SeekToFirst(); it.Valid(); it.Next()) content->emplace(it.key(), it.value());
    return Note(it.status());
  }

 private:
  Status last_;
};

/// Transactions of the library, all of a host's kind.
class TransactionSession final : public EmbeddedSession {
 public:
  struct Kind {
    std::shared_ptr<embedded::Core> core;
    Environment environment;
    std::optional<Mode> mode;  ///< Whatever is asked for.
    bool unchecked = false;
    bool refuses = false;
  };
  explicit TransactionSession(Kind kind) : kind_(std::move(kind)) {}

  Outcome Begin(const BeginOptions& options) override {
    std::shared_ptr<embedded::TransactionHost> host = kind_.core;
    if (kind_.unchecked) host = std::make_shared<UncheckedHost>(kind_.core, kind_.environment);
    const Mode mode = kind_.mode.value_or(options.mode);
    if (Status open = host->CheckOpen(); !open.ok()) return Note(std::move(open));
    transaction_ = std::make_unique<embedded::DatabaseTransaction>(
        std::move(host),
        TransactionOptions{.mode = mode == Mode::kPessimistic ? TransactionMode::kPessimistic
                                                              : TransactionMode::kOptimistic,
                           // Read-only ones read a snapshot, whatever they are called.
                           .read_only = options.read_only && !kind_.unchecked,
                           .lock_timeout = options.lock_timeout});
    return Note(Status());
  }
  Outcome Get(const std::string& key, std::optional<std::string>* value) override {
    std::string found;
    Status status = transaction_->Get(key, &found);
    return NoteRead(std::move(status), std::move(found), value);
  }
  Outcome GetForUpdate(const std::string& key, std::optional<std::string>* value) override {
    std::string found;
    Status status = transaction_->GetForUpdate(key, &found);
    return NoteRead(std::move(status), std::move(found), value);
  }
  Outcome Scan(const std::string& begin, const std::string& end, Content* content) override {
    return NoteScan(*transaction_->NewIterator({begin, end}), content);
  }
  Outcome Put(const std::string& key, const std::string& value) override {
    return Note(transaction_->Put(key, value));
  }
  Outcome Delete(const std::string& key) override { return Note(transaction_->Delete(key)); }
  Outcome DeleteRange(const std::string& begin, const std::string& end) override {
    return Note(transaction_->DeleteRange(begin, end));
  }
  Outcome Commit() override {
    if (kind_.refuses) {
      transaction_->Rollback();
      return Note(Status::Conflict("this store refuses everything"));
    }
    return Note(transaction_->Commit().status());
  }
  void Rollback() override { transaction_.reset(); }

 private:
  const Kind kind_;
  std::unique_ptr<Transaction> transaction_;
};

/// No transactions at all: everything happens at once.
class WriteThroughSession final : public EmbeddedSession {
 public:
  explicit WriteThroughSession(std::shared_ptr<embedded::Database> db) : db_(std::move(db)) {}

  Outcome Begin(const BeginOptions& /*options*/) override { return Note(Status()); }
  Outcome Get(const std::string& key, std::optional<std::string>* value) override {
    std::string found;
    Status status = db_->Get(key, &found);
    return NoteRead(std::move(status), std::move(found), value);
  }
  Outcome GetForUpdate(const std::string& key, std::optional<std::string>* value) override {
    return Get(key, value);
  }
  Outcome Scan(const std::string& begin, const std::string& end, Content* content) override {
    return NoteScan(*db_->NewIterator({}, {begin, end}), content);
  }
  Outcome Put(const std::string& key, const std::string& value) override {
    return Note(db_->Put(key, value, {.sync = Sync::kNo}).status());
  }
  Outcome Delete(const std::string& key) override {
    return Note(db_->Delete(key, {.sync = Sync::kNo}).status());
  }
  Outcome DeleteRange(const std::string& begin, const std::string& end) override {
    return Note(db_->DeleteRange(begin, end, {.sync = Sync::kNo}).status());
  }
  Outcome Commit() override { return Note(Status()); }
  void Rollback() override {}

 private:
  const std::shared_ptr<embedded::Database> db_;
};

/// Reads what was the newest when the session was made, and writes without looking.
class StaleSession final : public EmbeddedSession {
 public:
  explicit StaleSession(std::shared_ptr<embedded::Database> db)
      : db_(std::move(db)), snapshot_(db_->GetSnapshot()) {}

  Outcome Begin(const BeginOptions& /*options*/) override {
    batch_.Clear();
    return Note(Status());
  }
  Outcome Get(const std::string& key, std::optional<std::string>* value) override {
    std::string found;
    Status status = db_->DB::Get(key, &found, {.snapshot = &snapshot_});
    return NoteRead(std::move(status), std::move(found), value);
  }
  Outcome GetForUpdate(const std::string& key, std::optional<std::string>* value) override {
    return Get(key, value);
  }
  Outcome Scan(const std::string& begin, const std::string& end, Content* content) override {
    return NoteScan(*db_->NewIterator({.snapshot = &snapshot_}, {begin, end}), content);
  }
  Outcome Put(const std::string& key, const std::string& value) override {
    batch_.Put(key, value);
    return Note(Status());
  }
  Outcome Delete(const std::string& key) override {
    batch_.Delete(key);
    return Note(Status());
  }
  Outcome DeleteRange(const std::string& begin, const std::string& end) override {
    batch_.DeleteRange(begin, end);
    return Note(Status());
  }
  Outcome Commit() override {
    return Note(batch_.empty() ? Status() : db_->Write(batch_, {.sync = Sync::kNo}).status());
  }
  void Rollback() override { batch_.Clear(); }

 private:
  const std::shared_ptr<embedded::Database> db_;
  const Snapshot snapshot_;
  WriteBatch batch_;
};

}  // namespace

EmbeddedStore::EmbeddedStore(const Environment& environment, std::optional<Breakage> broken)
    : environment_(environment), broken_(broken) {
  core_ = std::make_shared<embedded::Core>(environment_, "db", /*seed=*/1);
  Options options;
  options.env = &environment_;
  if (const Status opened = core_->Recover(options); !opened.ok())
    throw std::runtime_error("open the store: " + opened.ToString());
  db_ = std::make_shared<embedded::Database>(nullptr, core_);
}

EmbeddedStore::~EmbeddedStore() = default;

std::unique_ptr<Session> EmbeddedStore::NewSession() {
  const bool first = first_.exchange(false);
  TransactionSession::Kind kind{.core = core_, .environment = environment_, .mode = std::nullopt};
  if (broken_.has_value()) {
    switch (*broken_) {
      case Breakage::kWriteThrough:
        return std::make_unique<WriteThroughSession>(db_);
      case Breakage::kStale:
        return std::make_unique<StaleSession>(db_);
      case Breakage::kUncheckedSnapshot:
        kind.mode = Mode::kOptimistic;
        kind.unchecked = true;
        break;
      case Breakage::kUncheckedNewest:
        kind.mode = Mode::kPessimistic;
        kind.unchecked = true;
        break;
      case Breakage::kRefusing:
        kind.refuses = !first;
        break;
    }
  }
  return std::make_unique<TransactionSession>(std::move(kind));
}

std::size_t EmbeddedStore::waiting() { return core_->locks().waiting(); }

}  // namespace bedrock::conformance
