#include "storaged/engine/recovery.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {

/// Rewriting keeps MANIFESTs far below this.
constexpr std::uint64_t kManifestBytesMax = kGiB;

class Recovery {
 public:
  Recovery(FileSystem& file_system, const std::string& directory, std::shared_ptr<BlockCache> cache)
      : file_system_(file_system), directory_(directory), cache_(std::move(cache)) {}

  Result<Recovered> Run() {
    RETURN_IF_ERROR(file_system_.CreateDirectories(directory_));
    ASSIGN_OR_RETURN(recovered_.lock, file_system_.Lock(Path(kLockName)));
    ASSIGN_OR_RETURN(names_, file_system_.List(directory_));
    if (std::binary_search(names_.begin(), names_.end(), kCurrentName)) {
      RETURN_IF_ERROR(ReadState());
    } else {
      RETURN_IF_ERROR(CheckUnborn());
    }
    RETURN_IF_ERROR(OpenTables());
    const FileNumber number = recovered_.state.next_file;
    recovered_.state.next_file = number.Next();
    auto manifest = ManifestWriter::Create(file_system_, directory_, number, recovered_.state);
    if (manifest.status().IsNoSpace() && number > FileNumber(1)) return std::move(recovered_);
    if (!manifest.ok()) return std::move(manifest).status();
    recovered_.manifest = std::move(manifest).value();
    RemoveUnreferenced();
    return std::move(recovered_);
  }

 private:
  std::string Path(std::string_view name) const { return JoinPath(directory_, name); }

  Status ReadState() {
    ASSIGN_OR_RETURN(const FileNumber number, ReadCurrent(file_system_, directory_));
    const std::string name = ManifestName(number);
    auto content = ReadFile(file_system_, Path(name), kManifestBytesMax);
    if (!content.ok()) {
      if (!content.status().IsNotFound()) return std::move(content).status();
      return Status::Corruption("CURRENT names " + name + ", which is missing");
    }
    auto state = DecodeManifest(*content, number);
    if (!state.ok()) return state.status().Prefixed(name);
    recovered_.state = std::move(state).value();
    // Numbers that were given out after the last edit: the files may still be around.
    for (const std::string& other : names_) {
      const auto parsed = ParseName(other);
      if (parsed && parsed->number >= recovered_.state.next_file) {
        recovered_.state.next_file = parsed->number.Next();
      }
    }
    return {};
  }

  /// A crash while a new database was made leaves no more than its first MANIFEST, still empty.
  Status CheckUnborn() {
    for (const std::string& name : names_) {
      const auto parsed = ParseName(name);
      if (!parsed) continue;
      if (parsed->kind == ParsedName::Kind::kManifest && parsed->number == FileNumber(1)) {
        ASSIGN_OR_RETURN(const std::string content,
                         ReadFile(file_system_, Path(name), kManifestBytesMax));
        if (IsUnbornManifest(content, parsed->number)) continue;
      }
      return Status::Corruption("CURRENT is missing, but " + name + " is there");
    }
    return {};
  }

  Status OpenTables() {
    auto tables = std::make_shared<TableSet>();
    for (std::size_t level = 0; level < kLevelsMax; ++level) {
      for (const TableMetadata& metadata : recovered_.state.levels[level]) {
        ASSIGN_OR_RETURN(auto table, TableReader::Open(file_system_, directory_, metadata, cache_));
        tables->levels[level].push_back(std::move(table));
      }
    }
    std::vector<BlobSet::Blob> blobs;
    for (const auto& [number, metadata] : recovered_.state.blobs) {
      ASSIGN_OR_RETURN(auto blob, BlobReader::Open(file_system_, directory_, metadata));
      blobs.push_back(std::move(blob));
    }
    tables->blobs = std::make_shared<const BlobSet>(std::move(blobs));
    tables->watermark = recovered_.state.watermark;
    tables->quarantined = recovered_.state.quarantined;
    recovered_.tables = std::move(tables);
    return {};
  }

  /// As far as the disk lets it; what stays is tried again at the next open.
  void RemoveUnreferenced() {
    std::set<FileNumber> live;
    live.insert(recovered_.manifest->number());
    for (const auto& level : recovered_.state.levels) {
      for (const TableMetadata& table : level) live.insert(table.number);
    }
    for (const auto& [number, blob] : recovered_.state.blobs) live.insert(number);
    for (const std::string& name : names_) {
      const auto parsed = ParseName(name);
      if ((parsed && !live.contains(parsed->number)) || name == kCurrentTemporaryName) {
        (void)file_system_.Remove(Path(name));
      }
    }
  }

  FileSystem& file_system_;
  const std::string& directory_;
  std::shared_ptr<BlockCache> cache_;
  std::vector<std::string> names_;
  Recovered recovered_;
};

}  // namespace

Result<Recovered> Recover(FileSystem& file_system, const std::string& directory,
                          const std::shared_ptr<BlockCache>& cache) {
  auto recovered = Recovery(file_system, directory, cache).Run();
  if (!recovered.ok()) return recovered.status().Prefixed("open " + directory);
  return recovered;
}

}  // namespace bedrock::engine
