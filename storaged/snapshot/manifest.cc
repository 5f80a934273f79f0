#include "storaged/snapshot/manifest.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "storaged/engine/blob/blob_format.h"
#include "storaged/engine/manifest/manifest_log.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/hash.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::storage {
namespace {

constexpr std::string_view kMagic = "BRSNAPSH";
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::size_t kHeaderBytes = 16;
/// Far above what kSnapshotFilesMax files take.
constexpr std::uint64_t kManifestFileBytesMax = 64 * kMiB;
constexpr std::uint64_t kEngineManifestBytesMax = kGiB;
/// No file is larger, so that sums of them fit 64 bits.
constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 44;

using Kind = engine::ParsedName::Kind;

/// A footer that the hash leaves out is checked by itself when the engine opens the file.
std::uint64_t FooterBytes(const std::string& name) {
  const auto parsed = engine::ParseName(name);
  if (!parsed) return 0;
  switch (parsed->kind) {
    case Kind::kTable:
      return engine::kTableFooterBytes;
    case Kind::kBlob:
      return engine::kBlobFooterBytes;
    case Kind::kManifest:
      break;
  }
  return 0;
}

Status CheckFile(const proto::SnapshotFile& file) {
  if (file.name != engine::kCurrentName && !engine::ParseName(file.name)) {
    return Status::InvalidArgument("no file of a database");
  }
  if (file.size == 0 || file.size > kFileBytesMax) return Status::InvalidArgument("its size");
  if (file.hashed != file.size - std::min(file.size, FooterBytes(file.name))) {
    return Status::InvalidArgument("its hash leaves out too much");
  }
  return Status::Ok();
}

Result<proto::SnapshotFile> HashWhole(FileSystem& file_system, const std::string& folder,
                                      std::string name, std::string* content) {
  ASSIGN_OR_RETURN(std::string bytes,
                   ReadFile(file_system, JoinPath(folder, name), kEngineManifestBytesMax));
  proto::SnapshotFile file{.name = std::move(name),
                           .size = bytes.size(),
                           .hashed = bytes.size(),
                           .hash = engine::Hash64(bytes)};
  if (content != nullptr) *content = std::move(bytes);
  return file;
}

proto::SnapshotFile BuiltFile(std::string name, std::uint64_t size, std::uint64_t hash) {
  proto::SnapshotFile file{.name = std::move(name), .size = size, .hash = hash};
  file.hashed = size - FooterBytes(file.name);
  return file;
}

}  // namespace

Status CheckManifest(const SnapshotManifest& manifest) {
  if (!manifest.id || !manifest.index) return Status::InvalidArgument("manifest: no snapshot");
  if (manifest.files.size() > proto::kSnapshotFilesMax) {
    return Status::InvalidArgument("manifest: too many files");
  }
  std::size_t manifests = 0;
  std::size_t currents = 0;
  const proto::SnapshotFile* before = nullptr;
  for (const auto& file : manifest.files) {
    if (Status checked = CheckFile(file); !checked.ok()) {
      return checked.Prefixed("manifest: " + file.name.substr(0, proto::kSnapshotNameBytesMax));
    }
    if (before != nullptr && before->name >= file.name) {
      return Status::InvalidArgument("manifest: files out of order");
    }
    before = &file;
    const auto parsed = engine::ParseName(file.name);
    currents += parsed ? 0 : 1;
    manifests += parsed && parsed->kind == Kind::kManifest ? 1 : 0;
  }
  if (currents != 1 || manifests != 1) {
    return Status::InvalidArgument("manifest: one CURRENT and one MANIFEST have to be in it");
  }
  return Status::Ok();
}

std::uint64_t BytesOf(const SnapshotManifest& manifest) {
  std::uint64_t bytes = 0;
  for (const auto& file : manifest.files) bytes += file.size;
  return bytes;
}

std::string EncodeManifest(const SnapshotManifest& manifest) {
  std::string body;
  PutFixed(body, manifest.id.value());
  PutFixed(body, manifest.index.value());
  PutFixed(body, manifest.term.value());
  PutVarint(body, manifest.files.size());
  for (const auto& file : manifest.files) {
    PutLengthPrefixed(body, file.name);
    PutVarint(body, file.size);
    PutVarint(body, file.hashed);
    PutFixed(body, file.hash);
  }
  std::string bytes(kMagic);
  PutFixed(bytes, kFormatVersion);
  PutFixed(bytes, Crc32c(body));
  return bytes + body;
}

