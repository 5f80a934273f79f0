#include "storaged/engine/table/table_builder.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {
/// Fewer, larger writes; a table is written by one job at a time, so this is all the memory there
/// is.
constexpr std::size_t kWriteBufferBytes = 256 * kKiB;
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
    : file_(std::move(file)), options_(options) {
  metadata_.number = number;
  if (options_.filter_bits_per_key > 0) filter_.emplace(options_.filter_bits_per_key);
  buffer_ = EncodeTableHeader(number);
  hash_.Update(buffer_);
}

std::uint64_t TableBuilder::EstimatedBytes() const {
  return written_ + buffer_.size() + data_.EstimatedBytes();
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

Status TableBuilder::Append(std::string_view bytes) {
  hash_.Update(bytes);
  buffer_ += bytes;
  return buffer_.size() >= kWriteBufferBytes ? WriteOut() : Status();
}

Result<BlockHandle> TableBuilder::WriteBlock(std::string_view contents, Compression compression) {
  const std::uint64_t offset = written_ + buffer_.size();
  const std::string stored = SealBlock(contents, compression, metadata_.number, offset);
  RETURN_IF_ERROR(Append(stored));
  return BlockHandle{offset, stored.size() - kBlockTrailerBytes};
}

Status TableBuilder::EndDataBlock(std::optional<InternalKeyView> next) {
  const InternalKeyView last = data_.last_key();
  // Where the next block goes on with versions of the same key, only the whole internal key parts
  // the two.
  InternalKey separator{std::string(last.user_key), last.trailer};
  if (!next || next->user_key != last.user_key) {
    if (next) separator.user_key = ShortestSeparator(last.user_key, next->user_key);
    separator.trailer = Trailer::Last();
  }
  ASSIGN_OR_RETURN(const BlockHandle handle, WriteBlock(data_.Finish(), options_.compression));
  std::string value;
  handle.EncodeTo(value);
  index_.Add(separator.view(), value);
  data_.Reset();
  ++properties_.data_blocks;
  return {};
}

Status TableBuilder::Add(InternalKeyView key, std::string_view value) {
  RETURN_IF_ERROR(status_);
  if (!data_.empty() && data_.EstimatedBytes() >= options_.block_bytes) {
    RETURN_IF_ERROR(Remember(EndDataBlock(key)));
  }
  if (filter_ && (properties_.entries == 0 || key.user_key != last_user_key_)) {
    filter_->Add(key.user_key);
  }
  last_user_key_ = key.user_key;
  data_.Add(key, value);
  properties_.Count(key, value.size());
  return {};
}

Result<TableMetadata> TableBuilder::Finish() {
  CHECK(properties_.entries > 0);
  RETURN_IF_ERROR(status_);
  RETURN_IF_ERROR(EndDataBlock(std::nullopt));
  TableFooter footer;
  footer.number = metadata_.number;
  if (filter_) {
    ASSIGN_OR_RETURN(footer.filter, WriteBlock(filter_->Finish(), Compression::kNone));
  }
  ASSIGN_OR_RETURN(footer.index, WriteBlock(index_.Finish(), Compression::kNone));
  properties_.largest = last_user_key_;
  ASSIGN_OR_RETURN(footer.properties, WriteBlock(properties_.Encode(), Compression::kNone));
  footer.content_hash = hash_.Digest();
  buffer_ += footer.Encode();
  RETURN_IF_ERROR(WriteOut());
  RETURN_IF_ERROR(file_->Sync());
  metadata_.size = written_;
  metadata_.content_hash = footer.content_hash;
  metadata_.smallest = properties_.smallest;
  metadata_.largest = properties_.largest;
  metadata_.version_min = properties_.version_min;
  metadata_.version_max = properties_.version_max;
  metadata_.entries = properties_.entries;
  metadata_.tombstones = properties_.tombstones;
  return std::move(metadata_);
}

}  // namespace bedrock::engine
