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
#include "storaged/engine/table/table_format.h"
#include "storaged/engine/table/table_reader.h"

// A table whose checksums hold but whose blocks are what the fuzzer says: data, index, filter and
// properties, each with a compression byte. Whatever they are, reading gives entries or an error.

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
  std::string stored(piece.substr(piece.empty() ? 0 : 1));
  const BlockHandle handle{offset, stored.size()};
  stored += compression;
  PutFixed(stored, Hash64(stored, BlockSeed(kNumber, offset)));
  file += stored;
  return handle;
}

void ReadEverything(const std::shared_ptr<const TableReader>& table) {
  (void)table->Verify();
  for (const std::string_view key :
       {std::string_view(), std::string_view("key"), std::string_view("\xff\xff")}) {
    (void)table->Find(key, Version(7));
    const auto walk = TableReader::NewIterator(table, FillCache::kYes);
    walk->Seek(SeekKey(key, Version(7)));
    for (int steps = 0; walk->Valid() && steps < 1000; ++steps) {
      CHECK(walk->key().user_key.size() + walk->value().size() < UINT32_MAX);
      walk->Next();
    }
  }
}

}  // namespace
}  // namespace bedrock::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;
  using namespace bedrock::engine;
  ByteReader reader({reinterpret_cast<const char*>(data), size});
  std::string file = EncodeTableHeader(kNumber);
  (void)AppendBlock(file, TakePiece(reader));
  TableFooter footer;
  footer.number = kNumber;
  footer.index = AppendBlock(file, TakePiece(reader));
  footer.properties = AppendBlock(file, TakePiece(reader));
  footer.filter = AppendBlock(file, TakePiece(reader));
  if (const auto lie = reader.Fixed<std::uint64_t>()) footer.index.offset = *lie;
  if (const auto lie = reader.Fixed<std::uint64_t>()) footer.index.size = *lie;
  footer.content_hash = Hash64(file);
  file += footer.Encode();

  MemoryFileSystem disk;
  CHECK(disk.CreateDirectories("/db").ok());
  CHECK((*disk.Open(JoinPath("/db", TableName(kNumber)), FileSystem::OpenMode::kCreate))
            ->WriteAt(0, file)
            .ok());
  TableMetadata metadata;
  metadata.number = kNumber;
  metadata.size = file.size();
  metadata.content_hash = footer.content_hash;
  metadata.largest = "\xff";
  metadata.entries = 1;
  const auto table =
      TableReader::Open(disk, "/db", metadata, std::make_shared<BlockCache>(1 << 20));
  if (table.ok()) ReadEverything(*table);
  return 0;
}
