#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "bedrock/db.h"
#include "common/env/environment.h"
#include "common/env/waiter.h"
#include "storaged/embedded/commit_pipeline.h"
#include "storaged/embedded/event_log.h"
#include "storaged/embedded/local_environment.h"
#include "storaged/embedded/txn/database_transaction.h"
#include "storaged/embedded/txn/lock_table.h"
#include "storaged/engine/engine.h"
#include "storaged/engine/gate.h"
#include "storaged/engine/wal/log.h"

namespace bedrock::embedded {

/// What the handle, its transactions and its background jobs share: engine, log and the way of
/// commits between them. Ends with Close; what still refers to it then finds it closed.
///
/// Any thread, but for Recover and Close.
class Core final : public TransactionHost {
 public:
  /// `seed`: what a new database makes its id of.
  Core(const Environment& environment, const std::string& directory, std::uint64_t seed);
  ~Core() override;

  /// Opens engine and log and applies what only the log has. Once, before anything else.
  Status Recover(const Options& options);
  /// As DB::Close.
  Status Close();

  Status CheckOpen() const override;
  engine::Engine& engine() override { return *engine_; }
  CommitPipeline& pipeline() override { return *pipeline_; }
  LockTable& locks() override { return locks_; }
  Waiter& waiter() { return waiter_; }
  const Clock& clock() const { return *environment_.clock; }
  EventLog& events() { return *events_; }

  Status Flush();
  Status CompactRange(Range range);
  Status Checkpoint(const std::string& directory);
  Status Verify();
  EngineStats Stats();

 private:
  /// Whether there is a database has to fit the options; makes the directory of a new one.
  Status PrepareDirectory(const Options& options);
  /// For a new database: makes the directory, durably. corruption where it isn't a new one, as
  /// something of another is left there.
  Status MakeDirectory();
  Status OpenEngine(engine::EngineOptions settings);
  Result<std::uint64_t> ReadOrMakeId();
  Status OpenLog(std::uint64_t segment_bytes);
  /// Checks all commits of the log up to `through`.
  Status ReadLog(Version through);
  void StartPipeline(std::chrono::milliseconds history);
  /// Applies one commit of the log.
  Status Replay(Version version, std::string_view changes);
  void ScheduleTick();
  void Tick();
  /// The engine has moved on, or its state has changed.
  void OnProgress();
  /// Tells the event log what is new; costs next to nothing where the engine has told nothing.
  void ReportProgress() EXCLUDES(report_mutex_);
  /// ok, or why the flush that somebody waits for will not come about.
  Status WhyNoFlush();

  const Environment environment_;
  const std::string directory_;
  const std::uint64_t seed_;
  std::uint64_t id_ = 0;
  Waiter waiter_;
  LockTable locks_;
  const std::shared_ptr<engine::Gate> gate_ = std::make_shared<engine::Gate>();
  std::atomic<bool> closed_ = false;
  std::uint64_t tick_ms_ = 0;
  std::uint64_t recovered_commits_ = 0;
  std::atomic<std::uint64_t> progress_ = 0;  ///< Counts what the engine has told.
  std::atomic<bool> ready_ = false;          ///< Recovery is over; there is a pipeline.

  std::atomic<std::uint64_t> reported_progress_ =
      UINT64_MAX;  ///< Of `progress_`, what was looked at.
  Mutex report_mutex_;
  Version reported_durable_ GUARDED_BY(report_mutex_);
  std::uint64_t reported_compactions_ GUARDED_BY(report_mutex_) = 0;
  EngineState reported_state_ GUARDED_BY(report_mutex_) = EngineState::kHealthy;

  std::shared_ptr<EventLog> events_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<engine::wal::Log> log_;
  std::unique_ptr<CommitPipeline> pipeline_;
};

/// The DB that DB::Open gives.
class Database final : public DB {
 public:
  /// `local` is null where the environment comes from outside.
  Database(std::unique_ptr<LocalEnvironment> local, std::shared_ptr<Core> core);
  ~Database() override;

  Result<Version> Put(std::string_view key, std::string_view value, WriteOptions options) override;
  Result<Version> Delete(std::string_view key, WriteOptions options) override;
  Result<Version> DeleteRange(std::string_view begin, std::string_view end,
                              WriteOptions options) override;
  Result<Version> Write(const WriteBatch& batch, WriteOptions options) override;
  using DB::Get;
  Status Get(std::string_view key, PinnedValue* value, const ReadOptions& options) override;
  std::vector<Result<PinnedValue>> MultiGet(std::span<const std::string_view> keys,
                                            const ReadOptions& options) override;
  std::unique_ptr<Iterator> NewIterator(const ReadOptions& options, Range bounds) override;
  Snapshot GetSnapshot() override;
  Result<Version> NewestVersion(std::string_view key) override;
  std::unique_ptr<Transaction> BeginTransaction(const TransactionOptions& options) override;
  Status Transact(const std::function<Status(Transaction&)>& body,
                  const TransactionOptions& options) override;
  Status Flush() override;
  Status CompactRange(Range range) override;
  Status Checkpoint(const std::string& directory) override;
  Status Verify() override;
  EngineStats Stats() override;
  std::uint64_t ApproximateSize(Range range) override;
  Status Close() override;

 private:
  Result<Version> CommitOne(const Change& change, WriteOptions options);

  // First what jobs run on: it ends last.
  const std::unique_ptr<LocalEnvironment> local_;
  const std::shared_ptr<Core> core_;
};

}  // namespace bedrock::embedded
