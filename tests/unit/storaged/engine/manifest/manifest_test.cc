#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "common/record/record_format.h"
#include "storaged/engine/manifest/manifest_log.h"
#include "storaged/engine/manifest/version_edit.h"

namespace bedrock::engine {
namespace {

TableMetadata Table(std::uint64_t number, const std::string& smallest, const std::string& largest,
                    std::uint64_t version_min, std::uint64_t version_max) {
  TableMetadata table;
  table.number = FileNumber(number);
  table.size = number * 1000;
  table.content_hash = number * 0x9E3779B97F4A7C15;
  table.smallest = smallest;
  table.largest = largest;
  table.version_min = Version(version_min);
  table.version_max = Version(version_max);
  table.entries = 10;
  table.tombstones = 3;
  return table;
}

VersionEdit FlushEdit(std::uint64_t number) {
  VersionEdit edit;
  edit.added.push_back({0, Table(number, "a", std::string("z\0\xff", 3), number, number)});
  edit.next_file = FileNumber(number + 1);
  edit.applied = {LogIndex(number), Term(3)};
  edit.watermark = Version(number / 2);
  edit.client_state = "state " + std::to_string(number);
  return edit;
}

TEST(VersionEditTest, RoundTrip) {
  VersionEdit edit = FlushEdit(7);
  edit.removed.push_back({1, FileNumber(3)});
  edit.removed.push_back({0, FileNumber(4)});
  edit.quarantined = {FileNumber(9), FileNumber(2)};
  edit.released = {FileNumber(1)};
  edit.added_blobs = {{FileNumber(12), 5000, 4000, 0xB10B}};
  edit.removed_blobs = {FileNumber(11)};
  EXPECT_EQ(VersionEdit::Decode(edit.Encode()).value(), edit);
  EXPECT_EQ(VersionEdit::Decode("").value(), VersionEdit());
}

TEST(VersionEditTest, RoundTripOfAllThatATableMayHave) {
  VersionEdit edit = FlushEdit(7);
  TableMetadata& table = edit.added[0].table;
  table.range_tombstones = 2;
  table.data_blocks = 4;
  table.dense_blocks = 1;
  table.raw_bytes = 123'456;
  table.blob_references = {{FileNumber(2), 10'000}, {FileNumber(5), 0}};
  table.garbage = {{Version(3), 100}, {Version(9), 7}};
  table.largest_kind = UpperBound::Kind::kExcluded;
  EXPECT_EQ(VersionEdit::Decode(edit.Encode()).value(), edit);
  table.largest.clear();
  table.largest_kind = UpperBound::Kind::kUnbounded;
  table.entries = table.tombstones = table.data_blocks = table.dense_blocks = 0;
  EXPECT_EQ(VersionEdit::Decode(edit.Encode()).value(), edit) << "nothing but range tombstones";
}

TEST(VersionEditTest, TablesThatCannotBeAreRefused) {
  const auto refuses = [](auto change) {
    VersionEdit edit = FlushEdit(7);
    change(edit.added[0].table);
    return VersionEdit::Decode(edit.Encode()).status().IsCorruption();
  };
  using Kind = UpperBound::Kind;
  EXPECT_FALSE(refuses([](TableMetadata&) {}));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.number = FileNumber(0); }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.entries = t.tombstones = 0; }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.tombstones = 11; }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.data_blocks = 11; }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.dense_blocks = 1; })) << "more than blocks";
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.version_max = Version(6); }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.smallest = "zz"; }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.largest_kind = Kind::kUnbounded; }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.largest_kind = static_cast<Kind>(3); }));
  EXPECT_TRUE(refuses([](TableMetadata& t) {
    t.largest = t.smallest;
    t.largest_kind = Kind::kExcluded;
  })) << "an empty range";
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.garbage = {{Version(0), 1}}; }));
  EXPECT_TRUE(refuses([](TableMetadata& t) { t.garbage = {{Version(4), 1}, {Version(4), 1}}; }));
  EXPECT_TRUE(refuses([](TableMetadata& t) {
    for (std::uint64_t i = 1; i <= TableMetadata::kGarbageBucketsMax + 1; ++i) {
      t.garbage.push_back({Version(i), 1});
    }
  }));
  EXPECT_TRUE(refuses([](TableMetadata& t) {
    t.blob_references = {{FileNumber(5), 1}, {FileNumber(2), 1}};
  }));
}

