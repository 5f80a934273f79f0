#include "common/env/memory_file_system.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace bedrock {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;
using Forever = MemoryFileSystem::Forever;
using OpenMode = FileSystem::OpenMode;
using Operation = MemoryFileSystem::Operation;

constexpr std::size_t kSector = MemoryFileSystem::kSectorBytes;
constexpr std::uint64_t kSeeds = 500;

std::unique_ptr<File> Create(MemoryFileSystem& fs, const std::string& path) {
  auto file = fs.Open(path, OpenMode::kCreate);
  EXPECT_TRUE(file.ok()) << file.status().ToString();
  return std::move(file).value();
}

/// A file whose content and name are durable.
std::unique_ptr<File> CreateDurable(MemoryFileSystem& fs, const std::string& path,
                                    std::string_view content) {
  auto file = Create(fs, path);
  EXPECT_TRUE(file->WriteAt(0, content).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(fs.SyncDirectory(ParentPath(path)).ok());
  return file;
}

std::string Get(MemoryFileSystem& fs, const std::string& path) {
  auto content = ReadFile(fs, path, std::uint64_t{1} << 30);
  return content.ok() ? *content : content.status().ToString();
}

void Crash(MemoryFileSystem& fs, CrashMode mode, std::uint64_t seed = 1) {
  Random random(seed);
  fs.Crash(random, mode);
}

/// What stands at `path` after a random crash, over many seeds.
std::set<std::string> Outcomes(const MemoryFileSystem& fs, const std::string& path) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto clone = fs.Clone();
    Crash(*clone, CrashMode::kRandom, seed);
    outcomes.insert(clone->Exists(path).value() ? Get(*clone, path) : "(none)");
  }
  return outcomes;
}

TEST(MemoryFileSystemTest, ACrashLosesWhatWasNotSynced) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "synced");
  ASSERT_TRUE(file->WriteAt(6, " not").ok());
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "a"), "synced");
}

TEST(MemoryFileSystemTest, ACrashMayKeepWhatWasNotSynced) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "synced");
  ASSERT_TRUE(file->WriteAt(6, " not").ok());
  Create(fs, "b");
  Crash(fs, CrashMode::kKeepUnsynced);
  EXPECT_EQ(Get(fs, "a"), "synced not");
  EXPECT_TRUE(fs.Exists("b").value());
}

TEST(MemoryFileSystemTest, WhatACrashKeptIsDurable) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "x");
  ASSERT_TRUE(file->WriteAt(0, "y").ok());
  Crash(fs, CrashMode::kKeepUnsynced);
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "a"), "y");
}

TEST(MemoryFileSystemTest, TheEndOfAProcessLosesNothingButMakesNothingDurable) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "x");
  ASSERT_TRUE(file->WriteAt(0, "y").ok());
  Crash(fs, CrashMode::kProcessOnly);
  EXPECT_EQ(Get(fs, "a"), "y");
  EXPECT_TRUE(file->WriteAt(0, "z").IsIOError());
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "a"), "x");
}

TEST(MemoryFileSystemTest, FilesAndLocksOfBeforeACrashAreDead) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "x");
  auto lock = fs.Lock("LOCK");
  ASSERT_TRUE(lock.ok());
  Crash(fs, CrashMode::kLoseUnsynced);
  char out = 0;
  EXPECT_TRUE(file->ReadAt(0, 1, &out).status().IsIOError());
  EXPECT_TRUE(file->WriteAt(0, "y").IsIOError());
  EXPECT_TRUE(file->Sync().IsIOError());
  EXPECT_TRUE(file->Truncate(0).IsIOError());
  EXPECT_TRUE(file->Size().status().IsIOError());
  auto lock_again = fs.Lock("LOCK");
  ASSERT_TRUE(lock_again.ok());
  std::move(lock).value().reset();  // the dead one must not free the new one
  EXPECT_TRUE(fs.Lock("LOCK").status().IsUnavailable());
}

