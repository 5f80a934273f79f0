#include "raftd/log/segment_repair.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "common/base/status_macros.h"
#include "common/base/units.h"

namespace bedrock::raft {
namespace {

constexpr std::uint64_t kPieceBytes = 1 * kMiB;  // of one read or write

}  // namespace

Status ZeroBytes(File& file, std::uint64_t from, std::uint64_t end) {
  std::string content(std::min(kPieceBytes, end - from), '\0');
  const std::string zeroes(content.size(), '\0');
  for (std::uint64_t at = from; at < end; at += content.size()) {
    const std::size_t wanted = std::min<std::uint64_t>(content.size(), end - at);
    ASSIGN_OR_RETURN(const std::size_t n, file.ReadAt(at, wanted, content.data()));
    const std::string_view zero = std::string_view(zeroes).substr(0, wanted);
    if (std::string_view(content).substr(0, n) == zero) continue;
    RETURN_IF_ERROR(file.WriteAt(at, zero));
  }
  return Status::Ok();
}

Status WriteAgain(File& file, std::uint64_t from, std::uint64_t to) {
  std::string content(std::min(kPieceBytes, to - from), '\0');
  for (std::uint64_t at = from; at < to;) {
    ASSIGN_OR_RETURN(
        const std::size_t n,
        file.ReadAt(at, std::min<std::uint64_t>(content.size(), to - at), content.data()));
    if (n == 0) break;  // padding that a truncated file lacks
    RETURN_IF_ERROR(file.WriteAt(at, std::string_view(content).substr(0, n)));
    at += n;
  }
  return Status::Ok();
}

}  // namespace bedrock::raft
