#include "storaged/snapshot/file_writer.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace bedrock::storage {

std::string PartName(std::string_view name) { return std::string(name) + ".part"; }

FileWriter::FileWriter(FileSystem& file_system, std::string folder)
    : file_system_(file_system), folder_(std::move(folder)) {}

std::string FileWriter::Part(const proto::SnapshotFile& file) const {
  return JoinPath(folder_, PartName(file.name));
}

Status FileWriter::Write(const Piece& piece) {
  Status status = Append(piece);
  if (status.ok()) return status;
  // A sync that failed leaves bytes that can be read and may never get to the disk.
  file_.reset();
  (void)file_system_.Remove(Part(piece.file));
  return status.Prefixed(piece.file.name);
}

Status FileWriter::Append(const Piece& piece) {
  if (file_ == nullptr || name_ != piece.file.name) RETURN_IF_ERROR(Begin(piece));
  CHECK(end_ == piece.offset);
  RETURN_IF_ERROR(file_->WriteAt(piece.offset, piece.data.view()));
  Hash(piece.file, piece.offset, piece.data.view());
  end_ += piece.data.size();
  unsynced_ += piece.data.size();
  if (end_ == piece.file.size) return Finish(piece.file);
  if (unsynced_ < kSyncStepBytes) return Status::Ok();
  unsynced_ = 0;
  return file_->Sync();
}

Status FileWriter::Begin(const Piece& piece) {
  name_ = piece.file.name;
  end_ = 0;
  unsynced_ = 0;
  hash_.emplace();
  const auto mode =
      piece.offset == 0 ? FileSystem::OpenMode::kCreate : FileSystem::OpenMode::kReadWrite;
  ASSIGN_OR_RETURN(file_, file_system_.Open(Part(piece.file), mode));
  std::string before(std::min<std::uint64_t>(piece.offset, kMiB), '\0');
  while (end_ < piece.offset) {
    const std::size_t n = std::min<std::uint64_t>(piece.offset - end_, before.size());
    ASSIGN_OR_RETURN(const std::size_t got, file_->ReadAt(end_, n, before.data()));
    if (got != n) return Status::Corruption("shorter than it was");
    Hash(piece.file, end_, std::string_view(before).substr(0, n));
    end_ += n;
  }
  return Status::Ok();
}

void FileWriter::Hash(const proto::SnapshotFile& file, std::uint64_t offset,
                      std::string_view data) {
  if (offset >= file.hashed) return;
  hash_->Update(data.substr(0, std::min<std::uint64_t>(data.size(), file.hashed - offset)));
}

Status FileWriter::Finish(const proto::SnapshotFile& file) {
  if (hash_->Digest() != file.hash) {
    return Status::Corruption("what was fetched has not the hash that it should have");
  }
  RETURN_IF_ERROR(file_->Sync());
  file_.reset();
  return file_system_.Rename(Part(file), JoinPath(folder_, file.name));
}

}  // namespace bedrock::storage
