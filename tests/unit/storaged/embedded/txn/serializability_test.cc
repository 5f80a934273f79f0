#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../database_fixture.h"
#include "bedrock/db.h"
#include "common/env/random.h"
#include "storaged/engine/change_reader.h"

namespace bedrock::embedded {
namespace {

using Mode = TransactionOptions::Mode;

/// What one transaction saw and did, for comparing with a run of all, one after another.
struct Recorded {
  std::unique_ptr<Transaction> transaction;
  Mode mode;
  std::uint64_t begun = 0;  ///< The newest version then.
  std::vector<std::pair<std::string, std::optional<std::string>>> reads;
  struct Scan {
    std::string begin;
    std::string end;
    Content seen;
  };
  std::vector<Scan> scans;
  Content puts;
  std::vector<std::string> touched;
  WriteBatch writes;
};

std::string KeyOf(Random& random) {
  return std::string(1, static_cast<char>('a' + random.Below(8)));
}

void Apply(const WriteBatch& batch, Content& state) {
  // Through a database of its own this would prove less: by hand.
  engine::ChangeReader reader(batch.encoded());
  using Kind = engine::ChangeReader::Kind;
  while (reader.Next()) {
    const std::string key(reader.key());
    if (reader.kind() == Kind::kPut) state[key] = reader.value();
    if (reader.kind() == Kind::kDelete) state.erase(key);
    if (reader.kind() == Kind::kDeleteRange) {
      const auto end =
          reader.value().empty() ? state.end() : state.lower_bound(std::string(reader.value()));
      state.erase(state.lower_bound(key), end);
    }
  }
}

/// Interleaves transactions of both modes and plain writes, one step at a time in an order drawn
/// from the seed, with flushes in between. Whatever commits must have read exactly what a run in
/// the order of the versions would have shown it.
class Interleaving {
 public:
  explicit Interleaving(std::uint64_t seed)
      : random_(seed), db_(DB::Open("db", Options()).value()) {
    states_[0] = {};
  }

  void Run() {
    for (int step = 0; step < 400; ++step) {
      if (running_.size() < 4 && random_.Chance(1, 4)) {
        Begin();
      } else if (random_.Chance(1, 12)) {
        PlainWrite();
      } else if (random_.Chance(1, 60)) {
        ASSERT_TRUE(db_->Flush().ok());
      } else if (random_.Chance(1, 3)) {
        (void)machine_.executor.RunOne();
      } else if (!running_.empty()) {
        Step(random_.Below(running_.size()));
      }
      if (testing::Test::HasFatalFailure()) return;
    }
    while (!running_.empty()) {
      Commit(0);
      if (testing::Test::HasFatalFailure()) return;
    }
    EXPECT_EQ(ReadAll(*db_), states_.rbegin()->second);
  }

  int commits() const { return commits_; }
  int refusals() const { return refusals_; }

 private:
  bedrock::Options Options() {
    bedrock::Options options = machine_.MakeOptions();
    options.memtable_bytes = 64 << 10;
    return options;
  }

  void Begin() {
    Recorded one;
    one.mode = random_.Chance(1, 2) ? Mode::kOptimistic : Mode::kPessimistic;
    one.transaction = db_->BeginTransaction({.mode = one.mode, .write = {.sync = Sync::kNo}});
    one.begun = states_.rbegin()->first;
    running_.push_back(std::move(one));
  }

  void PlainWrite() {
    WriteBatch batch;
    const std::string key = KeyOf(random_);
    const std::string value = std::to_string(++values_);
    Result<Version> version = Version();
    switch (random_.Below(4)) {
      case 0:
        batch.Delete(key);
        version = db_->Delete(key, {.sync = Sync::kNo});
        break;
      case 1:
        batch.DeleteRange(key, key + "~");
        version = db_->DeleteRange(key, key + "~");
        break;
      default:
        batch.Put(key, value);
        version = db_->Put(key, value, {.sync = Sync::kNo});
    }
    ASSERT_TRUE(version.ok());
    Committed(*version, batch);
  }

  void Committed(Version version, const WriteBatch& batch) {
    ASSERT_EQ(version.value(), states_.rbegin()->first + 1);
    Content state = states_.rbegin()->second;
    Apply(batch, state);
    states_[version.value()] = std::move(state);
  }

