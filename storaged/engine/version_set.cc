#include "storaged/engine/version_set.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {

/// A MANIFEST is begun anew when it is larger than this and than kManifestGrowthMax times what
/// began it.
constexpr std::uint64_t kManifestBytesMin = kMiB;
constexpr std::uint64_t kManifestGrowthMax = 4;

std::map<FileNumber, TableSet::Table> ByNumber(const TableSet& tables) {
  std::map<FileNumber, TableSet::Table> opened;
  for (const auto& level : tables.levels) {
    for (const auto& table : level) opened.emplace(table->metadata().number, table);
  }
  return opened;
}

void ApplyOrDie(ManifestState& state, const VersionEdit& edit) {
  const Status fits = state.Apply(edit);
  CHECK_MSG(fits.ok(), fits.ToString());
}

}  // namespace

VersionSet::VersionSet(FileSystem& file_system, std::string directory,
                       std::shared_ptr<BlockCache> cache, TablesCount tables_count,
                       Recovered& recovered)
    : file_system_(file_system),
      directory_(std::move(directory)),
      cache_(std::move(cache)),
      tables_count_(tables_count),
      next_file_(recovered.state.next_file.value()),
      manifest_missing_(recovered.manifest == nullptr),
      manifest_(std::move(recovered.manifest)),
      current_{std::make_shared<const ManifestState>(std::move(recovered.state)),
               std::move(recovered.tables)} {
  CountTables(*current_.tables);
}

void VersionSet::CountTables(const TableSet& tables) {
  if (!tables_count_) return;
  std::size_t bytes = 0;
  for (const auto& level : tables.levels) {
    for (const auto& table : level) bytes += table->memory_bytes();
  }
  cache_->SetAside(bytes);
}

VersionSet::Current VersionSet::current() const {
  const MutexLock lock(mutex_);
  return current_;
}

VersionSet::Result VersionSet::Commit(VersionEdit edit,
                                      const std::function<void(const Current&)>& install) {
  if (!edit.added.empty() || !edit.added_blobs.empty()) {
    // The edit may become durable before we learn of it, so the names have to be durable first.
    Status synced = file_system_.SyncDirectory(directory_);
    if (!synced.ok()) return {Outcome::kFinal, std::move(synced)};
  }
  const Current before = current();
  edit.next_file = FileNumber(next_file_.load(std::memory_order_relaxed));
  if (edit.watermark) edit.watermark = std::max(*edit.watermark, before.state->watermark);
  auto after = std::make_shared<ManifestState>(*before.state);
  ApplyOrDie(*after, edit);
  VersionEdit unused;
  for (const auto& [number, live_bytes] : after->BlobLiveBytes()) {
    if (live_bytes == 0) unused.removed_blobs.push_back(number);
  }
  ApplyOrDie(*after, unused);
  edit.removed_blobs = std::move(unused.removed_blobs);
  auto tables = OpenFiles(*after, *before.tables);
  if (!tables.ok()) return {Outcome::kRewrite, tables.status()};
  Status written = WriteEdit(edit, *after);
  if (written.IsNoSpace()) return {Outcome::kNoSpace, std::move(written)};
  if (!written.ok()) {
    const MutexLock lock(mutex_);
    frozen_ = true;
    return {Outcome::kFinal, std::move(written)};
  }
  const Current next{std::move(after), std::move(tables).value()};
  Publish(next);
  install(next);
  return {};
}

VersionSet::Result VersionSet::BeginManifest() {
  if (manifest_ != nullptr) return {};
  Status begun = StartManifest(*current().state);
  if (begun.ok()) return {};
  if (begun.IsNoSpace()) return {Outcome::kNoSpace, std::move(begun)};
  const MutexLock lock(mutex_);
  frozen_ = true;
  return {Outcome::kFinal, std::move(begun)};
}

void VersionSet::Publish(Current next) {
  CountTables(*next.tables);
  Current before;  // let go after the mutex
  const MutexLock lock(mutex_);
  NoteObsolete(*current_.tables, *next.tables);
  before = std::exchange(current_, std::move(next));
}

