#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/blob/blob_format.h"
#include "storaged/engine/blob/blob_reader.h"
#include "storaged/engine/blob/blob_set.h"
#include "storaged/engine/blob/blob_writer.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;
using Operation = MemoryFileSystem::Operation;

struct Value {
  std::string key;
  Version version;
  std::string value;
  BlobRef ref = {};
};

class BlobTest : public testing::Test {
 protected:
  BlobTest() {
    EXPECT_TRUE(fs_->CreateDirectories("db").ok());
    EXPECT_TRUE(fs_->SyncDirectory("db").ok());
  }

  Result<BlobFile> TryWrite(FileNumber number, std::vector<Value>& values,
                            Compression compression = Compression::kNone) {
    auto writer = BlobWriter::Create(*fs_, "db", number, compression);
    if (!writer.ok()) return writer.status();
    for (Value& value : values) {
      auto ref = (*writer)->Add({value.key, Trailer(value.version, EntryKind::kPut)}, value.value);
      if (!ref.ok()) return ref.status();
      value.ref = *ref;
    }
    auto blob = (*writer)->Finish();
    if (!blob.ok()) return blob;
    Status synced = fs_->SyncDirectory("db");
    if (!synced.ok()) return synced;
    return blob;
  }
  BlobFile Write(FileNumber number, std::vector<Value>& values,
                 Compression compression = Compression::kNone) {
    auto blob = TryWrite(number, values, compression);
    EXPECT_TRUE(blob.ok()) << blob.status().ToString();
    return blob.value_or(BlobFile());
  }
  Result<std::shared_ptr<const BlobReader>> Open(const BlobFile& blob) {
    return BlobReader::Open(*fs_, "db", blob);
  }
  static std::vector<Value> RandomValues(Random& random, std::size_t n, std::uint64_t bytes_max) {
    std::vector<Value> values;
    for (std::size_t i = 0; i < n; ++i) {
      std::string value(random.Below(bytes_max + 1), '\0');
      const bool compressible = random.Chance(1, 2);
      for (char& c : value) c = static_cast<char>(compressible ? i : random.Below(256));
      values.push_back({"key " + std::to_string(i) + std::string(random.Below(100), 'k'),
                        Version(random.Below(1000) + 1), std::move(value)});
    }
    return values;
  }

  std::unique_ptr<MemoryFileSystem> fs_ = std::make_unique<MemoryFileSystem>();
};

std::string ReadValue(const BlobReader& reader, const BlobRef& ref,
                      VerifyChecksums verify = VerifyChecksums::kYes) {
  const auto read = reader.Read(ref, verify);
  return read.ok() ? std::string(read->value) : read.status().ToString();
}

