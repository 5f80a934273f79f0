#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/options.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/keys/range_tombstones.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/bloom_filter.h"
#include "storaged/engine/table/garbage_histogram.h"
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
  /// Notes that an entry which was added refers to `bytes` of a blob file.
  void CountBlobReference(FileNumber file, std::uint64_t bytes) { blob_references_[file] += bytes; }
  /// At any time before Finish.
  void AddRangeTombstones(const FragmentedTombstones& tombstones);
  /// Writes what is left, syncs the file. REQUIRES: it has an entry or a range tombstone; no call
  /// follows.
  Result<TableMetadata> Finish();

  /// What the file will have if it ends here, about.
  std::uint64_t EstimatedBytes() const;
  FileNumber number() const { return number_; }

 private:
  TableBuilder(std::unique_ptr<File> file, FileNumber number, const TableOptions& options);

  void Count(InternalKeyView key, std::size_t value_bytes);
  /// Ends the data block; `next` begins the next one, nothing at the end of the table.
  Status EndDataBlock(std::optional<InternalKeyView> next);
  void WriteDataBlock();
  BlockHandle WriteBlock(std::string_view contents);
  std::uint64_t offset() const { return written_ + buffer_.size(); }
  Status WriteOut();
  Status Remember(Status status);
  TableFooter WriteMeta();

  std::unique_ptr<File> file_;
  FileNumber number_;
  TableOptions options_;
  TableProperties properties_;
  std::uint64_t block_tombstones_ = 0;  ///< In data_.
  BlockBuilder data_;
  BlockBuilder index_;
  std::optional<BloomFilterBuilder> filter_;
  FragmentedTombstones tombstones_;
  std::map<FileNumber, std::uint64_t> blob_references_;
  GarbageHistogram garbage_;
  StreamingHash64 hash_;
  std::string buffer_;         ///< Not yet written.
  std::uint64_t written_ = 0;  ///< Bytes before buffer_.
  std::string contents_;       ///< Of a block that is to be compressed.
  std::string index_value_;
  std::string last_user_key_;  ///< Of the last data block that was ended.
  Trailer last_trailer_;       ///< Of the last entry.
  Status status_;
};

}  // namespace bedrock::engine