TEST(VersionEditTest, EveryCutIsSeen) {
  VersionEdit edit = FlushEdit(7);
  edit.removed.push_back({1, FileNumber(3)});
  const std::string text = edit.Encode();
  for (std::size_t size = 1; size < text.size(); ++size) {
    const auto decoded = VersionEdit::Decode(text.substr(0, size));
    if (decoded.ok()) {
      EXPECT_NE(*decoded, edit);  // cut between fields: only the record's checksum can tell
    }
  }
  EXPECT_TRUE(VersionEdit::Decode("\x7f").status().IsCorruption()) << "unknown tags are refused";
}

TEST(ManifestStateTest, EditsThatDoNotFitAreRefused) {
  ManifestState base;
  ASSERT_TRUE(base.Apply(FlushEdit(5)).ok());
  VersionEdit add;
  add.added.push_back({1, Table(6, "b", "f", 1, 3)});
  add.next_file = FileNumber(10);
  ASSERT_TRUE(base.Apply(add).ok());
  const auto refuses = [&](const VersionEdit& edit) {
    ManifestState state = base;
    return state.Apply(edit).IsCorruption();
  };
  VersionEdit edit;
  edit.added.push_back({0, Table(6, "a", "b", 8, 9)});
  EXPECT_TRUE(refuses(edit)) << "a number twice";
  edit.added[0].table.number = FileNumber(10);
  EXPECT_TRUE(refuses(edit)) << "a number that was not given out";
  edit.added[0].table.number = FileNumber(7);
  EXPECT_FALSE(refuses(edit));
  edit.added[0].table.version_min = Version(5);
  EXPECT_TRUE(refuses(edit)) << "versions of level 0 overlap";
  edit.added[0] = {1, Table(7, "f", "g", 1, 2)};
  EXPECT_TRUE(refuses(edit)) << "keys of level 1 overlap";
  edit.added[0] = {1, Table(7, "a", "b", 1, 2)};
  EXPECT_TRUE(refuses(edit)) << "keys of level 1 overlap";
  edit.added[0].table.largest_kind = UpperBound::Kind::kExcluded;
  EXPECT_FALSE(refuses(edit)) << "ends before the next begins";
  edit = {};
  edit.removed.push_back({0, FileNumber(6)});
  EXPECT_TRUE(refuses(edit)) << "it is on level 1";
  edit = {};
  edit.applied = {LogIndex(4), Term(3)};
  EXPECT_TRUE(refuses(edit));
  edit = {};
  edit.watermark = Version(1);
  EXPECT_TRUE(refuses(edit));
  edit = {};
  edit.next_file = FileNumber(9);
  EXPECT_TRUE(refuses(edit));
}

TEST(ManifestStateTest, AQuarantineEndsWithItsTable) {
  ManifestState state;
  ASSERT_TRUE(state.Apply(FlushEdit(5)).ok());
  ASSERT_TRUE(state.Apply(FlushEdit(6)).ok());
  VersionEdit edit;
  edit.quarantined = {FileNumber(5)};
  ASSERT_TRUE(state.Apply(edit).ok());
  ASSERT_TRUE(state.Apply(edit).ok()) << "found again by another reader";
  EXPECT_EQ(state.quarantined, std::set<FileNumber>{FileNumber(5)});
  edit = {};
  edit.removed.push_back({0, FileNumber(5)});
  edit.added.push_back({1, Table(5, "a", "b", 5, 5)});
  ASSERT_TRUE(state.Apply(edit).ok()) << "a move to another level";
  EXPECT_EQ(state.quarantined.size(), 1u);
  edit = {};
  edit.released = {FileNumber(5)};
  ManifestState released = state;
  ASSERT_TRUE(released.Apply(edit).ok());
  EXPECT_TRUE(released.quarantined.empty());
  EXPECT_TRUE(released.Apply(edit).IsCorruption());
  edit = {};
  edit.removed.push_back({1, FileNumber(5)});
  ASSERT_TRUE(state.Apply(edit).ok());
  EXPECT_TRUE(state.quarantined.empty());
  edit = {};
  edit.quarantined = {FileNumber(5)};
  EXPECT_TRUE(state.Apply(edit).IsCorruption());
}

