#include "raftd/log/log_number.h"

#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"

namespace bedrock::raft {

namespace {

constexpr std::uint64_t kMagic = 0x4D554E4C52444542;  // "BEDRLNUM"
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kCrcOffset = 8;
constexpr std::size_t kCheckedOffset = 12;
constexpr std::size_t kFileBytes = 40;

std::string Encode(const LogOwner& owner, LogNumber number) {
  std::string bytes;
  PutFixed(bytes, kMagic);
  PutFixed(bytes, std::uint32_t{0});
  PutFixed(bytes, kFormat);
  PutFixed(bytes, owner.cluster.value());
  PutFixed(bytes, owner.node.value());
  PutFixed(bytes, number.value());
  StoreFixed(bytes.data() + kCrcOffset, Crc32c(std::string_view(bytes).substr(kCheckedOffset)));
  return bytes;
}

}  // namespace

Result<LogNumber> TakeLogNumber(FileSystem& file_system, const LogOwner& owner, LogNumber fresh) {
  CHECK(fresh);
  const std::string path = JoinPath(owner.directory, "number");
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(path));
  if (!exists) {
    RETURN_IF_ERROR(ReplaceFile(file_system, path, Encode(owner, fresh)));
    return fresh;
  }
  ASSIGN_OR_RETURN(auto file, file_system.Open(path, FileSystem::OpenMode::kRead));
  std::string bytes(kFileBytes + 1, '\0');
  ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, bytes.size(), bytes.data()));
  if (n == kFileBytes) {
    bytes.resize(n);
    const LogNumber number(LoadFixed<std::uint64_t>(bytes.data() + kFileBytes - 8));
    if (number && bytes == Encode(owner, number)) return number;
  }
  return Status::Corruption(path +
                            " is damaged or belongs to another node, so this node can't show whose "
                            "log it has: wipe its data and add it again under a new id");
}

}  // namespace bedrock::raft
