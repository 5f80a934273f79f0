#include "storaged/engine/blob/blob_writer.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {
constexpr std::size_t kWriteBufferBytes = 512 * kKiB;
}  // namespace

Result<std::unique_ptr<BlobWriter>> BlobWriter::Create(FileSystem& file_system,
                                                       const std::string& directory,
                                                       FileNumber number, Compression compression) {
  ASSIGN_OR_RETURN(auto file, file_system.Open(JoinPath(directory, BlobName(number)),
                                               FileSystem::OpenMode::kCreate));
  // Not make_unique: the constructor is private.
  return std::unique_ptr<BlobWriter>(  // NOLINT
      new BlobWriter(std::move(file), number, compression));
}

BlobWriter::BlobWriter(std::unique_ptr<File> file, FileNumber number, Compression compression)
    : file_(std::move(file)), number_(number), compression_(compression) {
  buffer_ = EncodeBlobHeader(number);
}

Result<BlobRef> BlobWriter::Add(InternalKeyView key, std::string_view value) {
  RETURN_IF_ERROR(status_);
  CHECK(value.size() <= kValueBytesMax && key.user_key.size() <= kKeyBytesMax);
  const std::uint64_t record = bytes();
  const std::uint64_t offset = record + kBlobRecordHeaderBytes;
  BlobRecordHeader header{.stored_bytes = static_cast<std::uint32_t>(value.size()),
                          .key_bytes = static_cast<std::uint32_t>(key.user_key.size()),
                          .version = key.version()};
  if (compression_ == Compression::kNone) {
    AppendBlobRecordHeader(buffer_, header, key.user_key, number_, record);
    const std::size_t begin = buffer_.size();
    buffer_.append(value);
    SealInPlace(buffer_, begin, Compression::kNone, BlockSeed(number_, offset));
  } else {
    stored_.clear();
    header.stored_bytes = static_cast<std::uint32_t>(
        SealBlock(value, compression_, BlockSeed(number_, offset), stored_));
    AppendBlobRecordHeader(buffer_, header, key.user_key, number_, record);
    buffer_ += stored_;
  }
  buffer_.append(key.user_key);
  ++records_;
  if (buffer_.size() >= kWriteBufferBytes) {
    status_ = WriteOut();
    RETURN_IF_ERROR(status_);
  }
  return BlobRef{number_, offset, header.stored_bytes};
}

Status BlobWriter::WriteOut() {
  hash_.Update(buffer_);
  RETURN_IF_ERROR(file_->WriteAt(written_, buffer_));
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<BlobFile> BlobWriter::Finish() {
  CHECK(records_ > 0);
  RETURN_IF_ERROR(status_);
  RETURN_IF_ERROR(WriteOut());
  const BlobFooter footer{.number = number_,
                          .records = records_,
                          .record_bytes = written_ - kBlobHeaderBytes,
                          .content_hash = hash_.Digest()};
  const std::string encoded = footer.Encode();
  RETURN_IF_ERROR(file_->WriteAt(written_, encoded));
  RETURN_IF_ERROR(file_->Sync());
  return BlobFile{.number = number_,
                  .size = written_ + encoded.size(),
                  .value_bytes = footer.record_bytes,
                  .content_hash = footer.content_hash};
}

}  // namespace bedrock::engine
