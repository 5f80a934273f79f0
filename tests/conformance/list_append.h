#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "tests/checker/history.h"
#include "tests/conformance/store.h"

namespace bedrock::conformance {

/// Collects the history that all clients of a test make together. Any thread.
class Recorder {
 public:
  /// The next moment in the one order of events.
  std::uint64_t Now() { return ++now_; }
  /// A number that no other append has.
  std::uint64_t NewElement() { return ++elements_; }
  void Add(checker::Transaction transaction);
  checker::History Take();

 private:
  std::atomic<std::uint64_t> now_ = 0;
  std::atomic<std::uint64_t> elements_ = 0;
  std::mutex mutex_;
  checker::History history_;
};

struct ListAppendOptions {
  std::vector<Mode> modes = {Mode::kPessimistic, Mode::kOptimistic};  ///< One is drawn for each.
  std::uint64_t keys = 4;
  std::uint64_t steps_max = 5;  ///< Of a transaction, besides begin and commit.
};

/// A client whose transactions read, scan and append to lists, which are the values of a few keys,
/// as its seed draws. What it records are reads of lists and appends; an append is a read, too, for
/// the store knows only puts. One thread.
class ListAppendClient {
 public:
  /// All are borrowed.
  ListAppendClient(Store& store, const ListAppendOptions& options, Recorder& recorder,
                   std::string name, std::uint64_t seed);
  ~ListAppendClient();

  /// One step: begins a transaction, goes on with it, or ends it.
  void Step();
  bool running() const { return running_.has_value(); }
  /// Ends what runs by a rollback, or because the store has died: without effect, as its commit was
  /// not asked for.
  void Abandon();
  std::uint64_t committed() const { return committed_; }
  std::uint64_t refused() const { return refused_; }
  /// Reads all lists in one transaction, again until it commits; what the history has to end with.
  void ReadAll();

 private:
  std::string DrawKey();
  void Begin();
  void Work();
  Outcome Read();
  Outcome Append();
  Outcome Scan();
  void Commit();
  void End(checker::Transaction::Fate fate);

  const ListAppendOptions& options_;
  Recorder& recorder_;
  const std::string name_;
  Random random_;
  const std::unique_ptr<Session> session_;
  std::optional<checker::Transaction> running_;
  bool read_only_ = false;
  std::uint64_t steps_left_ = 0;
  std::uint64_t transactions_ = 0;
  std::uint64_t committed_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace bedrock::conformance
