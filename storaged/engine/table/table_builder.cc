#include "storaged/engine/table/table_builder.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/table_index.h"

namespace bedrock::engine {

namespace {
/// Few, large writes; a table is written by one job at a time, so this is all the memory there is.
constexpr std::size_t kWriteBufferBytes = 512 * kKiB;
}  // namespace

Result<std::unique_ptr<TableBuilder>> TableBuilder::Create(FileSystem& file_system,
                                                           const std::string& directory,
                                                           FileNumber number,
                                                           const TableOptions& options) {
  ASSIGN_OR_RETURN(auto file, file_system.Open(JoinPath(directory, TableName(number)),
                                               FileSystem::OpenMode::kCreate));
  // Not make_unique: the constructor is private.
  return std::unique_ptr<TableBuilder>(  // NOLINT
      new TableBuilder(std::move(file), number, options));
}

TableBuilder::TableBuilder(std::unique_ptr<File> file, FileNumber number,
                           const TableOptions& options)
    : file_(std::move(file)), number_(number), options_(options) {
  if (options_.filter_bits_per_key > 0) filter_.emplace(options_.filter_bits_per_key);
  buffer_.reserve(kWriteBufferBytes + 2 * options_.block_bytes);
  buffer_ = EncodeTableHeader(number);
  hash_.Update(buffer_);
}

std::uint64_t TableBuilder::EstimatedBytes() const {
  const std::uint64_t filter = filter_ ? filter_->EstimatedBytes() : 0;
  return offset() + data_.EstimatedBytes() + index_.EstimatedBytes() + filter + tombstones_.bytes();
}

Status TableBuilder::Remember(Status status) {
  if (status_.ok()) status_ = status;
  return status;
}

Status TableBuilder::WriteOut() {
  RETURN_IF_ERROR(file_->WriteAt(written_, buffer_));
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

void TableBuilder::WriteDataBlock() {
  const std::size_t begin = buffer_.size();
  const std::uint64_t seed = BlockSeed(number_, offset());
  if (options_.compression == Compression::kNone) {
    data_.Finish(buffer_);
    SealInPlace(buffer_, begin, Compression::kNone, seed);
  } else {
    contents_.clear();
    data_.Finish(contents_);
    SealBlock(contents_, options_.compression, seed, buffer_);
  }
  hash_.Update(std::string_view(buffer_).substr(begin));
}

BlockHandle TableBuilder::WriteBlock(std::string_view contents) {
  const std::uint64_t at = offset();
  const std::size_t begin = buffer_.size();
  SealBlock(contents, Compression::kNone, BlockSeed(number_, at), buffer_);
  hash_.Update(std::string_view(buffer_).substr(begin));
  return {at, contents.size()};
}

Status TableBuilder::EndDataBlock(std::optional<InternalKeyView> next) {
  const InternalKeyView last = data_.last_key();
  last_user_key_ = last.user_key;
  // Where the next block goes on with versions of the same key, only the whole internal key parts
  // the two.
  InternalKey separator{last_user_key_, last.trailer};
  if (!next || next->user_key != last_user_key_) {
    if (next) separator.user_key = ShortestSeparator(last_user_key_, next->user_key);
    separator.trailer = Trailer::Last();
  }
  const std::uint64_t begin = offset();
  WriteDataBlock();
  index_value_.clear();
  PutIndexValue(index_value_, offset() - begin - kBlockTrailerBytes, data_.entries());
  index_.Add(separator.view(), index_value_);
  ++properties_.data_blocks;
  if (2 * block_tombstones_ >= data_.entries()) ++properties_.dense_blocks;
  block_tombstones_ = 0;
  data_.Reset();
  return buffer_.size() >= kWriteBufferBytes ? WriteOut() : Status();
}

void TableBuilder::Count(InternalKeyView key, std::size_t value_bytes) {
  const bool newest = properties_.entries == 0 ||
                      key.user_key != (data_.empty() ? last_user_key_ : data_.last_key().user_key);
  const bool tombstone = key.kind() == EntryKind::kDelete;
  if (newest && filter_) filter_->Add(HashKey(key.user_key));
  if (tombstone) ++block_tombstones_;
  if (tombstone || !newest) {
    garbage_.Add(tombstone ? key.version() : last_trailer_.version(),
                 key.user_key.size() + value_bytes);
  }
  last_trailer_ = key.trailer;
  properties_.Count(key, value_bytes);
}

Status TableBuilder::Add(InternalKeyView key, std::string_view value) {
  if (!status_.ok()) [[unlikely]]
    return status_;
  if (data_.EstimatedBytes() >= options_.block_bytes && !data_.empty()) {
    RETURN_IF_ERROR(Remember(EndDataBlock(key)));
  }
  Count(key, value.size());
  data_.Add(key, value);
  return {};
}

void TableBuilder::AddRangeTombstones(const FragmentedTombstones& tombstones) {
  const FragmentedTombstones* const both[] = {&tombstones_, &tombstones};
  tombstones_ = FragmentedTombstones::Merge(both);
}

TableFooter TableBuilder::WriteMeta() {
  TableFooter footer;
  footer.number = number_;
  if (filter_ && !filter_->empty()) footer.filter = WriteBlock(filter_->Finish());
  if (!index_.empty()) {
    contents_.clear();
    index_.Finish(contents_);
    footer.index = WriteBlock(contents_);
  }
  if (!tombstones_.empty()) footer.range_tombstones = WriteBlock(tombstones_.Encode());
  contents_.clear();
  properties_.EncodeTo(contents_);
  footer.properties = WriteBlock(contents_);
  footer.content_hash = hash_.Digest();
  return footer;
}

Result<TableMetadata> TableBuilder::Finish() {
  CHECK(properties_.entries > 0 || !tombstones_.empty());
  RETURN_IF_ERROR(status_);
  if (!data_.empty()) RETURN_IF_ERROR(EndDataBlock(std::nullopt));
  properties_.largest = last_user_key_;
  properties_.CoverTombstones(tombstones_);
  for (const auto& [file, bytes] : blob_references_)
    properties_.blob_references.push_back({file, bytes});
  properties_.garbage = garbage_.Finish();
  const TableFooter footer = WriteMeta();
  buffer_ += footer.Encode();
  RETURN_IF_ERROR(WriteOut());
  RETURN_IF_ERROR(file_->Sync());
  TableMetadata metadata;
  static_cast<TableProperties&>(metadata) = std::move(properties_);
  metadata.number = number_;
  metadata.size = written_;
  metadata.content_hash = footer.content_hash;
  return metadata;
}

}  // namespace bedrock::engine