TEST(MemoryFileSystemTest, TornWritesMixWholeSectorsInAnyOrder) {
  MemoryFileSystem fs;
  const std::string old(3 * kSector, 'o');
  auto file = CreateDurable(fs, "a", old);
  ASSERT_TRUE(file->WriteAt(0, std::string(3 * kSector, 'n')).ok());
  std::set<std::string> expected;
  for (int bits = 0; bits < 8; ++bits) {
    std::string content = old;
    for (std::size_t s = 0; s < 3; ++s) {
      if ((bits >> s & 1) != 0) content.replace(s * kSector, kSector, kSector, 'n');
    }
    expected.insert(content);
  }
  EXPECT_EQ(Outcomes(fs, "a"), expected);
}

TEST(MemoryFileSystemTest, ASectorIsNeverTorn) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", std::string(kSector, 'o'));
  ASSERT_TRUE(file->WriteAt(10, "12").ok());
  ASSERT_TRUE(file->WriteAt(11, "34").ok());
  std::string first(kSector, 'o');
  first.replace(10, 2, "12");
  std::string second(kSector, 'o');
  second.replace(10, 3, "134");
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{std::string(kSector, 'o'), first, second}));
}

TEST(MemoryFileSystemTest, SyncedBytesSurviveEveryCrash) {
  // Model: each byte of what was synced is either itself or one of the later writes over it.
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    Random random(seed);
    std::string model(8 * kSector, 's');
    auto file = CreateDurable(fs, "a", model);
    std::vector<std::set<char>> allowed(model.size());
    for (std::size_t i = 0; i < model.size(); ++i) allowed[i] = {model[i]};
    for (char c = 'a'; c <= 'j'; ++c) {
      const std::size_t at = static_cast<std::size_t>(random.Below(model.size()));
      const std::size_t n = static_cast<std::size_t>(random.Between(1, model.size() - at));
      ASSERT_TRUE(file->WriteAt(at, std::string(n, c)).ok());
      for (std::size_t i = at; i < at + n; ++i) {
        model[i] = c;
        allowed[i].insert(c);
      }
      if (!random.Chance(1, 4)) continue;
      ASSERT_TRUE(file->Sync().ok());
      for (std::size_t i = 0; i < model.size(); ++i) allowed[i] = {model[i]};
    }
    EXPECT_EQ(Get(fs, "a"), model);
    fs.Crash(random, CrashMode::kRandom);
    const std::string after = Get(fs, "a");
    ASSERT_EQ(after.size(), model.size());
    for (std::size_t i = 0; i < after.size(); ++i) {
      ASSERT_TRUE(allowed[i].contains(after[i])) << "seed " << seed << " byte " << i;
    }
  }
}

TEST(MemoryFileSystemTest, TheSizeOfAnAppendMayComeWithoutItsBytes) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", std::string(kSector, 's'));
  ASSERT_TRUE(file->WriteAt(kSector, std::string(kSector, 'n')).ok());
  const std::string synced(kSector, 's');
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{synced, synced + std::string(kSector, '\0'),
                                                      synced + std::string(kSector, 'n')}));
}

TEST(MemoryFileSystemTest, ATruncationIsKeptOrLostWhole) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", std::string(kSector, 'o'));
  ASSERT_TRUE(file->Truncate(0).ok());
  ASSERT_TRUE(file->Truncate(kSector).ok());
  // What was cut never shows again once the file has grown again.
  EXPECT_EQ(Outcomes(fs, "a"),
            (std::set<std::string>{std::string(kSector, 'o'), "", std::string(kSector, '\0')}));
}

TEST(MemoryFileSystemTest, ANewFileNeedsSyncDirectoryForItsName) {
  MemoryFileSystem fs;
  auto file = Create(fs, "a");
  ASSERT_TRUE(file->WriteAt(0, "x").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{"(none)", "x"}));
  ASSERT_TRUE(fs.SyncDirectory(".").ok());
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{"x"}));
}

TEST(MemoryFileSystemTest, ARemovalNeedsSyncDirectory) {
  MemoryFileSystem fs;
  CreateDurable(fs, "a", "x");
  ASSERT_TRUE(fs.Remove("a").ok());
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{"(none)", "x"}));
  ASSERT_TRUE(fs.SyncDirectory(".").ok());
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{"(none)"}));
}

