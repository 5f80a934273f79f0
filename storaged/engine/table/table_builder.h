#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/bloom_filter.h"
#include "storaged/engine/table/hash.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

struct TableOptions {
  std::size_t block_bytes = 4096;          ///< Of a data block before compression, about.
  std::uint32_t filter_bits_per_key = 10;  ///< 0: no filter.
  Compression compression = Compression::kNone;
};

/// Writes one table. One thread. After an error every call gives that error, and the file is
/// worthless: the caller removes it and takes a new file for another try.
class TableBuilder {
 public:
  /// Makes the file TableName(number) in `directory`; the caller syncs the directory.
  static Result<std::unique_ptr<TableBuilder>> Create(FileSystem& file_system,
                                                      const std::string& directory,
                                                      FileNumber number,
                                                      const TableOptions& options);

  /// REQUIRES: `key` is above the last one added.
  Status Add(InternalKeyView key, std::string_view value);
  /// Writes what is left, syncs the file. REQUIRES: something was added; no call follows.
  Result<TableMetadata> Finish();

  /// What the file holds and what waits in memory for it, about.
  std::uint64_t EstimatedBytes() const;
  FileNumber number() const { return metadata_.number; }

 private:
  TableBuilder(std::unique_ptr<File> file, FileNumber number, const TableOptions& options);

  /// Ends the data block; `next_user_key` begins the next one, nothing at the end of the table.
  Status EndDataBlock(std::optional<InternalKeyView> next);
  Result<BlockHandle> WriteBlock(std::string_view contents, Compression compression);
  Status Append(std::string_view bytes);
  Status WriteOut();
  Status Remember(Status status);

  std::unique_ptr<File> file_;
  TableOptions options_;
  TableMetadata metadata_;
  TableProperties properties_;
  BlockBuilder data_;
  BlockBuilder index_;
  std::optional<BloomFilterBuilder> filter_;
  StreamingHash64 hash_;
  std::string buffer_;         ///< Appended, not yet written.
  std::uint64_t written_ = 0;  ///< Bytes before buffer_.
  std::string last_user_key_;
  Status status_;
};

}  // namespace bedrock::engine