TEST_F(BlobTest, ValuesAreReadBack) {
  Random random(1);
  for (const auto compression : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    auto values = RandomValues(random, 50, 100'000);
    const BlobFile blob = Write(FileNumber(7), values, compression);
    EXPECT_EQ(fs_->FileSize("db/000007.blob").value(), blob.size);
    const auto reader = Open(blob).value();
    for (const Value& value : values) {
      EXPECT_EQ(ReadValue(*reader, value.ref), value.value);
      EXPECT_EQ(ReadValue(*reader, value.ref, VerifyChecksums::kNo), value.value);
    }
    EXPECT_TRUE(reader->Verify().ok()) << reader->Verify().ToString();
  }
}

TEST_F(BlobTest, TheRecordsTellAllThatStandsInTheFile) {
  Random random(2);
  auto values = RandomValues(random, 30, 5000);
  const BlobFile blob = Write(FileNumber(7), values);
  std::size_t i = 0;
  std::uint64_t bytes = 0;
  ASSERT_TRUE(Open(blob)
                  .value()
                  ->ForEach([&](const BlobReader::Record& record) {
                    EXPECT_EQ(record.user_key, values[i].key);
                    EXPECT_EQ(record.version, values[i].version);
                    EXPECT_EQ(record.ref, values[i].ref);
                    EXPECT_EQ(record.value, values[i].value);
                    bytes += BlobRecordBytes(values[i].key.size(), values[i].ref.size);
                    ++i;
                    return Status::Ok();
                  })
                  .ok());
  EXPECT_EQ(i, values.size());
  EXPECT_EQ(bytes, blob.value_bytes);
}

TEST_F(BlobTest, WhatVisitsTheRecordsCanEndIt) {
  std::vector<Value> values = {{"a", Version(1), "1"}, {"b", Version(1), "2"}};
  const auto reader = Open(Write(FileNumber(7), values)).value();
  int visited = 0;
  EXPECT_TRUE(reader
                  ->ForEach([&](const BlobReader::Record&) {
                    ++visited;
                    return Status::NoSpace("full");
                  })
                  .IsNoSpace());
  EXPECT_EQ(visited, 1);
}

TEST_F(BlobTest, CompressionThatSavesNothingIsLeftOut) {
  std::vector<Value> values = {{"a", Version(1), std::string(10'000, 'x')}};
  EXPECT_LT(Write(FileNumber(7), values, Compression::kLz4).size, 1000u);
  Random random(3);
  for (char& c : values[0].value) c = static_cast<char>(random.Below(256));
  EXPECT_EQ(Write(FileNumber(8), values, Compression::kLz4).value_bytes,
            BlobRecordBytes(1, 10'000));
}

TEST_F(BlobTest, APinOutlivesItsReaderAndItsFile) {
  std::vector<Value> values = {{"a", Version(1), std::string(9000, 'v')}};
  auto reader = Open(Write(FileNumber(7), values)).value();
  const auto read = reader->Read(values[0].ref, VerifyChecksums::kYes).value();
  ASSERT_TRUE(fs_->Remove("db/000007.blob").ok());
  EXPECT_EQ(ReadValue(*reader, values[0].ref), values[0].value);  // as long as it is open
  reader.reset();
  EXPECT_EQ(read.value, values[0].value);
}

TEST_F(BlobTest, EveryFlippedBitIsFound) {
  std::vector<Value> values = {{"a", Version(1), "first"}, {"bb", Version(300), "second value"}};
  const BlobFile blob = Write(FileNumber(7), values);
  for (std::uint64_t bit = 0; bit < blob.size * 8; ++bit) {
    SCOPED_TRACE(bit);
    ASSERT_TRUE(fs_->FlipBit("db/000007.blob", bit).ok());
    const auto reader = Open(blob);
    if (reader.ok()) {
      EXPECT_TRUE((*reader)->Verify().IsCorruption());
      for (const Value& value : values) {
        const auto read = (*reader)->Read(value.ref, VerifyChecksums::kYes);
        const bool inside = bit / 8 >= value.ref.offset &&
                            bit / 8 < value.ref.offset + value.ref.size + kBlockTrailerBytes;
        // Damage of one value leaves the others readable.
        EXPECT_EQ(read.ok(), !inside);
        if (!read.ok()) {
          EXPECT_TRUE(read.status().IsCorruption());
          EXPECT_NE(read.status().message().find("000007.blob"), std::string::npos);
        }
      }
    } else {
      EXPECT_TRUE(reader.status().IsCorruption());
    }
    ASSERT_TRUE(fs_->FlipBit("db/000007.blob", bit).ok());
  }
  EXPECT_TRUE(Open(blob).value()->Verify().ok());
}

TEST_F(BlobTest, EveryTruncationIsFound) {
  std::vector<Value> values = {{"a", Version(1), "first"}, {"bb", Version(300), "second value"}};
  const BlobFile blob = Write(FileNumber(7), values);
  auto file = fs_->Open("db/000007.blob", FileSystem::OpenMode::kReadWrite).value();
  for (std::uint64_t size = blob.size; size-- > 0;) {
    ASSERT_TRUE(file->Truncate(size).ok());
    EXPECT_TRUE(Open(blob).status().IsCorruption()) << size;
  }
}

TEST_F(BlobTest, AValueAtAnotherPlaceFailsItsCheck) {
  std::vector<Value> values = {{"a", Version(1), "value 1"}, {"a", Version(2), "value 2"}};
  const BlobFile blob = Write(FileNumber(7), values);
  const std::string content = ReadFile(*fs_, "db/000007.blob", 1 << 20).value();
  const std::size_t n = values[0].ref.size + kBlockTrailerBytes;
  ASSERT_TRUE(fs_->Overwrite("db/000007.blob", values[1].ref.offset,
                             content.substr(values[0].ref.offset, n))
                  .ok());
  const auto reader = Open(blob).value();
  EXPECT_TRUE(reader->Read(values[1].ref, VerifyChecksums::kYes).status().IsCorruption());
  EXPECT_EQ(ReadValue(*reader, values[0].ref), "value 1");
}

TEST_F(BlobTest, AnotherFileUnderTheNameIsFound) {
  std::vector<Value> values = {{"a", Version(1), "value 1"}};
  std::vector<Value> other = {{"a", Version(1), "value 2"}};
  const BlobFile blob = Write(FileNumber(7), values);
  const BlobFile second = Write(FileNumber(8), values);
  ASSERT_TRUE(fs_->Rename("db/000008.blob", "db/000007.blob").ok());
  EXPECT_TRUE(Open(blob).status().IsCorruption());
  EXPECT_TRUE(Open(second).status().IsCorruption());  // it is missing
  const BlobFile same_number = Write(FileNumber(7), other);
  EXPECT_EQ(same_number.size, blob.size);
  EXPECT_TRUE(Open(blob).status().IsCorruption());
  EXPECT_TRUE(Open(same_number).ok());
}

TEST_F(BlobTest, ReferencesAreReadBackAndOthersRefused) {
  const BlobRef ref{FileNumber(300), std::uint64_t{1} << 40, 70'000};
  const std::string text = ref.Encode();
  EXPECT_EQ(BlobRef::Decode(text).value(), ref);
  EXPECT_TRUE(BlobRef::Decode(text + "x").status().IsCorruption());
  for (std::size_t n = 0; n < text.size(); ++n)
    EXPECT_TRUE(BlobRef::Decode(text.substr(0, n)).status().IsCorruption()) << n;
  EXPECT_TRUE(BlobRef::Decode(BlobRef{FileNumber(0), 1, 1}.Encode()).status().IsCorruption());
  EXPECT_TRUE(
      BlobRef::Decode(BlobRef{FileNumber(1), 1, UINT64_MAX}.Encode()).status().IsCorruption());
}

TEST_F(BlobTest, AReferenceOutOfTheValuesIsCorruption) {
  std::vector<Value> values = {{"a", Version(1), "value"}};
  const BlobFile blob = Write(FileNumber(7), values);
  const auto reader = Open(blob).value();
  for (std::uint64_t offset = 0; offset < blob.size + 20; ++offset) {
    for (const std::uint64_t size : {0U, 5U, 6U, 1000U}) {
      const BlobRef ref{FileNumber(7), offset, size};
      if (ref == values[0].ref) continue;
      EXPECT_TRUE(reader->Read(ref, VerifyChecksums::kYes).status().IsCorruption()) << offset;
    }
  }
  const BlobRef far{FileNumber(7), UINT64_MAX - 3, 5};
  EXPECT_TRUE(reader->Read(far, VerifyChecksums::kYes).status().IsCorruption());
}

TEST_F(BlobTest, ASetFindsTheFileOfAReference) {
  std::vector<std::vector<Value>> values;
  std::vector<BlobSet::Blob> blobs;
  for (std::uint64_t n = 9; n > 3; --n) {
    values.push_back({{"a", Version(n), "value of " + std::to_string(n)}});
    blobs.push_back(Open(Write(FileNumber(n), values.back())).value());
  }
  const BlobSet set(blobs);
  for (const auto& of_file : values) {
    const auto read = set.Read(of_file[0].ref.Encode(), VerifyChecksums::kYes);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->value, of_file[0].value);
  }
  const std::string gone = BlobRef{FileNumber(3), 56, 1}.Encode();
  EXPECT_TRUE(set.Read(gone, VerifyChecksums::kYes).status().IsCorruption());
  EXPECT_TRUE(set.Read("", VerifyChecksums::kYes).status().IsCorruption());
  const auto fewer = set.With({}, {FileNumber(4), FileNumber(6)});
  EXPECT_EQ(fewer->blobs().size(), 4u);
  EXPECT_EQ(fewer->Find(FileNumber(6)), nullptr);
  EXPECT_NE(fewer->With({blobs[3]}, {})->Find(FileNumber(6)), nullptr);
  EXPECT_EQ(BlobSet().Find(FileNumber(6)), nullptr);
}

TEST_F(BlobTest, AFinishedFileSurvivesEveryCrash) {
  std::vector<Value> values = {{"a", Version(1), std::string(3000, 'a')}};
  const BlobFile blob = Write(FileNumber(7), values);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    auto crashed = fs_->Clone();
    Random random(seed);
    crashed->Crash(random, CrashMode::kRandom);
    const auto reader = BlobReader::Open(*crashed, "db", blob);
    ASSERT_TRUE(reader.ok()) << reader.status().ToString();
    EXPECT_TRUE((*reader)->Verify().ok());
  }
}

TEST_F(BlobTest, AFailureOfAnyCallFailsTheFile) {
  Random random(4);
  auto values = RandomValues(random, 30, 50'000);
  const std::uint64_t before = fs_->mutations();
  Write(FileNumber(6), values);
  const std::uint64_t writes = fs_->mutations() - before - 3;  // open, sync, sync of the folder
  ASSERT_GE(writes, 3u);
  for (const Operation operation : {Operation::kOpen, Operation::kWrite, Operation::kSync}) {
    const std::uint64_t calls = operation == Operation::kWrite ? writes : 1;
    for (std::uint64_t nth = 1; nth <= calls + 1; ++nth) {
      fs_->ClearFaults();
      fs_->Inject({.operations = {operation},
                   .path_suffix = ".blob",
                   .nth = nth,
                   .error = StatusCode::kNoSpace});
      const auto written = TryWrite(FileNumber(7), values);
      EXPECT_EQ(written.ok(), nth > calls) << static_cast<int>(operation) << " " << nth;
      if (!written.ok()) {
        EXPECT_TRUE(written.status().IsNoSpace());
      }
    }
  }
}

TEST_F(BlobTest, AfterAFailedWriteNothingMoreIsTaken) {
  fs_->Inject({.operations = {Operation::kWrite}, .path_suffix = ".blob"});
  auto writer = BlobWriter::Create(*fs_, "db", FileNumber(7), Compression::kNone).value();
  const InternalKeyView key{"a", Trailer(Version(1), EntryKind::kPut)};
  EXPECT_TRUE(writer->Add(key, std::string(1 << 20, 'x')).status().IsIOError());
  EXPECT_TRUE(writer->Add(key, "x").status().IsIOError());
  EXPECT_TRUE(writer->Finish().status().IsIOError());
}

}  // namespace
}  // namespace bedrock::engine