TEST(ManifestStateTest, BlobFilesComeAndGoOnce) {
  ManifestState state;
  ASSERT_TRUE(state.Apply(FlushEdit(5)).ok());
  VersionEdit add;
  add.next_file = FileNumber(8);
  add.added_blobs = {{FileNumber(6), 100, 90}, {FileNumber(7), 10, 10}};
  ASSERT_TRUE(state.Apply(add).ok());
  EXPECT_EQ(state.blobs.size(), 2u);
  ManifestState twice = state;
  EXPECT_TRUE(twice.Apply(add).IsCorruption());
  VersionEdit early;
  early.added_blobs = {{FileNumber(8), 1, 1}};
  ManifestState unborn = state;
  EXPECT_TRUE(unborn.Apply(early).IsCorruption()) << "a number that was not given out";
  VersionEdit remove;
  remove.removed_blobs = {FileNumber(6)};
  ASSERT_TRUE(state.Apply(remove).ok());
  EXPECT_EQ(state.blobs.size(), 1u);
  EXPECT_TRUE(state.Apply(remove).IsCorruption());
}

TEST(ManifestStateTest, NoTableIsLeftWithoutABlobFileThatItRefersTo) {
  ManifestState state;
  VersionEdit edit = FlushEdit(5);
  edit.added[0].table.blob_references = {{FileNumber(4), 60}};
  ManifestState missing = state;
  EXPECT_TRUE(missing.Apply(edit).IsCorruption());
  edit.added_blobs = {{FileNumber(3), 100, 90}, {FileNumber(4), 200, 180}};
  ASSERT_TRUE(state.Apply(edit).ok());
  const auto live = state.BlobLiveBytes();
  EXPECT_EQ(live.at(FileNumber(3)), 0u);
  EXPECT_EQ(live.at(FileNumber(4)), 60u);
  VersionEdit remove;
  remove.removed_blobs = {FileNumber(3)};
  EXPECT_TRUE(state.Apply(remove).ok());
  remove.removed_blobs = {FileNumber(4)};
  EXPECT_TRUE(state.Apply(remove).IsCorruption());
}

TEST(ManifestStateTest, AsEditMakesTheSameState) {
  ManifestState state;
  for (std::uint64_t n = 3; n < 9; ++n) ASSERT_TRUE(state.Apply(FlushEdit(n)).ok());
  VersionEdit more;
  more.quarantined = {FileNumber(4)};
  more.added_blobs = {{FileNumber(1), 100, 90}};
  ASSERT_TRUE(state.Apply(more).ok());
  ManifestState again;
  ASSERT_TRUE(again.Apply(state.AsEdit()).ok());
  EXPECT_EQ(again.AsEdit(), state.AsEdit());
}

class ManifestLogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.CreateDirectories("/db").ok()); }

  /// A MANIFEST of the empty state and `edits` flushes; remembers where each edit was durable.
  void Write(std::uint64_t edits) {
    auto writer = ManifestWriter::Create(disk_, "/db", FileNumber(2), Fresh());
    ASSERT_TRUE(writer.ok());
    for (std::uint64_t n = 0; n < edits; ++n) {
      ASSERT_TRUE((*writer)->Append(FlushEdit(3 + n)).ok());
      ends_.push_back(*disk_.FileSize("/db/MANIFEST-000002"));
    }
    content_ = ReadFile(disk_, "/db/MANIFEST-000002", 1 << 20).value();
  }
  static ManifestState Fresh() {
    ManifestState state;
    state.next_file = FileNumber(3);
    return state;
  }
  static std::uint64_t AppliedOf(const Result<ManifestState>& state) {
    return state.ok() ? state->applied.index.value() : UINT64_MAX;
  }

  MemoryFileSystem disk_;
  std::string content_;
  std::vector<std::uint64_t> ends_;  ///< Behind each edit and its seal.
};

TEST_F(ManifestLogTest, EditsComeBack) {
  Write(4);
  EXPECT_EQ(ReadCurrent(disk_, "/db").value(), FileNumber(2));
  const auto state = DecodeManifest(content_, FileNumber(2));
  ASSERT_TRUE(state.ok()) << state.status().ToString();
  EXPECT_EQ(state->levels[0].size(), 4u);
  EXPECT_EQ(state->client_state, "state 6");
  EXPECT_TRUE(DecodeManifest(content_, FileNumber(3)).status().IsCorruption());
}

