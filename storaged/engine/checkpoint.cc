#include "storaged/engine/checkpoint.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/manifest/manifest_log.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {

constexpr std::uint64_t kCopyBytes = kMiB;

class Checkpoint {
 public:
  Checkpoint(FileSystem& file_system, const std::string& from, const std::string& to)
      : file_system_(file_system), from_(from), to_(to) {}

  Status Make(const ManifestState& state) {
    ASSIGN_OR_RETURN(const bool exists, file_system_.Exists(to_));
    if (exists) return Status::InvalidArgument(to_ + " exists");
    Status made = Fill(state);
    if (!made.ok()) Remove();
    return made;
  }

 private:
  Status Fill(const ManifestState& state) {
    RETURN_IF_ERROR(file_system_.CreateDirectories(to_));
    for (const auto& level : state.levels) {
      for (const TableMetadata& table : level) RETURN_IF_ERROR(Take(TableName(table.number)));
    }
    for (const auto& [number, blob] : state.blobs) RETURN_IF_ERROR(Take(BlobName(number)));
    ManifestState copy = state;
    const FileNumber manifest = copy.next_file;
    copy.next_file = manifest.Next();
    // Syncs the directory, and so the links, before CURRENT names anything.
    return ManifestWriter::Create(file_system_, to_, manifest, copy).status();
  }

  Status Take(const std::string& name) {
    if (!copying_) {
      if (file_system_.Link(JoinPath(from_, name), JoinPath(to_, name)).ok()) return {};
      copying_ = true;  // another file system, or one without links: the rest won't go, either
    }
    return Copy(JoinPath(from_, name), JoinPath(to_, name));
  }

  Status Copy(const std::string& from, const std::string& to) {
    ASSIGN_OR_RETURN(const auto source, file_system_.Open(from, FileSystem::OpenMode::kRead));
    ASSIGN_OR_RETURN(const auto target, file_system_.Open(to, FileSystem::OpenMode::kCreate));
    std::string piece(kCopyBytes, '\0');
    for (std::uint64_t offset = 0;;) {
      ASSIGN_OR_RETURN(const std::size_t got, source->ReadAt(offset, piece.size(), piece.data()));
      RETURN_IF_ERROR(target->WriteAt(offset, std::string_view(piece).substr(0, got)));
      offset += got;
      if (got < piece.size()) return target->Sync();
    }
  }

  void Remove() {
    const auto names = file_system_.List(to_);
    if (!names.ok()) return;
    // CURRENT goes first: what is left is no database.
    (void)file_system_.Remove(JoinPath(to_, kCurrentName));
    for (const std::string& name : *names) (void)file_system_.Remove(JoinPath(to_, name));
    (void)file_system_.RemoveDirectory(to_);
  }

  FileSystem& file_system_;
  const std::string& from_;
  const std::string& to_;
  bool copying_ = false;
};

}  // namespace

Status MakeCheckpoint(FileSystem& file_system, const std::string& from, const std::string& to,
                      const ManifestState& state) {
  return Checkpoint(file_system, from, to).Make(state).Prefixed("checkpoint");
}

}  // namespace bedrock::engine