TEST(MemoryFileSystemTest, ARenameIsOldOrNewNeverNeither) {
  MemoryFileSystem fs;
  CreateDurable(fs, "a", "old");
  CreateDurable(fs, "b", "new");
  ASSERT_TRUE(fs.Rename("b", "a").ok());
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto clone = fs.Clone();
    Crash(*clone, CrashMode::kRandom, seed);
    const std::string a = Get(*clone, "a");
    seen.insert(a);
    ASSERT_TRUE(a == "old" || a == "new") << a;
    EXPECT_EQ(clone->Exists("b").value(), a == "old");
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(MemoryFileSystemTest, ARenameBetweenFoldersIsDurableWithItsTargetFolder) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("x").ok());
  ASSERT_TRUE(fs.CreateDirectories("y").ok());
  auto file = Create(fs, "x/a");
  ASSERT_TRUE(file->WriteAt(0, "1").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(fs.Rename("x/a", "y/a").ok());
  ASSERT_TRUE(fs.SyncDirectory("y").ok());
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "y/a"), "1");
  EXPECT_FALSE(fs.Exists("x/a").value());
}

TEST(MemoryFileSystemTest, SyncOfAFolderLeavesOthersUnsynced) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("x").ok());
  ASSERT_TRUE(fs.CreateDirectories("y").ok());
  Create(fs, "x/a");
  Create(fs, "y/a");
  ASSERT_TRUE(fs.SyncDirectory("x").ok());
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_TRUE(fs.Exists("x/a").value());
  EXPECT_FALSE(fs.Exists("y/a").value());
}

TEST(MemoryFileSystemTest, AFolderIsNotLostWithoutItsFiles) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("x").ok());
  CreateDurable(fs, "x/a", "1");
  ASSERT_TRUE(fs.Remove("x/a").ok());
  ASSERT_TRUE(fs.RemoveDirectory("x").ok());
  std::set<std::pair<bool, bool>> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto clone = fs.Clone();
    Crash(*clone, CrashMode::kRandom, seed);
    seen.emplace(clone->Exists("x").value(), clone->Exists("x/a").value());
  }
  EXPECT_EQ(seen, (std::set<std::pair<bool, bool>>{{true, true}, {true, false}, {false, false}}));
}

TEST(MemoryFileSystemTest, UnrelatedNamesAreLostOneByOne) {
  MemoryFileSystem fs;
  Create(fs, "a");
  Create(fs, "b");
  std::set<std::vector<std::string>> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto clone = fs.Clone();
    Crash(*clone, CrashMode::kRandom, seed);
    seen.insert(clone->List(".").value());
  }
  EXPECT_EQ(seen, (std::set<std::vector<std::string>>{{}, {"a"}, {"b"}, {"a", "b"}}));
}

TEST(MemoryFileSystemTest, ReplaceFileHoldsAtEveryCrashPoint) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("d").ok());
  ASSERT_TRUE(ReplaceFile(fs, "d/a", "old").ok());
  const std::uint64_t before = fs.mutations();
  const std::string fresh(2000, 'n');
  const auto whole = fs.Clone();
  ASSERT_TRUE(ReplaceFile(*whole, "d/a", fresh).ok());
  const std::uint64_t calls = whole->mutations() - before;
  ASSERT_GE(calls, 5u);  // create, write, sync, rename, sync directory
  std::set<std::string> seen;
  for (std::uint64_t call = 1; call <= calls; ++call) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const auto clone = fs.Clone();
      clone->CrashAtMutation(before + call);
      EXPECT_TRUE(ReplaceFile(*clone, "d/a", fresh).IsIOError());
      EXPECT_TRUE(clone->crashed());
      Crash(*clone, CrashMode::kRandom, seed);
      const std::string after = Get(*clone, "d/a");
      ASSERT_TRUE(after == "old" || after == fresh) << "call " << call << " seed " << seed;
      seen.insert(after);
    }
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(MemoryFileSystemTest, AReplaceWithoutSyncIsCaught) {
  // The mutant of the test above: proves that the disk would show a forgotten Sync.
  MemoryFileSystem fs;
  CreateDurable(fs, "a", "old");
  ASSERT_TRUE(Create(fs, "a.tmp")->WriteAt(0, "new").ok());
  ASSERT_TRUE(fs.Rename("a.tmp", "a").ok());
  ASSERT_TRUE(fs.SyncDirectory(".").ok());
  EXPECT_TRUE(Outcomes(fs, "a").contains(""));
}

