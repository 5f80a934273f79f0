#include "storaged/embedded/txn/database_transaction.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/embedded/change.h"
#include "storaged/engine/read/iterator.h"
#include "storaged/txn/merged_walk.h"

namespace bedrock::embedded {
namespace {

/// After these a transaction is over (bedrock/transaction.h).
bool EndsTransaction(StatusCode code) {
  return code == StatusCode::kConflict || code == StatusCode::kDeadlock ||
         code == StatusCode::kTimedOut || code == StatusCode::kAborted;
}

}  // namespace

class DatabaseTransaction::ReadCertifier final : public Certifier {
 public:
  ReadCertifier(const ReadSet& reads, const engine::Engine& engine)
      : reads_(reads), engine_(engine) {}
  Status Certify(const Commits& commits) override { return reads_.Check(engine_, commits); }

 private:
  const ReadSet& reads_;
  const engine::Engine& engine_;
};

/// What one walk over the state `at` reads. Shares the read set: iterators may outlive the
/// transaction.
class DatabaseTransaction::ReadRecorder final : public txn::WalkRecorder {
 public:
  ReadRecorder(std::shared_ptr<ReadSet> reads, Snapshot at)
      : reads_(std::move(reads)), at_(std::move(at)) {}
  Status Record(std::string_view begin, std::string_view end) override {
    return reads_->AddWalked(begin, end, at_, &range_);
  }

