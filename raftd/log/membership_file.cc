#include "raftd/log/membership_file.h"

#include <cstdint>
#include <string_view>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "raftd/core/membership.h"

namespace bedrock::raft {

namespace {

constexpr std::uint64_t kMagic = 0x424D454D52444542;  // "BEDRMEMB"
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kCrcOffset = 8;
constexpr std::size_t kCheckedOffset = 12;
constexpr std::size_t kContentOffset = 40;
constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 20;

Status Unreadable(const std::string& path, std::string_view why) {
  return Status::Corruption(path + " " + std::string(why) +
                            ", so this node doesn't know who takes part: wipe its data and add it "
                            "again under a new id");
}

/// A node that waits to be taken in knows of nobody, which has no encoding of its own.
std::string EncodeContent(const Membership& membership) {
  return membership == Membership() ? std::string() : EncodeMembership(membership);
}

}  // namespace

Status WriteMembershipFile(FileSystem& file_system, const std::string& path, ClusterId cluster,
                           NodeId node, const MembershipChange& content) {
  std::string bytes;
  PutFixed(bytes, kMagic);
  PutFixed(bytes, std::uint32_t{0});
  PutFixed(bytes, kFormat);
  PutFixed(bytes, cluster.value());
  PutFixed(bytes, node.value());
  PutFixed(bytes, content.index.value());
  bytes += EncodeContent(content.membership);
  StoreFixed(bytes.data() + kCrcOffset, Crc32c(std::string_view(bytes).substr(kCheckedOffset)));
  return ReplaceFile(file_system, path, bytes);
}

Result<MembershipChange> ReadMembershipFile(FileSystem& file_system, const std::string& path,
                                            ClusterId cluster, NodeId node) {
  ASSIGN_OR_RETURN(auto file, file_system.Open(path, FileSystem::OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size < kContentOffset || size > kFileBytesMax) return Unreadable(path, "has a wrong size");
  std::string bytes(size, '\0');
  ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, size, bytes.data()));
  const std::string_view view = std::string_view(bytes).substr(0, n);
  if (n != size || LoadFixed<std::uint64_t>(view.data()) != kMagic ||
      LoadFixed<std::uint32_t>(view.data() + kCrcOffset) != Crc32c(view.substr(kCheckedOffset))) {
    return Unreadable(path, "is damaged");
  }
  const auto format = LoadFixed<std::uint32_t>(view.data() + kCheckedOffset);
  if (format != kFormat) {
    return Status::Corruption(path + " has format " + std::to_string(format) +
                              "; this program reads format " + std::to_string(kFormat));
  }
  if (ClusterId(LoadFixed<std::uint64_t>(view.data() + 16)) != cluster ||
      NodeId(LoadFixed<std::uint64_t>(view.data() + 24)) != node) {
    return Status::Corruption(path + " belongs to another node: point the node at its own data");
  }
  MembershipChange change{.index = LogIndex(LoadFixed<std::uint64_t>(view.data() + 32)),
                          .membership = {}};
  const std::string_view content = view.substr(kContentOffset);
  if (content.empty()) return change;
  std::optional<Membership> membership = DecodeMembership(content);
  if (!membership) return Unreadable(path, "holds no configuration that could be");
  change.membership = *std::move(membership);
  return change;
}

}  // namespace bedrock::raft