TEST(MemoryFileSystemTest, AfterTheCrashPointEveryCallFails) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "x");
  fs.CrashAtMutation(fs.mutations() + 2);
  ASSERT_TRUE(file->WriteAt(0, "y").ok());
  EXPECT_TRUE(file->Sync().IsIOError());
  char out = 0;
  EXPECT_TRUE(file->ReadAt(0, 1, &out).status().IsIOError());
  EXPECT_TRUE(file->WriteAt(0, "z").IsIOError());
  EXPECT_TRUE(file->Size().status().IsIOError());
  EXPECT_TRUE(fs.Open("a", OpenMode::kRead).status().IsIOError());
  EXPECT_TRUE(fs.List(".").status().IsIOError());
  EXPECT_TRUE(fs.Exists("a").status().IsIOError());
  EXPECT_TRUE(fs.Remove("a").IsIOError());
  EXPECT_TRUE(fs.CreateDirectories("d").IsIOError());
  Crash(fs, CrashMode::kKeepUnsynced);
  EXPECT_EQ(Get(fs, "a"), "y");  // the write before the point, none behind it
}

TEST(MemoryFileSystemTest, ACrashInASyncDoesNotSync) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "x");
  ASSERT_TRUE(file->WriteAt(0, "y").ok());
  fs.CrashAtMutation(fs.mutations() + 1);
  EXPECT_TRUE(file->Sync().IsIOError());
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{"x", "y"}));
}

