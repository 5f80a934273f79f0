#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "storaged/engine/wal/log.h"
#include "tests/unit/storaged/engine/wal/log_fixture.h"

namespace bedrock::engine::wal {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;

class LogDamageTest : public LogTest {
 protected:
  LogDamageTest() { EXPECT_TRUE(Open().ok()); }

  LogOptions SalvageOptions() {
    LogOptions options = SmallOptions();
    options.salvage = Salvage::kYes;
    return options;
  }
  /// One bit of a byte.
  void Flip(const std::string& name, std::uint64_t offset) {
    ASSERT_TRUE(fs().FlipBit("db/" + name, offset * 8 + offset % 8).ok());
  }
  /// Where commit `version` stands in the first segment, or would, were its commits of one size.
  std::uint64_t OffsetOf(std::uint64_t version) {
    const std::string name = Names().at(0);
    const std::string content = Content(name);
    WalRecordReader reader(content, ParseSegmentName(name).value(), kSegmentHeaderBytes);
    std::uint64_t bytes = 0;
    for (std::uint64_t at = 1; at < version; ++at) {
      const std::uint64_t before = reader.offset();
      if (!reader.Next()) return before + (version - at) * bytes;
      bytes = reader.offset() - before;
    }
    return reader.offset();
  }
};

TEST_F(LogDamageTest, BadBytesThatNothingProvesAreATornTail) {
  ASSERT_TRUE(AppendAll(1, 10, Durability::kProcess).ok());
  Crash(CrashMode::kProcessOnly);
  Flip(Names().at(0), OffsetOf(6) + 30);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 5));
  ASSERT_TRUE(AppendAll(6, 8, Durability::kDisk, 30).ok() && Sync().ok());
  Crash(CrashMode::kRandom);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_.size(), 8u);
  EXPECT_EQ(found_[6], PayloadOf(6, 30));
}

TEST_F(LogDamageTest, DamageBelowALaterRecordsDurableOffsetIsCorruption) {
  ASSERT_TRUE(AppendAll(1, 10, Durability::kDisk).ok() && Sync().ok());
  ASSERT_TRUE(Append(11, Durability::kProcess).ok());
  Crash(CrashMode::kProcessOnly);
  Flip(Names().at(0), OffsetOf(6) + 30);
  const Status opened = Open();
  EXPECT_TRUE(opened.IsCorruption());
  EXPECT_NE(opened.message().find("db/000001.log at offset " + std::to_string(OffsetOf(6))),
            std::string::npos)
      << opened.ToString();
  ASSERT_TRUE(Open(Version(), SalvageOptions()).ok());
  EXPECT_EQ(found_, Expected(1, 5));
  EXPECT_NE(log_->salvaged().find("offset"), std::string::npos);
  ASSERT_TRUE(Append(6, Durability::kDisk, 30).ok() && Sync().ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_.size(), 6u);
  EXPECT_TRUE(log_->salvaged().empty());
}

TEST_F(LogDamageTest, DamageBeforeASegmentThatWasSyncedIsCorruption) {
  ASSERT_TRUE(AppendAll(1, 300, Durability::kProcess, 100).ok());
  ASSERT_TRUE(Sync().ok());
  ASSERT_TRUE(Append(301, Durability::kProcess).ok());
  ASSERT_GT(Names().size(), 2u);
  Crash(CrashMode::kProcessOnly);
  Flip(Names().at(0), OffsetOf(6) + 50);
  EXPECT_TRUE(Open().IsCorruption());
  // Not needed, not missed.
  ASSERT_TRUE(Open(Version(250)).ok());
  EXPECT_EQ(found_.size(), 51u);
}

TEST_F(LogDamageTest, DamageBeforeSegmentsThatWereNeverSyncedEndsTheLog) {
  ASSERT_TRUE(AppendAll(1, 300, Durability::kProcess, 100).ok());
  ASSERT_GT(Names().size(), 2u);
  Crash(CrashMode::kProcessOnly);
  Flip(Names().at(0), OffsetOf(6) + 50);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 5, 100));
  ASSERT_TRUE(AppendAll(6, 9, Durability::kProcess, 100).ok());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 9, 100));
}

TEST_F(LogDamageTest, SegmentsThatARecoveryGaveUpStayGivenUp) {
  ASSERT_TRUE(AppendAll(1, 300, Durability::kProcess, 100).ok());
  const auto names = Names();
  Crash(CrashMode::kProcessOnly);
  Flip(names.at(0), OffsetOf(6) + 50);
  // They can't be removed, and name the same predecessor as the next segment does.
  fs().Inject({.operations = {MemoryFileSystem::Operation::kRemove},
               .path_suffix = "",
               .nth = 1,
               .forever = MemoryFileSystem::Forever::kYes});
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(6, 9, Durability::kDisk, 100).ok() && Sync().ok());
  EXPECT_GT(Names().size(), names.size());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 9, 100));
}

TEST_F(LogDamageTest, AMissingSegmentIsCorruption) {
  ASSERT_TRUE(AppendAll(1, 300, Durability::kDisk, 100).ok() && Sync().ok());
  ASSERT_TRUE(Append(301, Durability::kProcess).ok());
  Crash(CrashMode::kProcessOnly);
  const auto names = Names();
  ASSERT_GT(names.size(), 2u);
  for (const std::size_t missing : {0U, 1U}) {
    const auto whole = fs().Clone();
    ASSERT_TRUE(fs().Remove("db/" + names[missing]).ok());
    const Status opened = Open();
    EXPECT_TRUE(opened.IsCorruption()) << missing;
    ASSERT_TRUE(Open(Version(), SalvageOptions()).ok());
    EXPECT_EQ(found_.empty(), missing == 0);
    EXPECT_FALSE(log_->salvaged().empty());
    log_.reset();
    UseDisk(whole->Clone());
  }
}

