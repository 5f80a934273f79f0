#include "common/env/file_system.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace bedrock {

Status File::Allocate(std::uint64_t end) {
  constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;
  static const std::string zeroes(kPieceBytes, '\0');
  ASSIGN_OR_RETURN(std::uint64_t at, Size());
  while (at < end) {
    const std::uint64_t n = std::min(end - at, kPieceBytes);
    RETURN_IF_ERROR(WriteAt(at, std::string_view(zeroes).substr(0, n)));
    at += n;
  }
  return Status::Ok();
}

Result<std::string> ReadFile(FileSystem& file_system, const std::string& path,
                             std::uint64_t size_max) {
  ASSIGN_OR_RETURN(auto file, file_system.Open(path, FileSystem::OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size > size_max) {
    return Status::Corruption(path + " holds " + std::to_string(size) + " bytes, at most " +
                              std::to_string(size_max) + " expected");
  }
  std::string content(size, '\0');
  ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, content.size(), content.data()));
  content.resize(n);
  return content;
}

Status ReplaceFile(FileSystem& file_system, const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    ASSIGN_OR_RETURN(auto file, file_system.Open(temporary, FileSystem::OpenMode::kCreate));
    RETURN_IF_ERROR(file->WriteAt(0, content));
    RETURN_IF_ERROR(file->Sync());
  }
  RETURN_IF_ERROR(file_system.Rename(temporary, path));
  return file_system.SyncDirectory(ParentPath(path));
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

std::string ParentPath(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

}  // namespace bedrock