 private:
  const std::shared_ptr<ReadSet> reads_;
  const Snapshot at_;
  ReadSet::RangeRead* range_ = nullptr;
};

DatabaseTransaction::DatabaseTransaction(std::shared_ptr<TransactionHost> host,
                                         const TransactionOptions& options)
    : host_(std::move(host)), options_(options), begin_(host_->engine().GetSnapshot()) {
  if (options_.read_only) return;
  reads_ = host_->NewReadSet();
  if (options_.mode == TransactionMode::kPessimistic) locks_.emplace(host_->locks());
}

DatabaseTransaction::~DatabaseTransaction() { Rollback(); }

// ---- Reads

Status DatabaseTransaction::Get(std::string_view key, std::string* value) {
  return Noted(Read(key, LockMode::kShared, value));
}

Status DatabaseTransaction::GetForUpdate(std::string_view key, std::string* value) {
  RETURN_IF_ERROR(CheckWritable());
  return Noted(Read(key, LockMode::kExclusive, value));
}

Status DatabaseTransaction::Read(std::string_view key, LockMode mode, std::string* value) {
  RETURN_IF_ERROR(CheckGoesOn());
  RETURN_IF_ERROR(CheckKey(key));
  RETURN_IF_ERROR(LockKey(key, mode));
  switch (writes_->StateOf(key)) {
    case txn::OwnWrites::State::kPut:
      value->assign(writes_->ValueOf(key));
      return {};
    case txn::OwnWrites::State::kDeleted:
      return Status::NotFound("deleted by this transaction");
    case txn::OwnWrites::State::kUntouched:
      break;
  }
  return ReadCommitted(key, value);
}

Status DatabaseTransaction::ReadCommitted(std::string_view key, std::string* value) {
  const engine::Engine& engine = host_->engine();
  const Version at = IsPessimistic() ? engine.newest() : begin_.version();
  engine::ReadSettings settings;
  // Unset it is the newest there is, at least `at`: never below a watermark.
  if (!IsPessimistic()) settings.at = at;
  PinnedValue pinned;
  Status status = engine.Get(key, settings, &pinned);
  if (!status.ok() && !status.IsNotFound()) return status;
  if (reads_ != nullptr)
    RETURN_IF_ERROR(reads_->Add(key, {at, status.ok() ? pinned.version() : Version()}));
  if (status.ok()) value->assign(pinned.value());
  return status;
}

std::unique_ptr<Iterator> DatabaseTransaction::NewIterator(Range bounds) {
  Status status = CheckGoesOn();
  if (status.ok() && !IsEmptyRange(bounds.begin, bounds.end))
    status = Noted(LockRange(bounds.begin, bounds.end, LockMode::kShared));
  if (!status.ok()) return engine::NewFailedIterator(std::move(status));
  const Snapshot at = IsPessimistic() ? host_->engine().GetSnapshot() : begin_;
  engine::ReadSettings settings;
  settings.at = at.version();
  return txn::NewMergedIterator({
      .base = host_->engine().NewIterator(settings, bounds),
      .writes = writes_,
      .recorder = reads_ == nullptr ? nullptr : std::make_unique<ReadRecorder>(reads_, at),
      .bounds = bounds,
  });
}

// ---- Writes

Status DatabaseTransaction::Put(std::string_view key, std::string_view value) {
  RETURN_IF_ERROR(CheckWritable());
  RETURN_IF_ERROR(CheckKey(key));
  RETURN_IF_ERROR(CheckValue(value));
  RETURN_IF_ERROR(CheckRoom(key.size() + value.size()));
  RETURN_IF_ERROR(Noted(LockKey(key, LockMode::kExclusive)));
  MutableWrites().Put(key, value);
  return {};
}

Status DatabaseTransaction::Delete(std::string_view key) {
  RETURN_IF_ERROR(CheckWritable());
  RETURN_IF_ERROR(CheckKey(key));
  RETURN_IF_ERROR(CheckRoom(key.size()));
  RETURN_IF_ERROR(Noted(LockKey(key, LockMode::kExclusive)));
  MutableWrites().Delete(key);
  return {};
}

Status DatabaseTransaction::DeleteRange(std::string_view begin, std::string_view end) {
  RETURN_IF_ERROR(CheckWritable());
  RETURN_IF_ERROR(CheckBound(begin));
  RETURN_IF_ERROR(CheckBound(end));
  if (IsEmptyRange(begin, end)) return {};
  RETURN_IF_ERROR(CheckRoom(begin.size() + end.size()));
  RETURN_IF_ERROR(Noted(LockRange(begin, end, LockMode::kExclusive)));
  MutableWrites().DeleteRange(begin, end);
  return {};
}

txn::OwnWrites& DatabaseTransaction::MutableWrites() {
  // Iterators go on over what was written when they were made.
  if (writes_.use_count() > 1) writes_ = std::make_shared<txn::OwnWrites>(*writes_);
  return *writes_;
}

Status DatabaseTransaction::CheckRoom(std::size_t bytes) const {
  constexpr std::size_t kOverhead = 16;  // kind and lengths
  if (writes_->batch().bytes() + bytes + kOverhead <= kBatchBytesMax) return {};
  return Status::InvalidArgument("a transaction may write " + std::to_string(kBatchBytesMax) +
                                 " bytes");
}

void DatabaseTransaction::SetSavepoint() {
  if (over_.ok()) savepoints_.push_back(writes_->batch().count());
}

Status DatabaseTransaction::RollbackToSavepoint() {
  RETURN_IF_ERROR(CheckGoesOn());
  if (savepoints_.empty()) return Status::NotFound("there is no savepoint");
  const std::size_t count = savepoints_.back();
  savepoints_.pop_back();
  if (count < writes_->batch().count()) MutableWrites().TruncateTo(count);
  return {};
}

// ---- Locks

LockTable::Patience DatabaseTransaction::patience() const {
  const auto timeout_ms = std::max<std::int64_t>(options_.lock_timeout.count(), 0);
  return {.timeout_us =
              std::min(static_cast<std::uint64_t>(timeout_ms), Waiter::kForever / 1000) * 1000,
          .detect_deadlock = LockTable::DetectDeadlock(options_.deadlock_detection)};
}

Status DatabaseTransaction::LockKey(std::string_view key, LockMode mode) {
  if (!IsPessimistic()) return {};
  return host_->locks().LockKey(*locks_, key, mode, patience());
}

Status DatabaseTransaction::LockRange(std::string_view begin, std::string_view end, LockMode mode) {
  if (!IsPessimistic()) return {};
  return host_->locks().LockRange(*locks_, begin, end, mode, patience());
}

// ---- The end

Result<Version> DatabaseTransaction::Commit() {
  RETURN_IF_ERROR(CheckGoesOn());
  Result<Version> committed = writes_->batch().empty() ? CommitReads() : CommitWrites();
  End(committed.ok() ? Status::Aborted("the transaction was committed") : committed.status());
  return committed;
}

Result<Version> DatabaseTransaction::CommitReads() {
  if (!IsPessimistic()) return begin_.version();
  // Its reads were at different times: they are all true of this version, or refused.
  const Version version = host_->engine().newest();
  if (reads_ != nullptr) RETURN_IF_ERROR(reads_->Check(host_->engine()));
  return version;
}

Result<Version> DatabaseTransaction::CommitWrites() {
  ASSIGN_OR_RETURN(const std::size_t user_bytes, CheckBatch(writes_->batch()));
  std::optional<ReadCertifier> certifier;
  if (reads_ != nullptr) certifier.emplace(*reads_, host_->engine());
  return host_->pipeline().Commit(writes_->batch(), user_bytes, options_.write.sync,
                                  certifier.has_value() ? &*certifier : nullptr);
}

void DatabaseTransaction::Rollback() {
  if (over_.ok()) End(Status::Aborted("the transaction was rolled back"));
}

Status DatabaseTransaction::CheckGoesOn() {
  if (!over_.ok()) return over_;
  return Noted(host_->CheckOpen());
}

Status DatabaseTransaction::CheckWritable() {
  RETURN_IF_ERROR(CheckGoesOn());
  return options_.read_only ? Status::InvalidArgument("the transaction is read-only") : Status();
}

Status DatabaseTransaction::Noted(Status status) {
  if (over_.ok() && EndsTransaction(status.code())) End(status);
  return status;
}

void DatabaseTransaction::End(Status why) {
  over_ = std::move(why);
  if (IsPessimistic()) host_->locks().ReleaseAll(*locks_);
  // What iterators share lives on with them.
  writes_ = std::make_shared<txn::OwnWrites>();
  reads_.reset();
  savepoints_.clear();
  begin_ = Snapshot(Version(), nullptr);
}

}  // namespace bedrock::embedded
