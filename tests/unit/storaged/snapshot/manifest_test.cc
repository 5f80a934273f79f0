#include "storaged/snapshot/manifest.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"

namespace bedrock::storage {
namespace {

SnapshotManifest Sample() {
  SnapshotManifest manifest;
  manifest.id = SnapshotId(0xabc);
  manifest.index = LogIndex(77);
  manifest.term = Term(3);
  manifest.files = {{"000002.sst", 5000, 5000 - 104, 1},
                    {"000003.blob", 9000, 9000 - 56, 2},
                    {"CURRENT", 30, 30, 3},
                    {"MANIFEST-000004", 400, 400, 4}};
  return manifest;
}

TEST(SnapshotManifestTest, ComesBackAsItWas) {
  EXPECT_TRUE(CheckManifest(Sample()).ok()) << CheckManifest(Sample()).ToString();
  const auto back = DecodeManifest(EncodeManifest(Sample()));
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, Sample());
  EXPECT_EQ(BytesOf(*back), 14'430u);
}

TEST(SnapshotManifestTest, StandsBesideItsFiles) {
  MemoryFileSystem files;
  ASSERT_TRUE(files.CreateDirectories("a").ok());
  EXPECT_TRUE(ReadManifest(files, "a").status().IsNotFound());
  ASSERT_TRUE(WriteManifest(files, "a", Sample()).ok());
  EXPECT_EQ(ReadManifest(files, "a").value(), Sample());
}

TEST(SnapshotManifestTest, AnyChangedByteIsCorruption) {
  const std::string whole = EncodeManifest(Sample());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] ^= 1;
    EXPECT_TRUE(DecodeManifest(bytes).status().IsCorruption()) << at;
    EXPECT_TRUE(DecodeManifest(whole.substr(0, at)).status().IsCorruption()) << at;
  }
  EXPECT_TRUE(DecodeManifest(whole + "x").status().IsCorruption());
}

TEST(SnapshotManifestTest, WhatNamesNoDatabaseIsRefused) {
  const auto refused = [](auto&& change) {
    SnapshotManifest manifest = Sample();
    change(manifest);
    return CheckManifest(manifest).IsInvalidArgument();
  };
  EXPECT_TRUE(refused([](auto& m) { m.id = SnapshotId(); }));
  EXPECT_TRUE(refused([](auto& m) { m.index = LogIndex(); }));
  EXPECT_TRUE(refused([](auto& m) { m.files.clear(); }));
  EXPECT_TRUE(refused([](auto& m) { m.files.erase(m.files.begin() + 2); }));  // no CURRENT
  EXPECT_TRUE(refused([](auto& m) { m.files.pop_back(); }));                  // no MANIFEST
  EXPECT_TRUE(refused([](auto& m) { m.files.push_back({"MANIFEST-000005", 4, 4, 4}); }));
  EXPECT_TRUE(refused([](auto& m) { m.files.insert(m.files.begin(), m.files.front()); }));
  EXPECT_TRUE(refused([](auto& m) { std::swap(m.files[0], m.files[1]); }));
  EXPECT_TRUE(refused([](auto& m) { m.files[0].size = 0; }));
  EXPECT_TRUE(refused([](auto& m) { m.files[0].size = ~0ULL; }));
  EXPECT_TRUE(refused([](auto& m) { m.files[0].hashed -= 1; }));
  EXPECT_TRUE(refused([](auto& m) { m.files[3].hashed = 0; }));
  for (const char* name : {"../000002.sst", "/etc/passwd", "0/000002.sst", "LOCK", "SNAPSHOT",
                           "000002.sst.part", "2.sst", ".", ""}) {
    EXPECT_TRUE(refused([name](auto& m) { m.files[0].name = name; })) << name;
  }
}

TEST(SnapshotManifestTest, ChunksHashDifferentlyElsewhere) {
  proto::SnapshotChunk chunk{.id = SnapshotId(1), .file = 2, .offset = 3};
  chunk.data = Bytes::Copy("data");
  const std::uint64_t hash = HashOf(chunk);
  proto::SnapshotChunk other = chunk;
  other.file = 3;
  EXPECT_NE(HashOf(other), hash);
  other = chunk;
  other.offset = 4;
  EXPECT_NE(HashOf(other), hash);
  other = chunk;
  other.id = SnapshotId(2);
  EXPECT_NE(HashOf(other), hash);
  other = chunk;
  other.data = Bytes::Copy("date");
  EXPECT_NE(HashOf(other), hash);
}

TEST(SnapshotManifestTest, AFolderIsRemovedWithItsFiles) {
  MemoryFileSystem files;
  ASSERT_TRUE(RemoveFolder(files, "a").ok());
  ASSERT_TRUE(files.CreateDirectories("a").ok());
  ASSERT_TRUE(ReplaceFile(files, "a/CURRENT", "x").ok());
  ASSERT_TRUE(ReplaceFile(files, "a/000002.sst", "x").ok());
  files.Inject({.operations = {MemoryFileSystem::Operation::kRemove}, .path_suffix = ".sst"});
  EXPECT_FALSE(RemoveFolder(files, "a").ok());
  EXPECT_FALSE(files.Exists("a/CURRENT").value());
  EXPECT_TRUE(RemoveFolder(files, "a").ok());
  EXPECT_FALSE(files.Exists("a").value());
}

}  // namespace
}  // namespace bedrock::storage