Result<std::shared_ptr<const TableSet>> VersionSet::OpenFiles(const ManifestState& state,
                                                              const TableSet& before) const {
  std::map<FileNumber, TableSet::Table> opened = ByNumber(before);
  auto tables = std::make_shared<TableSet>();
  for (std::size_t level = 0; level < kLevelsMax; ++level) {
    for (const TableMetadata& metadata : state.levels[level]) {
      TableSet::Table& table = opened[metadata.number];
      if (table == nullptr) {
        ASSIGN_OR_RETURN(table, TableReader::Open(file_system_, directory_, metadata, cache_));
      }
      tables->levels[level].push_back(table);
    }
  }
  ASSIGN_OR_RETURN(tables->blobs, OpenBlobs(state, *before.blobs));
  tables->watermark = state.watermark;
  tables->quarantined = state.quarantined;
  return std::shared_ptr<const TableSet>(std::move(tables));
}

Result<std::shared_ptr<const BlobSet>> VersionSet::OpenBlobs(const ManifestState& state,
                                                             const BlobSet& before) const {
  std::vector<BlobSet::Blob> added;
  std::vector<FileNumber> removed;
  for (const auto& [number, metadata] : state.blobs) {
    if (before.Find(number) != nullptr) continue;
    ASSIGN_OR_RETURN(auto blob, BlobReader::Open(file_system_, directory_, metadata));
    added.push_back(std::move(blob));
  }
  for (const BlobSet::Blob& blob : before.blobs()) {
    if (!state.blobs.contains(blob->blob().number)) removed.push_back(blob->blob().number);
  }
  return before.With(added, removed);
}

Status VersionSet::WriteEdit(const VersionEdit& edit, const ManifestState& after) {
  if (manifest_ == nullptr ||
      manifest_->bytes() >
          std::max(kManifestBytesMin, kManifestGrowthMax * manifest_->first_edit_bytes())) {
    return StartManifest(after);
  }
  Status appended = manifest_->Append(edit);
  if (!appended.ok()) {
    manifest_.reset();
    manifest_missing_.store(true, std::memory_order_release);
  }
  return appended;
}

Status VersionSet::StartManifest(ManifestState state) {
  const FileNumber number = NewNumber();
  state.next_file = FileNumber(next_file_.load(std::memory_order_relaxed));
  auto created = ManifestWriter::Create(file_system_, directory_, number, state);
  if (!created.ok()) {
    // With any other error CURRENT may name it already.
    if (created.status().IsNoSpace()) {
      (void)file_system_.Remove(JoinPath(directory_, ManifestName(number)));
    }
    return created.status();
  }
  manifest_ = std::move(created).value();
  manifest_missing_.store(false, std::memory_order_release);
  RemoveOlderManifests(number);
  return {};
}

void VersionSet::RemoveOlderManifests(FileNumber number) {
  const auto names = file_system_.List(directory_);
  if (!names.ok()) return;  // they go when the directory is opened again
  for (const std::string& name : *names) {
    const auto parsed = ParseName(name);
    if (parsed && parsed->kind == ParsedName::Kind::kManifest && parsed->number < number) {
      (void)file_system_.Remove(JoinPath(directory_, name));
    }
  }
}

void VersionSet::NoteObsolete(const TableSet& before, const TableSet& after) {
  std::map<FileNumber, TableSet::Table> gone = ByNumber(before);
  for (const auto& level : after.levels) {
    for (const auto& table : level) gone.erase(table->metadata().number);
  }
  for (auto& [number, table] : gone) obsolete_.push_back({std::move(table), TableName(number)});
  for (const BlobSet::Blob& blob : before.blobs->blobs()) {
    const FileNumber number = blob->blob().number;
    if (after.blobs->Find(number) == nullptr) obsolete_.push_back({blob, BlobName(number)});
  }
}

void VersionSet::CollectObsolete() {
  std::vector<Obsolete> unread;
  {
    const MutexLock lock(mutex_);
    if (frozen_ || holds_ > 0 || manifest_missing()) return;
    // Only this list can make a file's count grow again, so one is the last.
    const auto is_read = [](const Obsolete& file) { return file.file.use_count() > 1; };
    const auto first_unread = std::partition(obsolete_.begin(), obsolete_.end(), is_read);
    std::move(first_unread, obsolete_.end(), std::back_inserter(unread));
    obsolete_.erase(first_unread, obsolete_.end());
  }
  for (Obsolete& file : unread) {
    file.file.reset();
    (void)file_system_.Remove(JoinPath(directory_, file.name));
  }
}

bool VersionSet::obsolete_waiting() const {
  const MutexLock lock(mutex_);
  return !obsolete_.empty();
}

void VersionSet::Hold(int change) {
  const MutexLock lock(mutex_);
  holds_ += change;
}

}  // namespace bedrock::engine
