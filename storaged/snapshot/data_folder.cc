#include "storaged/snapshot/data_folder.h"

#include <charconv>
#include <memory>
#include <system_error>

#include "common/base/status_macros.h"
#include "common/codec/crc32c.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::storage {
namespace {

constexpr std::uint64_t kPointerBytesMax = 4096;
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kCrcDigits = 8;

std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string CrcOf(std::string_view name) {
  return FormatHex(Crc32c(name)).substr(kIdDigits - kCrcDigits);
}

/// The id in "BASE.0123456789abcdef".
std::optional<SnapshotId> IdIn(std::string_view name, std::string_view base) {
  if (name.size() != base.size() + 1 + kIdDigits || !name.starts_with(base) ||
      name[base.size()] != '.') {
    return std::nullopt;
  }
  std::uint64_t id = 0;
  for (const char c : name.substr(base.size() + 1)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    id = id << 4 | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  if (id == 0) return std::nullopt;
  return SnapshotId(id);
}

std::string WithCrc(std::string_view line) { return std::string(line) + "\n" + CrcOf(line) + "\n"; }

/// "LINE\nCRC\n" → LINE; none where it is damaged.
std::optional<std::string_view> LineOf(std::string_view content) {
  const std::string_view line = content.substr(0, content.find('\n'));
  if (content != WithCrc(line)) return std::nullopt;
  return line;
}

/// "NAME\nCRC\n" → NAME.
Result<std::string> DecodePointer(std::string_view content, std::string_view base) {
  const auto name = LineOf(content);
  if (!name || (*name != base && !IdIn(*name, base))) return Status::Corruption("damaged");
  return std::string(*name);
}

}  // namespace

Result<DataFolder> DataFolder::Open(FileSystem& file_system, std::string base) {
  DataFolder folder(file_system, std::move(base));
  const std::string current = folder.pointer();
  const auto has_database = [&](const std::string& path) {
    return file_system.Exists(JoinPath(path, engine::kCurrentName));
  };
  ASSIGN_OR_RETURN(const bool pointed, file_system.Exists(current));
  if (pointed) {
    ASSIGN_OR_RETURN(const std::string content, ReadFile(file_system, current, kPointerBytesMax));
    auto name = DecodePointer(content, NameOf(folder.base_));
    if (!name.ok()) return name.status().Prefixed(current);
    folder.engine_.replace(folder.base_.size() - NameOf(folder.base_).size(), std::string::npos,
                           *name);
    ASSIGN_OR_RETURN(const bool there, has_database(folder.engine_));
    if (there) return folder;
    return Status::Corruption(current + " names " + *name + ", where there is no database");
  }
  // A node has its first database before it fetches any snapshot; and what is fetched loses its
  // SNAPSHOT file only once it is the engine's.
  ASSIGN_OR_RETURN(const bool there, has_database(folder.base_));
  ASSIGN_OR_RETURN(const auto begun, folder.Begun());
  for (const SnapshotId id : begun) {
    const std::string path = folder.SnapshotFolder(id);
    ASSIGN_OR_RETURN(const bool whole, has_database(path));
    ASSIGN_OR_RETURN(const bool fetching, file_system.Exists(JoinPath(path, kSnapshotFileName)));
    if (there && (fetching || !whole)) continue;
    std::string why = current;
    why.append(" is missing, but ").append(path).append(" is there");
    return Status::Corruption(why);
  }
  return folder;
}

std::string DataFolder::SnapshotFolder(SnapshotId id) const {
  return base_ + "." + FormatHex(id.value());
}

std::string DataFolder::CheckpointFolder(SnapshotId id) const {
  return JoinPath(checkpoints(), FormatHex(id.value()));
}

Result<std::vector<SnapshotId>> DataFolder::Begun() const {
  std::vector<SnapshotId> begun;
  ASSIGN_OR_RETURN(const bool there, file_system_->Exists(ParentPath(base_)));
  if (!there) return begun;
  ASSIGN_OR_RETURN(const auto names, file_system_->List(ParentPath(base_)));
  for (const auto& name : names) {
    const auto id = IdIn(name, NameOf(base_));
    if (id && SnapshotFolder(*id) != engine_) begun.push_back(*id);
  }
  return begun;
}

std::vector<std::string> DataFolder::Replaced() const {
  if (engine_ == base_) return {};
  return {base_};
}

Status DataFolder::WriteTemporary(const std::string& path, std::string_view line) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                   file_system_->Open(path + ".tmp", FileSystem::OpenMode::kCreate));
  RETURN_IF_ERROR(file->WriteAt(0, WithCrc(line)));
  return file->Sync();
}

Status DataFolder::Quarantine(LogIndex index) const {
  const std::string path = quarantine();
  const std::string line = std::string(NameOf(engine_)) + " " + std::to_string(index.value());
  RETURN_IF_ERROR(WriteTemporary(path, line));
  RETURN_IF_ERROR(file_system_->Rename(path + ".tmp", path));
  return file_system_->SyncDirectory(ParentPath(base_));
}

Status DataFolder::ForgetQuarantine() const {
  ASSIGN_OR_RETURN(const bool noted, file_system_->Exists(quarantine()));
  if (noted) RETURN_IF_ERROR(file_system_->Remove(quarantine()));
  // Also where it is gone: whoever removed it may have died before this.
  return file_system_->SyncDirectory(ParentPath(base_));
}

Result<LogIndex> DataFolder::quarantined_at() const {
  const std::string path = quarantine();
  ASSIGN_OR_RETURN(const bool noted, file_system_->Exists(path));
  if (!noted) return LogIndex();
  const auto content = ReadFile(*file_system_, path, kPointerBytesMax);
  if (!content.ok()) return kQuarantineUnclear;
  const auto line = LineOf(*content);
  if (!line) return kQuarantineUnclear;
  const std::size_t space = line->find(' ');
  if (space == std::string_view::npos) return kQuarantineUnclear;
  if (line->substr(0, space) != NameOf(engine_)) return LogIndex();
  std::uint64_t index = 0;
  const std::string_view digits = line->substr(space + 1);
  const auto end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, index);
  if (error != std::errc() || rest != end || index == 0) return kQuarantineUnclear;
  return LogIndex(index);
}

DataFolder::Pointed DataFolder::Point(SnapshotId id) const {
  const std::string folder = SnapshotFolder(id);
  if (Status written = WriteTemporary(pointer(), NameOf(folder)); !written.ok()) {
    (void)file_system_->Remove(pointer() + ".tmp");
    return {Outcome::kNothing, std::move(written)};
  }
  Status renamed = file_system_->Rename(pointer() + ".tmp", pointer());
  if (renamed.ok()) renamed = file_system_->SyncDirectory(ParentPath(base_));
  if (!renamed.ok()) return {Outcome::kUnknown, std::move(renamed)};
  return {};
}

}  // namespace bedrock::storage