TEST(MemoryFileSystemTest, TheNthCallOfAKindFailsOnce) {
  MemoryFileSystem fs;
  auto file = Create(fs, "dir.log");
  auto other = Create(fs, "other");
  fs.Inject({.operations = {Operation::kWrite},
             .path_suffix = ".log",
             .nth = 2,
             .forever = Forever::kNo,
             .error = StatusCode::kIoError});
  EXPECT_TRUE(file->WriteAt(0, "1").ok());
  EXPECT_TRUE(other->WriteAt(0, "1").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(file->WriteAt(0, "1").IsIOError());
  EXPECT_TRUE(file->WriteAt(0, "1").ok());
}

TEST(MemoryFileSystemTest, AFaultMayStayForEver) {
  MemoryFileSystem fs;
  fs.Inject({.operations = {Operation::kOpen, Operation::kRename},
             .path_suffix = "",
             .nth = 1,
             .forever = Forever::kYes,
             .error = StatusCode::kNoSpace});
  EXPECT_TRUE(fs.Open("a", OpenMode::kCreate).status().IsNoSpace());
  EXPECT_TRUE(fs.Rename("a", "b").IsNoSpace());
  EXPECT_TRUE(fs.Open("a", OpenMode::kCreate).status().IsNoSpace());
  EXPECT_FALSE(fs.Exists("a").value());
  fs.ClearFaults();
  EXPECT_TRUE(fs.Open("a", OpenMode::kCreate).ok());
}

TEST(MemoryFileSystemTest, EveryKindOfCallCanFail) {
  MemoryFileSystem fs;
  auto file = Create(fs, "a");
  ASSERT_TRUE(fs.CreateDirectories("d").ok());
  const auto fail = [&](Operation operation) {
    fs.Inject({.operations = {operation},
               .path_suffix = "",
               .nth = 1,
               .forever = Forever::kNo,
               .error = StatusCode::kIoError});
  };
  char out = 0;
  fail(Operation::kOpen);
  EXPECT_TRUE(fs.Open("a", OpenMode::kRead).status().IsIOError());
  fail(Operation::kRead);
  EXPECT_TRUE(file->ReadAt(0, 1, &out).status().IsIOError());
  fail(Operation::kWrite);
  EXPECT_TRUE(file->WriteAt(0, "x").IsIOError());
  fail(Operation::kSync);
  EXPECT_TRUE(file->Sync().IsIOError());
  fail(Operation::kResize);
  EXPECT_TRUE(file->Truncate(9).IsIOError());
  fail(Operation::kCreateDirectory);
  EXPECT_TRUE(fs.CreateDirectories("e").IsIOError());
  fail(Operation::kList);
  EXPECT_TRUE(fs.List(".").status().IsIOError());
  fail(Operation::kSyncDirectory);
  EXPECT_TRUE(fs.SyncDirectory(".").IsIOError());
  fail(Operation::kRename);
  EXPECT_TRUE(fs.Rename("a", "b").IsIOError());
  fail(Operation::kLink);
  EXPECT_TRUE(fs.Link("a", "b").IsIOError());
  fail(Operation::kRemove);
  EXPECT_TRUE(fs.Remove("a").IsIOError());
  fail(Operation::kRemoveDirectory);
  EXPECT_TRUE(fs.RemoveDirectory("d").IsIOError());
  fail(Operation::kLock);
  EXPECT_TRUE(fs.Lock("l").status().IsIOError());
  EXPECT_EQ(fs.List(".").value(), (std::vector<std::string>{"a", "d"}));
}

TEST(MemoryFileSystemTest, AFailedWriteMayHavePutAPartThere) {
  MemoryFileSystem fs;
  auto file = Create(fs, "a");
  fs.Inject({.operations = {Operation::kWrite},
             .path_suffix = "",
             .nth = 1,
             .forever = Forever::kNo,
             .error = StatusCode::kIoError});
  EXPECT_TRUE(file->WriteAt(0, "123456").IsIOError());
  EXPECT_EQ(Get(fs, "a"), "123");
}

TEST(MemoryFileSystemTest, AfterAFailedSyncALaterSuccessProvesNothing) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", std::string(2 * kSector, 'o'));
  ASSERT_TRUE(file->WriteAt(0, std::string(kSector, 'n')).ok());
  fs.Inject({.operations = {Operation::kSync},
             .path_suffix = "",
             .nth = 1,
             .forever = Forever::kNo,
             .error = StatusCode::kIoError});
  EXPECT_TRUE(file->Sync().IsIOError());
  ASSERT_TRUE(file->WriteAt(kSector, std::string(kSector, 'n')).ok());
  ASSERT_TRUE(file->Sync().ok());
  const std::string both(2 * kSector, 'n');
  EXPECT_EQ(Get(fs, "a"), both);
  EXPECT_EQ(Outcomes(fs, "a"),
            (std::set<std::string>{std::string(kSector, 'o') + std::string(kSector, 'n'), both}));
}

TEST(MemoryFileSystemTest, ASectorTouchedAgainAfterAFailedSyncIsSynced) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", std::string(kSector, 'o'));
  ASSERT_TRUE(file->WriteAt(0, "new").ok());
  fs.Inject({.operations = {Operation::kSync},
             .path_suffix = "",
             .nth = 1,
             .forever = Forever::kNo,
             .error = StatusCode::kIoError});
  EXPECT_TRUE(file->Sync().IsIOError());
  ASSERT_TRUE(file->WriteAt(5, "er").ok());
  ASSERT_TRUE(file->Sync().ok());
  std::string expected(kSector, 'o');
  expected.replace(0, 7, "newooer");
  EXPECT_EQ(Outcomes(fs, "a"), (std::set<std::string>{expected}));
}

TEST(MemoryFileSystemTest, WhatWasCutAfterAFailedSyncStaysCut) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "");
  ASSERT_TRUE(file->WriteAt(0, std::string(2 * kSector, 'n')).ok());
  fs.Inject({.operations = {Operation::kSync},
             .path_suffix = "",
             .nth = 1,
             .forever = Forever::kNo,
             .error = StatusCode::kIoError});
  EXPECT_TRUE(file->Sync().IsIOError());
  ASSERT_TRUE(file->Truncate(10).ok());
  ASSERT_TRUE(file->Truncate(20).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(
      Outcomes(fs, "a"),
      (std::set<std::string>{std::string(20, '\0'), std::string(10, 'n') + std::string(10, '\0')}));
}

