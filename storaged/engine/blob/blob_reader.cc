#include "storaged/engine/blob/blob_reader.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::engine {

namespace {
constexpr std::size_t kReadBytes = 1 * kMiB;  // at a time where all of the file is read
}  // namespace

Result<std::shared_ptr<const BlobReader>> BlobReader::Open(FileSystem& file_system,
                                                           const std::string& directory,
                                                           const BlobFile& blob) {
  std::string path = JoinPath(directory, BlobName(blob.number));
  auto file = file_system.Open(path, FileSystem::OpenMode::kReadFinished);
  if (!file.ok()) {
    if (!file.status().IsNotFound()) return std::move(file).status();
    return Status::Corruption(path + ": the file is missing");
  }
  // Not make_shared: the constructor is private.
  std::shared_ptr<BlobReader> reader(  // NOLINT
      new BlobReader(std::move(file).value(), std::move(path), blob));
  RETURN_IF_ERROR(reader->CheckIdentity().Prefixed(reader->path_));
  return std::shared_ptr<const BlobReader>(std::move(reader));
}

Status BlobReader::CheckIdentity() {
  ASSIGN_OR_RETURN(const std::uint64_t size, file_->Size());
  if (size != blob_.size || size < kBlobHeaderBytes + kBlobFooterBytes) {
    return Status::Corruption("it has " + std::to_string(size) + " bytes, not " +
                              std::to_string(blob_.size));
  }
  ASSIGN_OR_RETURN(const std::string header, ReadExactly(*file_, 0, kBlobHeaderBytes));
  RETURN_IF_ERROR(CheckBlobHeader(header, blob_.number));
  ASSIGN_OR_RETURN(const std::string text,
                   ReadExactly(*file_, size - kBlobFooterBytes, kBlobFooterBytes));
  ASSIGN_OR_RETURN(const BlobFooter footer, BlobFooter::Decode(text));
  if (footer.number != blob_.number || footer.content_hash != blob_.content_hash ||
      footer.record_bytes != blob_.value_bytes ||
      footer.record_bytes != size - kBlobHeaderBytes - kBlobFooterBytes) {
    return Status::Corruption("not the blob file that was written");
  }
  records_ = footer.records;
  return Status::Ok();
}

Status BlobReader::Damaged(std::uint64_t offset, std::string_view what) const {
  return Status::Corruption(path_ + " at offset " + std::to_string(offset) + ": " +
                            std::string(what));
}

Result<std::string> BlobReader::ReadPart(std::uint64_t offset, std::size_t n) const {
  auto part = ReadExactly(*file_, offset, n);
  if (!part.ok()) return part.status().Prefixed(path_);
  return part;
}

Result<ResolvedValue> BlobReader::Read(const BlobRef& ref, VerifyChecksums verify) const {
  auto read = ReadChecked(ref, verify);
  if (!read.ok() && read.status().IsCorruption()) damaged_.store(true, std::memory_order_relaxed);
  return read;
}

Result<ResolvedValue> BlobReader::ReadChecked(const BlobRef& ref, VerifyChecksums verify) const {
  DCHECK(ref.file == blob_.number);
  const std::uint64_t end = records_end();
  if (ref.offset < kBlobHeaderBytes + kBlobRecordHeaderBytes || ref.offset > end ||
      ref.size > end - ref.offset || kBlockTrailerBytes > end - ref.offset - ref.size) {
    return Damaged(ref.offset, "a reference leads outside of the values");
  }
  const std::size_t bytes = ref.size + kBlockTrailerBytes;
  auto memory = BlockMemory::Allocate(bytes);
  ASSIGN_OR_RETURN(const std::size_t n, file_->ReadAt(ref.offset, bytes, memory->data()));
  if (n != bytes) return Damaged(ref.offset + n, "the file ends early");
  auto sealed = CheckSealedBlock({memory->data(), bytes}, blob_.number, ref.offset,
                                 CheckHash(verify == VerifyChecksums::kYes));
  if (!sealed.ok()) return std::move(sealed).status().Prefixed(path_);
  if (sealed->compression == Compression::kNone) {
    const std::string_view value = sealed->stored;
    return ResolvedValue{BlockPin(std::move(memory)), value};
  }
  const auto contents_bytes = sealed->ContentsBytes();
  if (!contents_bytes.ok()) return contents_bytes.status().Prefixed(path_);
  if (*contents_bytes > kValueBytesMax) return Damaged(ref.offset, "impossible size");
  auto contents = BlockMemory::Allocate(*contents_bytes);
  RETURN_IF_ERROR(sealed->Decompress(contents->data(), *contents_bytes).Prefixed(path_));
  const std::string_view value(contents->data(), *contents_bytes);
  return ResolvedValue{BlockPin(std::move(contents)), value};
}

Status BlobReader::ForEach(const std::function<Status(const Record&)>& visit) const {
  std::uint64_t at = kBlobHeaderBytes;
  std::uint64_t records = 0;
  for (; at < records_end(); ++records) {
    if (records_end() - at < kBlobRecordHeaderBytes) return Damaged(at, "a record is cut short");
    ASSIGN_OR_RETURN(const std::string text, ReadPart(at, kBlobRecordHeaderBytes));
    const BlobRecordHeader header = DecodeBlobRecordHeader(text);
    const std::uint64_t bytes = BlobRecordBytes(header.key_bytes, header.stored_bytes);
    if (header.key_bytes > kKeyBytesMax || bytes > records_end() - at)
      return Damaged(at, "a record header is damaged");
    ASSIGN_OR_RETURN(const std::string key,
                     ReadPart(at + bytes - header.key_bytes, header.key_bytes));
    if (BlobRecordHash(text, key, blob_.number, at) != header.hash)
      return Damaged(at, "a record header or its key is damaged");
    const BlobRef ref{blob_.number, at + kBlobRecordHeaderBytes, header.stored_bytes};
    ASSIGN_OR_RETURN(const ResolvedValue value, Read(ref, VerifyChecksums::kYes));
    RETURN_IF_ERROR(visit({key, header.version, ref, value.value}));
    at += bytes;
  }
  if (records != records_) return Damaged(at, "not as many records as the footer says");
  return Status::Ok();
}

Status BlobReader::VerifyContentHash() const {
  StreamingHash64 hash;
  for (std::uint64_t at = 0; at < records_end();) {
    const std::size_t n =
        static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, records_end() - at));
    ASSIGN_OR_RETURN(const std::string part, ReadPart(at, n));
    hash.Update(part);
    at += n;
  }
  if (hash.Digest() != blob_.content_hash)
    return Status::Corruption(path_ + ": the content hash is wrong");
  return Status::Ok();
}

Status BlobReader::Verify() const {
  RETURN_IF_ERROR(ForEach([](const Record&) { return Status::Ok(); }));
  return VerifyContentHash();
}

}  // namespace bedrock::engine
