#include "raftd/server/promise_file.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string_view>

#include "common/base/status_macros.h"

namespace bedrock::raft {

namespace {

constexpr std::size_t kFileBytesMax = 32;

std::uint64_t Parse(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole =
      error == std::errc() && std::string_view(end, text.data() + text.size()) == "\n";
  return whole && value > 0 ? std::min(value, kPromiseMsMax) : kPromiseMsMax;
}

}  // namespace

Result<std::uint64_t> KeepPromise(FileSystem& file_system, const std::string& path,
                                  std::uint64_t own_ms) {
  std::uint64_t earlier_ms = 0;
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(path));
  if (exists) {
    Result<std::string> text = ReadFile(file_system, path, kFileBytesMax);
    // One that is too large was not written by this.
    if (!text.ok() && text.status().code() != StatusCode::kCorruption) return text.status();
    earlier_ms = text.ok() ? Parse(*text) : kPromiseMsMax;
  }
  if (own_ms > earlier_ms) {
    RETURN_IF_ERROR(ReplaceFile(file_system, path, std::to_string(own_ms) + "\n"));
  }
  return earlier_ms;
}

}  // namespace bedrock::raft