TEST(MemoryFileSystemTest, AWriteWithSyncIsDurableAndNothingElse) {
  MemoryFileSystem fs;
  const auto file = CreateDurable(fs, "a", std::string(4 * kSector, '0'));
  ASSERT_TRUE(file->WriteAt(0, std::string(4 * kSector, '1')).ok());
  ASSERT_TRUE(file->WriteAtAndSync(kSector, std::string(kSector, '2')).ok());
  EXPECT_EQ(Outcomes(fs, "a").size(), 8u);  // the other three sectors, each old or new
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "a"),
            std::string(kSector, '0') + std::string(kSector, '2') + std::string(2 * kSector, '0'));
}

TEST(MemoryFileSystemTest, AWriteWithSyncThatGrowsIsWhole) {
  MemoryFileSystem fs;
  const auto file = CreateDurable(fs, "a", "");
  ASSERT_TRUE(file->WriteAtAndSync(700, "grown").ok());
  const std::string whole = std::string(700, '\0') + "grown";
  EXPECT_EQ(Outcomes(fs, "a"), std::set<std::string>{whole});
}

TEST(MemoryFileSystemTest, AWriteWithSyncFailsInEitherHalf) {
  MemoryFileSystem fs;
  const auto file = CreateDurable(fs, "a", "old");
  for (const Operation half : {Operation::kWrite, Operation::kSync}) {
    fs.Inject({.operations = {half}, .path_suffix = "a"});
    EXPECT_TRUE(file->WriteAtAndSync(0, "new").IsIOError());
  }
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(Get(fs, "a"), "new");
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "a"), "old");  // a later success proved nothing
}

TEST(MemoryFileSystemTest, AFullDiskTakesWhatFitsAndClears) {
  MemoryFileSystem fs;
  fs.SetCapacity(10);
  EXPECT_EQ(fs.FreeSpace(".").value(), 10u);
  auto a = Create(fs, "a");
  ASSERT_TRUE(a->WriteAt(0, "1234567").ok());
  auto b = Create(fs, "b");
  EXPECT_TRUE(b->WriteAt(0, "12345").IsNoSpace());
  EXPECT_EQ(Get(fs, "b"), "123");
  EXPECT_TRUE(b->Truncate(4).IsNoSpace());
  EXPECT_EQ(fs.FreeSpace(".").value(), 0u);
  EXPECT_TRUE(a->WriteAt(0, "7654321").ok());  // in place needs no room
  ASSERT_TRUE(fs.Remove("a").ok());
  EXPECT_EQ(fs.FreeSpace(".").value(), 7u);
  EXPECT_TRUE(b->WriteAt(0, "12345").ok());
  fs.SetCapacity(3);
  EXPECT_EQ(fs.FreeSpace(".").value(), 0u);
  EXPECT_TRUE(b->WriteAt(5, "6").IsNoSpace());
  fs.SetCapacity(100);
  EXPECT_TRUE(b->WriteAt(5, "6").ok());
}

TEST(MemoryFileSystemTest, UsedSpaceCountsEachFileOnce) {
  MemoryFileSystem fs;
  fs.SetCapacity(100);
  ASSERT_TRUE(Create(fs, "a")->WriteAt(0, std::string(40, 'x')).ok());
  ASSERT_TRUE(fs.Link("a", "b").ok());
  EXPECT_EQ(fs.FreeSpace(".").value(), 60u);
  ASSERT_TRUE(fs.Remove("a").ok());
  EXPECT_EQ(fs.FreeSpace(".").value(), 60u);
  Create(fs, "c");
  ASSERT_TRUE(fs.Rename("c", "b").ok());
  EXPECT_EQ(fs.FreeSpace(".").value(), 100u);
  CreateDurable(fs, "a", std::string(30, 'x'));
  ASSERT_TRUE(fs.Link("a", "b2").ok());
  Crash(fs, CrashMode::kKeepUnsynced);
  EXPECT_EQ(fs.FreeSpace(".").value(), 70u);
}

