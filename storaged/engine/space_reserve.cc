#include "storaged/engine/space_reserve.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

SpaceReserve::SpaceReserve(FileSystem& file_system, const std::string& directory,
                           std::uint64_t bytes)
    : file_system_(file_system),
      directory_(directory),
      path_(JoinPath(directory, kReserveName)),
      bytes_(bytes) {
  const auto size = file_system_.FileSize(path_);
  if (size.ok() && bytes_ > 0 && *size == bytes_) written_ = bytes_;
  if (size.ok() && *size != bytes_) (void)file_system_.Remove(path_);
}

Status SpaceReserve::Grow() {
  if (whole()) return {};
  Status grown = Write();
  if (!grown.ok()) Release();
  return grown;
}

Status SpaceReserve::Write() {
  if (file_ == nullptr) {
    ASSIGN_OR_RETURN(const std::uint64_t free, file_system_.FreeSpace(directory_));
    if (free < 2 * bytes_) return Status::NoSpace("no room for the reserve");
    ASSIGN_OR_RETURN(file_, file_system_.Open(path_, FileSystem::OpenMode::kCreate));
  }
  const std::string zeros(std::min(kStepBytes, bytes_ - written_), '\0');
  RETURN_IF_ERROR(file_->WriteAt(written_, zeros));
  if (written_ + zeros.size() == bytes_) {
    RETURN_IF_ERROR(file_->Sync());
    file_.reset();
  }
  written_ += zeros.size();
  return {};
}

void SpaceReserve::Release() {
  file_.reset();
  written_ = 0;
  if (bytes_ > 0) (void)file_system_.Remove(path_);
}

}  // namespace bedrock::engine
