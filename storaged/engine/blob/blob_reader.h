#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/blob/blob_format.h"
#include "storaged/engine/blob/value_resolver.h"
#include "storaged/engine/table/table_reader.h"

namespace bedrock::engine {

/// One live blob file, opened. Immutable: any thread. Keeps nothing in memory and uses no cache: a
/// value is read at once into memory that is handed out; what is read often stays in the
/// system's page cache. Errors name the file and the offset.
class BlobReader {
 public:
  /// corruption: the file's size, header or footer is not what `blob` says: this is not the file
  /// that was written. Damage further inside makes only the reads of the damaged values fail.
  static Result<std::shared_ptr<const BlobReader>> Open(FileSystem& file_system,
                                                        const std::string& directory,
                                                        const BlobFile& blob);

  /// REQUIRES: ref.file is this file.
  Result<ResolvedValue> Read(const BlobRef& ref, VerifyChecksums verify) const;

  /// A record as it stands in the file. Borrowed, for the call.
  struct Record {
    std::string_view user_key;
    Version version;
    BlobRef ref;
    std::string_view value;
  };
  /// Visits all records in order, each checked in all its parts. The error of `visit` ends it. For
  /// Verify, and for a rescue of values that no table refers to any more.
  Status ForEach(const std::function<Status(const Record&)>& visit) const;
  /// Reads and checks every byte.
  Status Verify() const;

  const BlobFile& blob() const { return blob_; }
  /// A read has found damage.
  bool damaged() const { return damaged_.load(std::memory_order_relaxed); }

 private:
  BlobReader(std::unique_ptr<File> file, std::string path, const BlobFile& blob)
      : file_(std::move(file)), path_(std::move(path)), blob_(blob) {}

  Status CheckIdentity();
  Status VerifyContentHash() const;
  Result<std::string> ReadPart(std::uint64_t offset, std::size_t n) const;
  std::uint64_t records_end() const { return kBlobHeaderBytes + blob_.value_bytes; }
  Result<ResolvedValue> ReadChecked(const BlobRef& ref, VerifyChecksums verify) const;
  Status Damaged(std::uint64_t offset, std::string_view what) const;

  const std::unique_ptr<const File> file_;
  const std::string path_;
  const BlobFile blob_;
  std::uint64_t records_ = 0;  ///< As the footer says.
  mutable std::atomic<bool> damaged_{false};
};

}  // namespace bedrock::engine