Result<SnapshotManifest> DecodeManifest(std::string_view bytes) {
  const auto corrupt = [](std::string_view why) {
    return Status::Corruption("SNAPSHOT: " + std::string(why));
  };
  ByteReader header(bytes.substr(0, kHeaderBytes));
  const auto magic = header.Take(kMagic.size());
  const auto format = header.Fixed<std::uint32_t>();
  const auto crc = header.Fixed<std::uint32_t>();
  if (header.failed() || *magic != kMagic) return corrupt("not one");
  if (*format != kFormatVersion) return corrupt("of another format");
  const std::string_view body = bytes.substr(kHeaderBytes);
  if (Crc32c(body) != *crc) return corrupt("bad checksum");

  ByteReader reader(body);
  SnapshotManifest manifest;
  manifest.id = SnapshotId(reader.Fixed<std::uint64_t>().value_or(0));
  manifest.index = LogIndex(reader.Fixed<std::uint64_t>().value_or(0));
  manifest.term = Term(reader.Fixed<std::uint64_t>().value_or(0));
  const std::uint64_t count = reader.Varint().value_or(0);
  if (count > proto::kSnapshotFilesMax) return corrupt("too many files");
  for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
    proto::SnapshotFile& file = manifest.files.emplace_back();
    file.name = reader.LengthPrefixed().value_or("");
    file.size = reader.Varint().value_or(0);
    file.hashed = reader.Varint().value_or(0);
    file.hash = reader.Fixed<std::uint64_t>().value_or(0);
  }
  if (!reader.AtEnd()) return corrupt("cut off");
  if (const Status checked = CheckManifest(manifest); !checked.ok()) {
    return corrupt(checked.message());
  }
  return manifest;
}

Result<SnapshotManifest> ReadManifest(FileSystem& file_system, const std::string& folder) {
  ASSIGN_OR_RETURN(
      const std::string bytes,
      ReadFile(file_system, JoinPath(folder, kSnapshotFileName), kManifestFileBytesMax));
  return DecodeManifest(bytes);
}

Status WriteManifest(FileSystem& file_system, const std::string& folder,
                     const SnapshotManifest& manifest) {
  return ReplaceFile(file_system, JoinPath(folder, kSnapshotFileName), EncodeManifest(manifest));
}

Result<SnapshotManifest> DescribeCheckpoint(FileSystem& file_system, const std::string& folder,
                                            SnapshotId id) {
  SnapshotManifest manifest;
  manifest.id = id;
  ASSIGN_OR_RETURN(const FileNumber number, engine::ReadCurrent(file_system, folder));
  std::string content;
  ASSIGN_OR_RETURN(auto own,
                   HashWhole(file_system, folder, engine::ManifestName(number), &content));
  manifest.files.push_back(std::move(own));
  ASSIGN_OR_RETURN(auto current,
                   HashWhole(file_system, folder, std::string(engine::kCurrentName), nullptr));
  manifest.files.push_back(std::move(current));
  ASSIGN_OR_RETURN(const engine::ManifestState state, engine::DecodeManifest(content, number));
  // Better said now than when the reader has fetched all before it.
  if (!state.quarantined.empty()) {
    return Status::Corruption("table " + std::to_string(state.quarantined.begin()->value()) +
                              " is damaged here");
  }
  manifest.index = state.applied.index;
  manifest.term = state.applied.term;
  for (const auto& level : state.levels) {
    for (const auto& table : level) {
      manifest.files.push_back(
          BuiltFile(engine::TableName(table.number), table.size, table.content_hash));
    }
  }
  for (const auto& [blob_number, blob] : state.blobs) {
    manifest.files.push_back(
        BuiltFile(engine::BlobName(blob_number), blob.size, blob.content_hash));
  }
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  RETURN_IF_ERROR(CheckManifest(manifest));
  return manifest;
}

std::uint64_t HashOf(const proto::SnapshotChunk& chunk) {
  std::string place;
  PutFixed(place, chunk.id.value());
  PutFixed(place, chunk.file);
  PutFixed(place, chunk.offset);
  return engine::Hash64(chunk.data.view(), engine::Hash64(place));
}

Status RemoveFolder(FileSystem& file_system, const std::string& folder) {
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(folder));
  if (!exists) return Status::Ok();
  ASSIGN_OR_RETURN(const auto names, file_system.List(folder));
  if (std::binary_search(names.begin(), names.end(), engine::kCurrentName)) {
    RETURN_IF_ERROR(file_system.Remove(JoinPath(folder, engine::kCurrentName)));
    RETURN_IF_ERROR(file_system.SyncDirectory(folder));
  }
  for (const auto& name : names) {
    if (name == engine::kCurrentName) continue;
    RETURN_IF_ERROR(file_system.Remove(JoinPath(folder, name)));
  }
  return file_system.RemoveDirectory(folder);
}

}  // namespace bedrock::storage
