#include "storaged/engine/table/table_reader.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/bloom_filter.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::engine {

TableReader::TableReader(std::unique_ptr<File> file, std::string path,
                         const TableMetadata& metadata, std::shared_ptr<DataBlockCache> cache)
    : file_(std::move(file)),
      path_(std::move(path)),
      metadata_(metadata),
      cache_(std::move(cache)) {}

Result<std::shared_ptr<const TableReader>> TableReader::Open(
    FileSystem& file_system, const std::string& directory, const TableMetadata& metadata,
    std::shared_ptr<DataBlockCache> cache) {
  std::string path = JoinPath(directory, TableName(metadata.number));
  auto file = file_system.Open(path, FileSystem::OpenMode::kRead);
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
  ASSIGN_OR_RETURN(const std::string properties, ReadBlock(footer_.properties));
  ASSIGN_OR_RETURN(properties_, TableProperties::Decode(properties));
  if (footer_.filter.size > 0) {
    ASSIGN_OR_RETURN(filter_, ReadBlock(footer_.filter));
  }
  ASSIGN_OR_RETURN(std::string index, ReadBlock(footer_.index));
  ASSIGN_OR_RETURN(index_, Block::Parse(std::move(index)));
  return {};
}

Result<std::string> TableReader::ReadBlock(const BlockHandle& handle) const {
  const std::uint64_t end = metadata_.size - kTableFooterBytes;
  if (handle.offset > end || handle.size > end - handle.offset ||
      kBlockTrailerBytes > end - handle.offset - handle.size) {
    return Status::Corruption("block at offset " + std::to_string(handle.offset) +
                              ": beyond the end");
  }
  ASSIGN_OR_RETURN(const std::string stored,
                   ReadExactly(*file_, handle.offset, handle.size + kBlockTrailerBytes));
  return OpenSealedBlock(stored, metadata_.number, handle.offset);
}

Result<std::shared_ptr<const Block>> TableReader::DataBlock(std::size_t i,
                                                            FillCache fill_cache) const {
  const auto handle = BlockHandle::Decode(index_->Value(i));
  if (!handle) return InThisFile(Status::Corruption("index: malformed handle"));
  const BlockAddress address{metadata_.number, handle->offset};
  if (auto cached = cache_->Find(address)) return cached;
  auto contents = ReadBlock(*handle);
  if (!contents.ok()) return InThisFile(contents.status());
  auto block = Block::Parse(std::move(contents).value());
  if (!block.ok()) {
    return InThisFile(block.status().Prefixed("block at offset " + std::to_string(handle->offset)));
  }
  if (fill_cache) cache_->Insert(address, *block, (*block)->bytes());
  return block;
}

Result<FoundEntry> TableReader::Find(std::string_view user_key, Version at) const {
  RETURN_IF_ERROR(meta_status_);
  if (!filter_.empty() && !FilterMayContain(filter_, user_key)) return FoundEntry{};
  const InternalKeyView target = SeekKey(user_key, at);
  const std::size_t block_index = index_->LowerBound(target);
  if (block_index == index_->size()) return FoundEntry{};
  ASSIGN_OR_RETURN(const auto block, DataBlock(block_index, FillCache::kYes));
  // An entry of this key behind the block's end can't be: the separator would be below the target.
  const std::size_t i = block->LowerBound(target);
  if (i == block->size() || user_key.substr(0, block->prefix().size()) != block->prefix() ||
      user_key.substr(block->prefix().size()) != block->KeySuffix(i)) {
    return FoundEntry{};
  }
  const Trailer trailer = block->TrailerAt(i);
  return FoundEntry{true, trailer, std::string(block->Value(i))};
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
  seen.data_blocks = index_->size();
  InternalKey last;
  for (std::size_t i = 0; i < index_->size(); ++i) {
    const auto handle = BlockHandle::Decode(index_->Value(i));
    if (!handle) return Status::Corruption("index: malformed handle");
    ASSIGN_OR_RETURN(std::string contents, ReadBlock(*handle));  // the file's, not the cache's
    ASSIGN_OR_RETURN(auto block, Block::Parse(std::move(contents)));
    BlockCursor cursor;
    for (cursor.Reset(std::move(block), 0); cursor.Valid(); cursor.Next()) {
      if (seen.entries > 0 && cursor.key() <= last.view()) {
        return Status::Corruption("block at offset " + std::to_string(handle->offset) +
                                  ": entries out of order");
      }
      last = {std::string(cursor.key().user_key), cursor.key().trailer};
      seen.Count(last.view(), cursor.value().size());
    }
  }
  seen.largest = last.user_key;
  if (seen != properties_ || seen.entries != metadata_.entries ||
      seen.smallest != metadata_.smallest || seen.largest != metadata_.largest) {
    return Status::Corruption("the entries are not those that were counted");
  }
  return {};
}

Status TableReader::Verify() const {
  RETURN_IF_ERROR(meta_status_);
  RETURN_IF_ERROR(InThisFile(VerifyContentHash()));
  return InThisFile(VerifyEntries());
}

class TableReader::TableIterator final : public InternalIterator {
 public:
  TableIterator(std::shared_ptr<const TableReader> table, FillCache fill_cache)
      : table_(std::move(table)), fill_cache_(fill_cache), status_(table_->meta_status_) {}

  bool Valid() const override { return cursor_.Valid(); }

  void SeekToFirst() override {
    cursor_.Clear();
    if (!status_.ok()) return;
    block_index_ = 0;
    EnterBlock(nullptr);
  }

  void Seek(InternalKeyView target) override {
    cursor_.Clear();
    if (!status_.ok()) return;
    block_index_ = table_->index_->LowerBound(target);
    EnterBlock(&target);
  }

  void Next() override {
    cursor_.Next();
    if (cursor_.Valid()) return;
    ++block_index_;
    EnterBlock(nullptr);
  }

  InternalKeyView key() const override { return cursor_.key(); }
  std::string_view value() const override { return cursor_.value(); }
  Status status() const override { return status_; }

 private:
  /// Stands on the first entry, at or after `target` where given, from block block_index_ on.
  void EnterBlock(const InternalKeyView* target) {
    for (; block_index_ < table_->index_->size(); ++block_index_) {
      auto block = table_->DataBlock(block_index_, fill_cache_);
      if (!block.ok()) {
        status_ = block.status();
        cursor_.Clear();
        return;
      }
      const std::size_t position = target == nullptr ? 0 : (*block)->LowerBound(*target);
      cursor_.Reset(std::move(block).value(), position);
      if (cursor_.Valid()) return;
    }
    cursor_.Clear();
  }

  std::shared_ptr<const TableReader> table_;
  FillCache fill_cache_;
  std::size_t block_index_ = 0;
  BlockCursor cursor_;
  Status status_;
};

std::unique_ptr<InternalIterator> TableReader::NewIterator(std::shared_ptr<const TableReader> table,
                                                           FillCache fill_cache) {
  return std::make_unique<TableIterator>(std::move(table), fill_cache);
}

}  // namespace bedrock::engine