  void Step(std::size_t i) {
    Recorded& one = running_[i];
    Transaction& transaction = *one.transaction;
    const std::string key = KeyOf(random_);
    const auto width = static_cast<int>(1 + random_.Below(3));
    const std::string end = std::string(1, static_cast<char>(key[0] + width));
    Status status;
    switch (random_.Below(9)) {
      case 0:
      case 1:
      case 2: {
        std::string value;
        status = random_.Chance(1, 3) ? transaction.GetForUpdate(key, &value)
                                      : transaction.Get(key, &value);
        const bool own =
            std::find(one.touched.begin(), one.touched.end(), key) != one.touched.end();
        if ((status.ok() || status.IsNotFound()) && !own) {
          one.reads.emplace_back(key, status.ok() ? std::optional(value) : std::nullopt);
        }
        if (status.IsNotFound()) status = Status::Ok();
        break;
      }
      case 3:
      case 4: {
        const std::string value = std::to_string(++values_);
        status = transaction.Put(key, value);
        one.writes.Put(key, value);
        one.touched.push_back(key);
        break;
      }
      case 5:
        status = transaction.Delete(key);
        one.writes.Delete(key);
        one.touched.push_back(key);
        break;
      case 6:
        status = transaction.DeleteRange(key, end);
        one.writes.DeleteRange(key, end);
        for (char c = key[0]; c < end[0]; ++c) one.touched.emplace_back(1, c);
        break;
      case 7: {
        // Own writes would only blur what the base has to be.
        if (!one.writes.empty()) return;
        const auto it = transaction.NewIterator({key, end});
        Recorded::Scan scan{key, end, {}};
        for (it->SeekToFirst(); it->Valid(); it->Next()) scan.seen.emplace(it->key(), it->value());
        status = it->status();
        if (status.ok()) one.scans.push_back(std::move(scan));
        break;
      }
      default:
        Commit(i);
        return;
    }
    if (status.ok()) return;
    ASSERT_TRUE(status.IsTimedOut() || status.IsConflict() || status.IsDeadlock())
        << status.ToString();
    ++refusals_;
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  void Commit(std::size_t i) {
    const Recorded one = std::move(running_[i]);
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    const Result<Version> version = one.transaction->Commit();
    if (!version.ok()) {
      ASSERT_TRUE(version.status().IsConflict()) << version.status().ToString();
      ++refusals_;
      return;
    }
    ++commits_;
    // What it read is the state right before it; without writes the state at its version, which is
    // none from before it began.
    const bool wrote = !one.writes.empty();
    const std::uint64_t read_at = wrote ? version->value() - 1 : version->value();
    ASSERT_GE(read_at, one.begun);
    const Content& state = states_.at(read_at);
    for (const auto& [key, value] : one.reads) {
      const auto found = state.find(key);
      const auto expected =
          found == state.end() ? std::nullopt : std::optional<std::string>(found->second);
      ASSERT_EQ(value, expected) << key << " at " << read_at;
    }
    for (const Recorded::Scan& scan : one.scans) {
      const Content expected(state.lower_bound(scan.begin), state.lower_bound(scan.end));
      ASSERT_EQ(scan.seen, expected) << scan.begin << " at " << read_at;
    }
    if (wrote) Committed(*version, one.writes);
  }

  Random random_;
  SimulatedMachine machine_;
  std::unique_ptr<DB> db_;
  std::map<std::uint64_t, Content> states_;  ///< By version.
  std::vector<Recorded> running_;
  std::uint64_t values_ = 0;
  int commits_ = 0;
  int refusals_ = 0;
};

TEST(SerializabilityTest, WhatCommitsHasReadWhatASerialRunWouldShow) {
  int commits = 0;
  int refusals = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Interleaving interleaving(seed);
    ASSERT_NO_FATAL_FAILURE(interleaving.Run());
    commits += interleaving.commits();
    refusals += interleaving.refusals();
  }
  // Both happen often, or the test says little.
  EXPECT_GT(commits, 1500);
  EXPECT_GT(refusals, 1500);
}

}  // namespace
}  // namespace bedrock::embedded