TEST_F(ManifestLogTest, ACutTailIsTheStateBefore) {
  Write(3);
  const std::size_t seal = record::EncodedSize(0);
  std::size_t first = 0;
  for (std::size_t size = 0; size <= content_.size(); ++size) {
    const auto state = DecodeManifest(content_.substr(0, size), FileNumber(2));
    if (!state.ok()) {
      EXPECT_TRUE(state.status().IsCorruption());
      EXPECT_EQ(first, 0u) << "readable at " << first << " and not at " << size;
      continue;
    }
    if (first == 0) first = size;
    std::uint64_t whole = 0;
    while (whole < ends_.size() && ends_[whole] - seal <= size) ++whole;
    EXPECT_EQ(AppliedOf(state), whole == 0 ? 0 : 2 + whole) << size;
  }
  EXPECT_GT(first, 0u);
  EXPECT_LT(first, ends_[0]);
}

TEST_F(ManifestLogTest, ZeroesBehindTheLastEditAreATornTail) {
  Write(2);
  EXPECT_EQ(AppliedOf(DecodeManifest(content_ + std::string(5000, '\0'), FileNumber(2))), 4u);
}

TEST_F(ManifestLogTest, DamageIsOnlyATornTailWhereNothingProvesOtherwise) {
  Write(3);
  const std::size_t seal = record::EncodedSize(0);
  const std::uint64_t last_edit = ends_[1];
  const std::uint64_t last_seal = ends_[2] - seal;
  for (std::size_t at = 0; at < content_.size(); ++at) {
    std::string bad = content_;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    const auto state = DecodeManifest(bad, FileNumber(2));
    if (state.ok()) {
      // Padding, or the last seal, which proves but holds nothing.
      EXPECT_EQ(AppliedOf(state), 5u) << at;
    } else if (at >= last_seal) {
      ADD_FAILURE() << "the last seal is not needed, byte " << at;
    }
  }
  // Without its seal the last edit may be torn.
  std::string unsealed = content_.substr(0, last_seal);
  unsealed[last_edit + 50] = static_cast<char>(unsealed[last_edit + 50] ^ 1);
  EXPECT_EQ(AppliedOf(DecodeManifest(unsealed, FileNumber(2))), 4u);
}

TEST_F(ManifestLogTest, ALongEditSpansRecords) {
  ManifestState state = Fresh();
  state.client_state = std::string(20'000'000, 's');
  auto writer = ManifestWriter::Create(disk_, "/db", FileNumber(2), state);
  ASSERT_TRUE(writer.ok());
  VersionEdit edit = FlushEdit(3);
  edit.client_state = std::string(30'000'000, 't');
  ASSERT_TRUE((*writer)->Append(edit).ok());
  const std::string content = ReadFile(disk_, "/db/MANIFEST-000002", 1 << 30).value();
  EXPECT_EQ(DecodeManifest(content, FileNumber(2))->client_state, edit.client_state);
  // Half of the last edit is none of it.
  const auto half = DecodeManifest(content.substr(0, content.size() - 10'000'000), FileNumber(2));
  ASSERT_TRUE(half.ok());
  EXPECT_EQ(half->client_state, state.client_state);
}

TEST_F(ManifestLogTest, OnlyTheRemainsOfAnUnfinishedBirthAreUnborn) {
  ManifestState fresh;
  fresh.next_file = FileNumber(2);
  auto writer = ManifestWriter::Create(disk_, "/db", FileNumber(1), fresh);
  ASSERT_TRUE(writer.ok());
  const std::string born = ReadFile(disk_, "/db/MANIFEST-000001", 1 << 20).value();
  for (std::size_t size = 0; size <= born.size(); ++size) {
    EXPECT_TRUE(IsUnbornManifest(born.substr(0, size), FileNumber(1))) << size;
  }
  ASSERT_TRUE((*writer)->Append(FlushEdit(3)).ok());
  const std::string used = ReadFile(disk_, "/db/MANIFEST-000001", 1 << 20).value();
  EXPECT_FALSE(IsUnbornManifest(used, FileNumber(1)));
  std::string damaged = used;
  damaged[40] = static_cast<char>(damaged[40] ^ 1);
  EXPECT_FALSE(IsUnbornManifest(damaged, FileNumber(1)));
}

}  // namespace
}  // namespace bedrock::engine
