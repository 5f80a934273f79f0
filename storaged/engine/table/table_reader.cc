#include "storaged/engine/table/table_reader.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/bloom_filter.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/hash.h"
#include "storaged/engine/table/table_cursor.h"

namespace bedrock::engine {

namespace {
/// Where header, heads and columns of a usual block end, about.
constexpr std::size_t kSearchBytes = 512;
}  // namespace

TableReader::TableReader(std::unique_ptr<File> file, std::string path,
                         const TableMetadata& metadata, std::shared_ptr<BlockCache> cache)
    : file_(std::move(file)),
      path_(std::move(path)),
      metadata_(metadata),
      cache_(std::move(cache)) {}

Result<std::shared_ptr<const TableReader>> TableReader::Open(FileSystem& file_system,
                                                             const std::string& directory,
                                                             const TableMetadata& metadata,
                                                             std::shared_ptr<BlockCache> cache) {
  std::string path = JoinPath(directory, TableName(metadata.number));
  auto file = file_system.Open(path, FileSystem::OpenMode::kReadFinished);
  if (!file.ok()) {
    if (file.status().IsNotFound()) return Status::Corruption(path + ": a live table is missing");
    return std::move(file).status();
  }
  // Not make_shared: the constructor is private.
  std::shared_ptr<TableReader> reader(  // NOLINT
      new TableReader(std::move(file).value(), std::move(path), metadata, std::move(cache)));
  RETURN_IF_ERROR(reader->InThisFile(reader->CheckIdentity()));
  reader->meta_status_ = reader->InThisFile(reader->LoadMeta());
  if (!reader->meta_status_.ok() && !reader->meta_status_.IsCorruption()) {
    return reader->meta_status_;
  }
  return std::shared_ptr<const TableReader>(std::move(reader));
}

Status TableReader::CheckIdentity() {
  ASSIGN_OR_RETURN(const std::uint64_t size, file_->Size());
  if (size != metadata_.size) {
    return Status::Corruption("holds " + std::to_string(size) + " bytes, " +
                              std::to_string(metadata_.size) + " were written");
  }
  if (size < kTableHeaderBytes + kTableFooterBytes) return Status::Corruption("too short");
  ASSIGN_OR_RETURN(const std::string header, ReadExactly(*file_, 0, kTableHeaderBytes));
  RETURN_IF_ERROR(CheckTableHeader(header, metadata_.number));
  ASSIGN_OR_RETURN(const std::string footer,
                   ReadExactly(*file_, size - kTableFooterBytes, kTableFooterBytes));
  ASSIGN_OR_RETURN(footer_, TableFooter::Decode(footer));
  if (footer_.number != metadata_.number || footer_.content_hash != metadata_.content_hash) {
    return Status::Corruption("footer: another table under this name");
  }
  return {};
}

Status TableReader::LoadMeta() {
  ASSIGN_OR_RETURN(const std::string encoded, ReadBlock(footer_.properties));
  ASSIGN_OR_RETURN(const TableProperties properties, TableProperties::Decode(encoded));
  if (properties != static_cast<const TableProperties&>(metadata_)) {
    return Status::Corruption("properties: not those of this table");
  }
  if (footer_.filter.size > 0) {
    ASSIGN_OR_RETURN(const std::string filter, ReadBlock(footer_.filter));
    filter_ = BloomFilter(filter);
  }
  if (footer_.range_tombstones.size > 0) {
    ASSIGN_OR_RETURN(const std::string tombstones, ReadBlock(footer_.range_tombstones));
    ASSIGN_OR_RETURN(tombstones_, FragmentedTombstones::Decode(tombstones));
  }
  if (footer_.index.size > 0) {
    ASSIGN_OR_RETURN(const std::string index, ReadBlock(footer_.index));
    ASSIGN_OR_RETURN(index_, TableIndex::Parse(index, metadata_.size - kTableFooterBytes));
  }
  if (index_.size() != metadata_.data_blocks ||
      tombstones_.version_count() != metadata_.range_tombstones) {
    return Status::Corruption("properties: other numbers of blocks or range tombstones");
  }
  return {};
}

Result<SealedBlock> TableReader::ReadStored(const BlockHandle& handle, CheckHash check, char* out,
                                            WalkRead walk) const {
  const std::uint64_t end = metadata_.size - kTableFooterBytes;
  const auto at = [&](std::string_view what) {
    return Status::Corruption("block at offset " + std::to_string(handle.offset) + ": " +
                              std::string(what));
  };
  if (handle.offset > end || handle.size > end - handle.offset ||
      kBlockTrailerBytes > end - handle.offset - handle.size) {
    return at("beyond the end");
  }
  const std::size_t bytes = handle.size + kBlockTrailerBytes;
  const auto read = [&]() -> Result<SealedBlock> {
    ASSIGN_OR_RETURN(const std::size_t got,
                     walk.ahead != nullptr
                         ? walk.ahead->ReadAt(handle.offset, bytes, out, walk.direction)
                         : file_->ReadAt(handle.offset, bytes, out));
    if (got != bytes) return at("the file ends before its end");
    return CheckSealedBlock({out, bytes}, metadata_.number, handle.offset, check);
  };
  auto sealed = read();
  if (!sealed.status().IsCorruption()) return sealed;
  file_->DropCached(handle.offset, bytes);
  if (walk.ahead != nullptr) walk.ahead->Forget();
  return read();
}

Result<std::string> TableReader::ReadBlock(const BlockHandle& handle) const {
  std::string stored(std::min(handle.size, metadata_.size) + kBlockTrailerBytes, '\0');
  ASSIGN_OR_RETURN(const SealedBlock sealed,
                   ReadStored(handle, CheckHash::kYes, stored.data(), {}));
  ASSIGN_OR_RETURN(const std::size_t bytes, sealed.ContentsBytes());
  std::string contents(bytes, '\0');
  RETURN_IF_ERROR(sealed.Decompress(contents.data(), bytes));
  return contents;
}

Result<BlockMemory::Owner> TableReader::ReadDataBlock(std::size_t i, TableReadOptions options,
                                                      WalkRead walk) const {
  const auto [handle, entries] = index_.At(i);
  const auto at = [offset = handle.offset](const Status& status) {
    return status.Prefixed("block at offset " + std::to_string(offset));
  };
  // Straight to where it stays: a block that is not compressed is never copied. Its trailer comes
  // with it.
  const std::size_t stored_bytes = handle.size + kBlockTrailerBytes;
  const std::size_t room = std::min(entries, stored_bytes);  // a damaged index may say anything
  BlockCache* const cache = options.fill_cache ? cache_.get() : nullptr;
  BlockMemory::Owner memory = Block::Allocate(stored_bytes, room, cache);
  ASSIGN_OR_RETURN(const SealedBlock sealed,
                   ReadStored(handle, options.verify_checksums ? CheckHash::kYes : CheckHash::kNo,
                              Block::ContentsOf(*memory, room), walk));
  ASSIGN_OR_RETURN(const std::size_t contents_bytes, sealed.ContentsBytes());
  if (entries > contents_bytes) return at(Status::Corruption("malformed block"));
  if (sealed.compression != Compression::kNone) {
    BlockMemory::Owner contents = Block::Allocate(contents_bytes, entries, cache);
    RETURN_IF_ERROR(sealed.Decompress(Block::ContentsOf(*contents, entries), contents_bytes));
    memory = std::move(contents);
  }
  if (const Status opened = Block::Open(*memory, contents_bytes, entries); !opened.ok()) {
    return at(opened);
  }
  if (!Block::In(*memory).KindsAreKnown()) {
    return at(Status::Corruption("an entry of a kind that is not known to this release"));
  }
  return memory;
}

void TableReader::PrefetchBlock(std::size_t i) const {
  if (i != kNowhere) cache_->PrefetchBlock(AddressOf(i), kSearchBytes);
}

Result<BlockPin> TableReader::DataBlock(std::size_t i, TableReadOptions options,
                                        WalkRead walk) const {
  const BlockAddress address = AddressOf(i);
  if (BlockPin cached = cache_->Find(address)) {
    // What a search touches, all at once instead of line after line.
    for (std::size_t line = 0; line < kSearchBytes; line += 64) {
      __builtin_prefetch(cached.data() + line);
    }
    return cached;
  }
  if (!cache_->HasRoomFor(index_.At(i).handle.size) &&
      (walk.ahead != nullptr || !cache_->IsWorthRoom(address))) {
    options.fill_cache = FillCache::kNo;
  }
  auto block = ReadDataBlock(i, options, walk);
  if (!block.ok()) return InThisFile(block.status());
  if (!options.fill_cache) return BlockPin(std::move(block).value());
  return cache_->Insert(address, std::move(block).value());
}

std::size_t TableReader::Locate(std::string_view user_key, KeyHash hash, Version at) const {
  if (!filter_.MayContain(hash)) {
    cache_->filter_skips().Add(1);
    return kNowhere;
  }
  const std::size_t i = index_.LowerBound(SeekKey(user_key, at));
  if (i == index_.size()) return kNowhere;
  PrefetchSlot(i);
  return i;
}

Result<FoundEntry> TableReader::FindIn(std::size_t block_index, std::string_view user_key,
                                       Version at, TableReadOptions options) const {
  FoundEntry entry;
  if (!meta_status_.ok()) return meta_status_;
  if (block_index == kNowhere) return entry;
  ASSIGN_OR_RETURN(BlockPin pin, DataBlock(block_index, options));
  // An entry of this key behind the block's end can't be: the separator would be below the target.
  const Block& block = Block::In(pin);
  const std::size_t i = block.LowerBound(SeekKey(user_key, at));
  if (i == block.size() || !block.HasKey(i, user_key)) return entry;
  entry.found = true;
  entry.trailer = block.TrailerAt(i);
  entry.value = block.Value(i);
  entry.pin = std::move(pin);
  return entry;
}

std::size_t TableReader::memory_bytes() const {
  return sizeof(*this) + filter_.bytes() + index_.bytes() + tombstones_.bytes();
}

std::uint64_t TableReader::OffsetOf(std::string_view user_key) const {
  const std::size_t i = index_.LowerBound({user_key, Trailer::SeekTo(kVersionMax)});
  return i < index_.size() ? index_.At(i).handle.offset : metadata_.size;
}

std::uint64_t TableReader::ApproximateBytes(std::string_view begin, std::string_view end) const {
  const KeyRange range = metadata_.range();
  if (!range.Overlaps(HalfOpen(begin, end))) return 0;
  const std::uint64_t from = begin <= range.begin ? 0 : OffsetOf(begin);
  const bool to_the_end = end.empty() || !range.end.Reaches(end);
  const std::uint64_t to = to_the_end ? metadata_.size : OffsetOf(end);
  return to > from ? to - from : 0;
}

Status TableReader::VerifyContentHash() const {
  StreamingHash64 hash;
  const std::uint64_t end = metadata_.size - kTableFooterBytes;
  for (std::uint64_t offset = 0; offset < end;) {
    const std::uint64_t n = std::min<std::uint64_t>(kMiB, end - offset);
    ASSIGN_OR_RETURN(const std::string piece, ReadExactly(*file_, offset, n));
    hash.Update(piece);
    offset += n;
  }
  if (hash.Digest() != metadata_.content_hash) return Status::Corruption("bad content hash");
  return {};
}

Status TableReader::VerifyEntries() const {
  TableProperties seen;
  InternalKey last;
  for (std::size_t i = 0; i < index_.size(); ++i) {
    // The file's, not the cache's.
    ASSIGN_OR_RETURN(const BlockMemory::Owner memory, ReadDataBlock(i, FillCache::kNo, {}));
    const Block& block = Block::In(*memory);
    std::uint64_t tombstones = seen.tombstones;
    for (std::size_t entry = 0; entry < block.size(); ++entry) {
      InternalKey key{std::string(block.prefix()), block.TrailerAt(entry)};
      key.user_key += block.KeyRest(entry);
      if (seen.entries > 0 && key.view() <= last.view()) {
        return Status::Corruption("block at offset " + std::to_string(index_.At(i).handle.offset) +
                                  ": entries out of order");
      }
      seen.Count(key.view(), block.Value(entry).size());
      last = std::move(key);
    }
    ++seen.data_blocks;
    tombstones = seen.tombstones - tombstones;
    if (2 * tombstones >= block.size()) ++seen.dense_blocks;
  }
  seen.largest = std::move(last.user_key);
  return CheckCounts(seen);
}

Status TableReader::CheckCounts(const TableProperties& seen) const {
  TableProperties expected = seen;
  expected.CoverTombstones(tombstones_);
  // What takes a second pass or another file to count is not counted again.
  expected.blob_references = metadata_.blob_references;
  expected.garbage = metadata_.garbage;
  if (expected != static_cast<const TableProperties&>(metadata_)) {
    return Status::Corruption("the entries are not those that were counted");
  }
  return {};
}

Status TableReader::Verify() const {
  RETURN_IF_ERROR(meta_status_);
  RETURN_IF_ERROR(InThisFile(VerifyContentHash()));
  return InThisFile(VerifyEntries());
}

}  // namespace bedrock::engine
