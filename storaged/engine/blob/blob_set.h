#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"
#include "storaged/engine/blob/blob_reader.h"
#include "storaged/engine/blob/value_resolver.h"

namespace bedrock::engine {

/// The live blob files at a moment, opened. Immutable and shared: whoever holds one can read all
/// values that the tables of that moment refer to. Any thread.
class BlobSet final : public ValueResolver {
 public:
  using Blob = std::shared_ptr<const BlobReader>;

  /// Of none.
  BlobSet() = default;
  /// In any order; no file twice.
  explicit BlobSet(std::vector<Blob> blobs);

  /// This set without `removed` and with `added`. REQUIRES: `removed` are in it, `added` are not.
  std::shared_ptr<const BlobSet> With(const std::vector<Blob>& added,
                                      const std::vector<FileNumber>& removed) const;

  Result<ResolvedValue> Read(std::string_view reference, VerifyChecksums verify) const override;

  /// Null: not there.
  const BlobReader* Find(FileNumber number) const;
  const std::vector<Blob>& blobs() const { return blobs_; }  ///< By number.

 private:
  std::vector<Blob> blobs_;
};

}  // namespace bedrock::engine
