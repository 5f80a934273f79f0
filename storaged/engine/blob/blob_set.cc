#include "storaged/engine/blob/blob_set.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

BlobSet::BlobSet(std::vector<Blob> blobs) : blobs_(std::move(blobs)) {
  std::sort(blobs_.begin(), blobs_.end(),
            [](const Blob& a, const Blob& b) { return a->blob().number < b->blob().number; });
  const auto twice = std::adjacent_find(
      blobs_.begin(), blobs_.end(),
      [](const Blob& a, const Blob& b) { return a->blob().number == b->blob().number; });
  CHECK(twice == blobs_.end());
}

std::shared_ptr<const BlobSet> BlobSet::With(const std::vector<Blob>& added,
                                             const std::vector<FileNumber>& removed) const {
  std::vector<Blob> blobs = added;
  for (const Blob& blob : blobs_) {
    if (std::find(removed.begin(), removed.end(), blob->blob().number) == removed.end())
      blobs.push_back(blob);
  }
  CHECK(blobs.size() == blobs_.size() + added.size() - removed.size());
  return std::make_shared<const BlobSet>(std::move(blobs));
}

const BlobReader* BlobSet::Find(FileNumber number) const {
  const auto at = std::lower_bound(
      blobs_.begin(), blobs_.end(), number,
      [](const Blob& blob, FileNumber wanted) { return blob->blob().number < wanted; });
  return at != blobs_.end() && (*at)->blob().number == number ? at->get() : nullptr;
}

Result<ResolvedValue> BlobSet::Read(std::string_view reference, VerifyChecksums verify) const {
  ASSIGN_OR_RETURN(const BlobRef ref, BlobRef::Decode(reference));
  const BlobReader* const blob = Find(ref.file);
  if (blob == nullptr) {
    return Status::Corruption("a reference to " + BlobName(ref.file) + ", which is no live file");
  }
  return blob->Read(ref, verify);
}

}  // namespace bedrock::engine