TEST(MemoryFileSystemTest, ABitFlipsDurably) {
  MemoryFileSystem fs;
  CreateDurable(fs, "a", "AB");
  ASSERT_TRUE(fs.FlipBit("a", 8 + 5).ok());
  EXPECT_EQ(Get(fs, "a"), "Ab");
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "a"), "Ab");
  EXPECT_TRUE(fs.FlipBit("a", 16).IsInvalidArgument());
  EXPECT_TRUE(fs.FlipBit("b", 0).IsNotFound());
}

TEST(MemoryFileSystemTest, AnOverwriteIsDurableAndNeverGrows) {
  MemoryFileSystem fs;
  CreateDurable(fs, "a", "123456");
  ASSERT_TRUE(fs.Overwrite("a", 2, "xy").ok());
  EXPECT_TRUE(fs.Overwrite("a", 5, "xy").IsInvalidArgument());
  Crash(fs, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(fs, "a"), "12xy56");
}

TEST(MemoryFileSystemTest, MutationsCountWhatChangesAndNothingElse) {
  MemoryFileSystem fs;
  auto file = Create(fs, "a");
  EXPECT_EQ(fs.mutations(), 1u);
  ASSERT_TRUE(file->WriteAt(0, "x").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Truncate(0).ok());
  ASSERT_TRUE(fs.Rename("a", "b").ok());
  ASSERT_TRUE(fs.Link("b", "c").ok());
  ASSERT_TRUE(fs.Remove("c").ok());
  ASSERT_TRUE(fs.SyncDirectory(".").ok());
  EXPECT_EQ(fs.mutations(), 8u);
  Get(fs, "b");
  EXPECT_TRUE(fs.List(".").ok());
  EXPECT_TRUE(fs.Exists("b").ok());
  EXPECT_EQ(fs.mutations(), 8u);
  ASSERT_TRUE(fs.CreateDirectories("d/e").ok());  // two folders made, two synced
  EXPECT_EQ(fs.mutations(), 12u);
}

TEST(MemoryFileSystemTest, ACloneHasTheUnsyncedPartsAndItsOwnLife) {
  MemoryFileSystem fs;
  auto file = CreateDurable(fs, "a", "x");
  ASSERT_TRUE(file->WriteAt(0, "y").ok());
  ASSERT_TRUE(fs.Rename("a", "b").ok());
  const auto clone = fs.Clone();
  EXPECT_EQ(Get(*clone, "b"), "y");
  ASSERT_TRUE(file->WriteAt(0, "z").ok());
  Crash(*clone, CrashMode::kLoseUnsynced);
  EXPECT_EQ(Get(*clone, "a"), "x");
  EXPECT_EQ(Get(fs, "b"), "z");
}

TEST(MemoryFileSystemTest, TheSameSeedGivesTheSameDisk) {
  MemoryFileSystem fs;
  for (const char* name : {"a", "b", "c", "d"}) {
    auto file = CreateDurable(fs, name, std::string(5000, 'o'));
    ASSERT_TRUE(file->WriteAt(100, std::string(9000, 'n')).ok());
  }
  ASSERT_TRUE(fs.Rename("a", "e").ok());
  Create(fs, "f");
  const auto one = fs.Clone();
  const auto two = fs.Clone();
  Crash(*one, CrashMode::kRandom, 9);
  Crash(*two, CrashMode::kRandom, 9);
  const std::vector<std::string> names = one->List(".").value();
  ASSERT_EQ(names, two->List(".").value());
  for (const std::string& name : names) {
    EXPECT_EQ(Get(*one, name), Get(*two, name));
  }
}

TEST(MemoryFileSystemTest, APathWithTwoDotsIsRefused) {
  MemoryFileSystem fs;
  EXPECT_TRUE(fs.Open("a/../b", OpenMode::kCreate).status().IsInvalidArgument());
  EXPECT_TRUE(fs.CreateDirectories("..").IsInvalidArgument());
}

TEST(MemoryFileSystemTest, FilesOutliveTheFileSystem) {
  auto fs = std::make_unique<MemoryFileSystem>();
  auto file = Create(*fs, "a");
  fs.reset();
  EXPECT_TRUE(file->WriteAt(0, "x").ok());
}

}  // namespace
}  // namespace bedrock
