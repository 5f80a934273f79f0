#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/env/memory_file_system.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/hash.h"
#include "storaged/engine/table/table_cursor.h"
#include "storaged/engine/table/table_format.h"
#include "storaged/engine/table/table_index.h"
#include "storaged/engine/table/table_reader.h"

// A table whose checksums hold but whose blocks are what the fuzzer says: data, index, filter and
// range tombstones, each with a compression byte. The properties are made to fit, so that reading
// gets past them; they are fuzzed by themselves. Whatever it is, reading gives entries or an error.

namespace bedrock::engine {
namespace {

constexpr FileNumber kNumber{5};

std::string_view TakePiece(ByteReader& reader) {
  const auto length = reader.Fixed<std::uint16_t>();
  if (!length) return {};
  return *reader.Take(std::min<std::uint64_t>(*length, reader.rest().size()));
}

/// Appends a block with a true hash. Its first byte says how it is compressed.
BlockHandle AppendBlock(std::string& file, std::string_view piece) {
  const std::uint64_t offset = file.size();
  const char compression = piece.empty() ? '\0' : piece.front();
  const std::string_view contents = piece.substr(piece.empty() ? 0 : 1);
  file += contents;
  SealInPlace(file, offset, static_cast<Compression>(compression), BlockSeed(kNumber, offset));
  return {offset, contents.size()};
}

/// What a block holds, where it can be read.
std::string ContentsOf(const std::string& file, const BlockHandle& handle) {
  const auto stored =
      std::string_view(file).substr(handle.offset, handle.size + kBlockTrailerBytes);
  auto contents = OpenSealedBlock(stored, kNumber, handle.offset);
  return contents.ok() ? *contents : std::string();
}

TableProperties FittingProperties(const std::string& file, const TableFooter& footer) {
  TableProperties properties;
  const auto index = TableIndex::Parse(ContentsOf(file, footer.index), file.size());
  const auto tombstones = FragmentedTombstones::Decode(ContentsOf(file, footer.range_tombstones));
  if (footer.index.size > 0 && index.ok()) properties.data_blocks = index->size();
  if (footer.range_tombstones.size > 0 && tombstones.ok()) {
    properties.range_tombstones = tombstones->version_count();
  }
  properties.entries = std::max<std::uint64_t>(1, properties.data_blocks);
  properties.largest_kind = UpperBound::Kind::kUnbounded;
  return properties;
}

void Step(TableCursor& cursor, bool forwards) {
  CHECK(cursor.key().user_key.size() + cursor.value().size() < UINT32_MAX);
  CHECK(IsKnownKind(cursor.key().kind()));
  if (forwards) {
    cursor.Next();
  } else {
    cursor.Prev();
  }
}

void ReadEverything(const TableReader& table) {
  (void)table.Verify();
  if (!table.status().ok()) return;
  TableCursor cursor(table);
  for (const std::string_view key :
       {std::string_view(), std::string_view("key"), std::string_view("\xff\xff")}) {
    (void)table.Find(key, Version(7));
    (void)table.Tombstones().Covering(key, Version(7));
    (void)table.ApproximateBytes(key, "l");
    cursor.Seek(SeekKey(key, Version(7)));
    for (int steps = 0; cursor.Valid() && steps < 1000; ++steps) Step(cursor, true);
    cursor.SeekForPrev(SeekKey(key, Version(7)));
    for (int steps = 0; cursor.Valid() && steps < 1000; ++steps) Step(cursor, false);
  }
}

}  // namespace
}  // namespace bedrock::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;
  using namespace bedrock::engine;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto decoded = TableProperties::Decode(input); decoded.ok()) {
    std::string encoded;
    decoded->EncodeTo(encoded);
    CHECK(*TableProperties::Decode(encoded) == *decoded);
  }
  ByteReader reader(input);
  std::string file = EncodeTableHeader(kNumber);
  (void)AppendBlock(file, TakePiece(reader));
  (void)AppendBlock(file, TakePiece(reader));
  TableFooter footer;
  footer.number = kNumber;
  footer.index = AppendBlock(file, TakePiece(reader));
  footer.filter = AppendBlock(file, TakePiece(reader));
  footer.range_tombstones = AppendBlock(file, TakePiece(reader));
  TableMetadata metadata;
  static_cast<TableProperties&>(metadata) = FittingProperties(file, footer);
  std::string properties(1, '\0');
  metadata.EncodeTo(properties);
  footer.properties = AppendBlock(file, properties);
  if (const auto lie = reader.Fixed<std::uint64_t>()) footer.index.offset = *lie;
  if (const auto lie = reader.Fixed<std::uint64_t>()) footer.index.size = *lie;
  footer.content_hash = Hash64(file);
  file += footer.Encode();

  MemoryFileSystem disk;
  CHECK(disk.CreateDirectories("/db").ok());
  CHECK((*disk.Open(JoinPath("/db", TableName(kNumber)), FileSystem::OpenMode::kCreate))
            ->WriteAt(0, file)
            .ok());
  metadata.number = kNumber;
  metadata.size = file.size();
  metadata.content_hash = footer.content_hash;
  const auto table =
      TableReader::Open(disk, "/db", metadata, std::make_shared<BlockCache>(1 << 20));
  if (table.ok()) ReadEverything(**table);
  return 0;
}
