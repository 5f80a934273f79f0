#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bedrock/options.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/blob/blob_format.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::engine {

/// Writes one blob file, beside the tables of a flush or a compaction. One thread. After an error
/// every call gives that error, and the file is worthless: the caller removes it and takes a new
/// one for another try.
class BlobWriter {
 public:
  /// Makes the file BlobName(number) in `directory`; the caller syncs the directory.
  static Result<std::unique_ptr<BlobWriter>> Create(FileSystem& file_system,
                                                    const std::string& directory, FileNumber number,
                                                    Compression compression);

  /// Where the value of `key` stands from now on; readable after Finish. REQUIRES: value.size() <=
  /// kValueBytesMax.
  Result<BlobRef> Add(InternalKeyView key, std::string_view value);
  /// Writes what is left, syncs the file. REQUIRES: a value was added; no call follows.
  Result<BlobFile> Finish();

  std::uint64_t bytes() const { return written_ + buffer_.size(); }
  FileNumber number() const { return number_; }

 private:
  BlobWriter(std::unique_ptr<File> file, FileNumber number, Compression compression);

  Status WriteOut();

  const std::unique_ptr<File> file_;
  const FileNumber number_;
  const Compression compression_;
  StreamingHash64 hash_;
  std::string buffer_;         ///< Not yet written.
  std::string stored_;         ///< A value that is being compressed.
  std::uint64_t written_ = 0;  ///< Bytes before buffer_.
  std::uint64_t records_ = 0;
  Status status_;
};

}  // namespace bedrock::engine
