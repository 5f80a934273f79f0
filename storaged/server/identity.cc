#include "storaged/server/identity.h"

#include <cstdint>

#include "common/base/status_macros.h"

namespace bedrock::storage {
namespace {

constexpr std::uint64_t kFileBytesMax = 4096;

}  // namespace

Status ClaimIdentity(FileSystem& file_system, const std::string& path, ClusterId cluster,
                     NodeId node) {
  const std::string own =
      "cluster " + FormatClusterId(cluster) + " node " + FormatNodeId(node) + "\n";
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(path));
  if (!exists) return ReplaceFile(file_system, path, own);
  ASSIGN_OR_RETURN(const std::string found, ReadFile(file_system, path, kFileBytesMax));
  if (found == own) return Status::Ok();
  if (!found.starts_with("cluster ") || !found.ends_with("\n")) {
    return Status::Corruption(path + " does not say whose data these are");
  }
  return Status::InvalidArgument(path + ": the data here are of " +
                                 found.substr(0, found.size() - 1) + ", this is " +
                                 own.substr(0, own.size() - 1));
}

}  // namespace bedrock::storage
