#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>

#include "bedrock/db.h"
#include "common/env/random.h"
#include "database_fixture.h"
#include "storaged/engine/change_reader.h"

namespace bedrock::embedded {
namespace {

/// What commit `i` does, the same in both processes: any state is that of a number of commits.
void ChangesOf(std::uint64_t seed, std::uint64_t i, WriteBatch& batch) {
  Random random = Random(seed).Fork(i);
  const std::string key = std::to_string(random.Below(300));
  switch (random.Below(12)) {
    case 0:
      batch.Delete(key);
      break;
    case 1:
      batch.DeleteRange(key, key + "5");
      break;
    case 2:
      batch.Put("large", std::string(20'000 + random.Below(1000), 'L'));
      break;
    default:
      batch.Put(key, std::to_string(i) + std::string(random.Below(500), 'v'));
      batch.Put("counter", std::to_string(i));
  }
}

Options SmallOptions() {
  Options options;
  options.memtable_bytes = 64 << 10;
  options.memory_budget = 4 << 20;
  return options;
}

/// The child: writes for ever, and says each commit's number through the pipe when it is
/// acknowledged. Never returns.
[[noreturn]] void WriteForEver(const std::string& path, std::uint64_t seed, int pipe) {
  auto opened = DB::Open(path, SmallOptions());
  if (!opened.ok()) _exit(2);
  std::uint64_t i = (*opened)->Stats().newest.value();
  while (true) {
    ++i;
    WriteBatch batch;
    ChangesOf(seed, i, batch);
    const Sync sync = i % 50 == 0 ? Sync::kYes : Sync::kNo;
    const Result<Version> written = (*opened)->Write(batch, {.sync = sync});
    if (!written.ok() || written->value() != i) _exit(3);
    if (write(pipe, &i, sizeof(i)) != sizeof(i)) _exit(4);
  }
}

/// Lets a child write on `path` until it has acknowledged `commits`, kills it, and gives the last
/// number it said.
std::uint64_t WriteAndKill(const std::string& path, std::uint64_t seed, std::uint64_t commits) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    WriteForEver(path, seed, ends[1]);
  }
  close(ends[1]);
  std::uint64_t last = 0;
  std::uint64_t said = 0;
  for (std::uint64_t n = 0; n < commits; ++n) {
    if (read(ends[0], &said, sizeof(said)) != sizeof(said)) break;
    last = said;
  }
  EXPECT_EQ(kill(child, SIGKILL), 0);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);
  // What it said before it died counts, too.
  while (read(ends[0], &said, sizeof(said)) == sizeof(said)) last = said;
  close(ends[0]);
  return last;
}

/// The state after the first `commits`.
class Oracle {
 public:
  explicit Oracle(std::uint64_t seed) : seed_(seed) {}

  const Content& StateAfter(std::uint64_t commits) {
    while (done_ < commits) {
      WriteBatch batch;
      ChangesOf(seed_, ++done_, batch);
      engine::ChangeReader reader(batch.encoded());
      while (reader.Next()) Apply(reader);
    }
    return state_;
  }

 private:
  void Apply(const engine::ChangeReader& change) {
    using Kind = engine::ChangeReader::Kind;
    const std::string key(change.key());
    if (change.kind() == Kind::kPut) state_[key] = change.value();
    if (change.kind() == Kind::kDelete) state_.erase(key);
    if (change.kind() == Kind::kDeleteRange)
      state_.erase(state_.lower_bound(key), state_.lower_bound(std::string(change.value())));
  }

  const std::uint64_t seed_;
  std::uint64_t done_ = 0;
  Content state_;
};

// Real processes on a real disk, killed in the middle of writing, flushing and compacting. The
// death of the process takes nothing that was acknowledged, with a sync or without.
TEST(KillTest, WhatWasAcknowledgedSurvivesSigkill) {
  const TemporaryFolder folder;
  const std::string path = folder.Path("db");
  constexpr std::uint64_t kSeed = 20260101;
  Oracle oracle(kSeed);
  Random random(kSeed);
  std::uint64_t last = 0;
  for (int round = 0; round < 12; ++round) {
    const std::uint64_t said = WriteAndKill(path, kSeed, 1 + random.Below(3000));
    ASSERT_GE(said, last);
    const auto db = DB::Open(path, SmallOptions());
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    const std::uint64_t newest = (*db)->Stats().newest.value();
    ASSERT_GE(newest, said);
    ASSERT_LE(newest, said + 1);  // the one it died in
    ASSERT_TRUE(ReadAll(**db) == oracle.StateAfter(newest)) << "version " << newest;
    ASSERT_TRUE((*db)->Verify().ok());
    last = newest;
  }
}

}  // namespace
}  // namespace bedrock::embedded