TEST_F(LogDamageTest, ALogThatBeginsLateIsCorruption) {
  ASSERT_TRUE(Open(Version(10)).ok());
  ASSERT_TRUE(Append(11, Durability::kProcess).ok());
  EXPECT_TRUE(Open(Version(5)).IsCorruption());
  EXPECT_TRUE(Open(Version(10)).ok());
}

TEST_F(LogDamageTest, AnotherDatabasesSegmentIsRefused) {
  ASSERT_TRUE(Append(1, Durability::kProcess).ok());
  LogOptions options = SmallOptions();
  options.database_id = 5;
  const Status opened = Open(Version(), options);
  EXPECT_TRUE(opened.IsCorruption());
  EXPECT_NE(opened.message().find("another database"), std::string::npos);
}

TEST_F(LogDamageTest, LeftoversOfARecycledSegmentNeverParse) {
  // Segments of the same shape, so that old records stand right where the next one would.
  for (std::uint64_t v = 1; v <= 2000; ++v) {
    ASSERT_TRUE(Append(v, Durability::kProcess, 100).ok());
    log_->ReleaseThrough(Version(v));
    executor_.RunAll();
    if (v % 37 == 0) {
      const auto disk = fs().Clone();
      const std::uint64_t after = v > 30 ? v - 30 : 0;
      Commits found;
      const auto log = Log::Open({disk.get(), &clock_, &executor_}, SmallOptions(), Version(after),
                                 [&](Version version, std::string_view payload) {
                                   found[version.value()] = payload;
                                   return Status::Ok();
                                 });
      // The newest segment may begin behind `after`: the older ones are gone, as was asked for.
      if (log.ok()) {
        EXPECT_EQ(found, Expected(after + 1, v, 100));
      } else {
        EXPECT_TRUE(log.status().IsCorruption());
      }
      executor_.Clear();
    }
  }
}

TEST_F(LogDamageTest, ADamagedHeaderIsCorruptionAndAnUnwrittenOneIsNone) {
  ASSERT_TRUE(AppendAll(1, 5, Durability::kDisk).ok() && Sync().ok());
  Crash(CrashMode::kProcessOnly);
  const std::string name = Names().at(0);
  const auto whole = fs().Clone();
  Flip(name, 30);
  EXPECT_TRUE(Open().IsCorruption());
  UseDisk(whole->Clone());
  // Zeroes where a header was; the record behind it knows that it was synced.
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(6, 7, Durability::kDisk).ok() && Sync().ok());
  ASSERT_TRUE(Append(8, Durability::kDisk).ok() && Sync().ok());
  ASSERT_TRUE(fs().Overwrite("db/" + Names().back(), 0, std::string(72, '\0')).ok());
  EXPECT_TRUE(Open().IsCorruption());
}

TEST_F(LogDamageTest, EveryFlippedByteIsFoundOrHarmless) {
  ASSERT_TRUE(AppendAll(1, 4, Durability::kDisk).ok() && Sync().ok());
  ASSERT_TRUE(Append(5, Durability::kProcess).ok());
  ASSERT_TRUE(AppendAll(6, 7, Durability::kDisk).ok() && Sync().ok());
  ASSERT_TRUE(AppendAll(8, 9, Durability::kDisk).ok() && Sync().ok());
  Crash(CrashMode::kProcessOnly);
  const std::string name = Names().at(0);
  const auto whole = fs().Clone();
  const std::uint64_t proved = OffsetOf(8);  // the last records know that these are durable
  const std::uint64_t end = OffsetOf(12);
  for (std::uint64_t offset = 0; offset < end; ++offset) {
    SCOPED_TRACE(offset);
    UseDisk(whole->Clone());
    Flip(name, offset);
    const Status opened = Open();
    const bool header = offset < 72;
    const bool header_rest = !header && offset < kSegmentHeaderBytes;
    if (header || (!header_rest && offset < proved)) {
      EXPECT_TRUE(opened.IsCorruption()) << opened.ToString();
      EXPECT_TRUE(header || Open(Version(), SalvageOptions()).ok());
    } else {
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      EXPECT_GE(found_.size(), header_rest ? 9u : 7u);
    }
    for (const auto& [version, payload] : found_) EXPECT_EQ(payload, PayloadOf(version));
  }
}

TEST_F(LogDamageTest, EveryTruncationIsFoundOrATornTail) {
  ASSERT_TRUE(AppendAll(1, 4, Durability::kProcess).ok());
  Crash(CrashMode::kProcessOnly);
  const std::string name = Names().at(0);
  const auto whole = fs().Clone();
  const std::uint64_t ends[] = {OffsetOf(2), OffsetOf(3), OffsetOf(4), OffsetOf(5)};
  for (std::uint64_t size = 0; size < ends[3] + 60; size += 7) {
    SCOPED_TRACE(size);
    UseDisk(whole->Clone());
    auto file = fs().Open("db/" + name, FileSystem::OpenMode::kReadWrite).value();
    ASSERT_TRUE(file->Truncate(size).ok());
    const Status opened = Open();
    if (!opened.ok()) {
      EXPECT_TRUE(opened.IsCorruption() && size > 0 && size < 72) << opened.ToString();
      continue;
    }
    for (const auto& [version, payload] : found_) EXPECT_EQ(payload, PayloadOf(version));
    EXPECT_EQ(found_.size(), static_cast<std::size_t>(std::count_if(
                                 std::begin(ends), std::end(ends),
                                 [&](std::uint64_t commit_end) { return size >= commit_end; })));
  }
}

}  // namespace
}  // namespace bedrock::engine::wal
