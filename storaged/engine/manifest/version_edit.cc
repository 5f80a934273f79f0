#include "storaged/engine/manifest/version_edit.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

namespace {

enum class Tag : std::uint64_t {
  kAdded = 1,
  kRemoved = 2,
  kNextFile = 3,
  kApplied = 4,
  kWatermark = 5,
  kClientState = 6,
  kQuarantined = 7,
  kAddedBlob = 8,
  kRemovedBlob = 9,
  kReleased = 10,
};

void PutTag(std::string& out, Tag tag) { PutVarint(out, static_cast<std::uint64_t>(tag)); }

void PutAdded(std::string& out, const VersionEdit::Added& added) {
  const TableMetadata& table = added.table;
  PutTag(out, Tag::kAdded);
  PutVarint(out, added.level);
  PutVarint(out, table.number.value());
  PutVarint(out, table.size);
  PutFixed(out, table.content_hash);
  PutLengthPrefixed(out, table.smallest);
  PutLengthPrefixed(out, table.largest);
  PutVarint(out, static_cast<std::uint64_t>(table.largest_kind));
  PutVarint(out, table.version_min.value());
  PutVarint(out, table.version_max.value());
  PutVarint(out, table.entries);
  PutVarint(out, table.tombstones);
  PutVarint(out, table.range_tombstones);
  PutVarint(out, table.data_blocks);
  PutVarint(out, table.dense_blocks);
  PutVarint(out, table.raw_bytes);
  PutVarint(out, table.blob_references.size());
  for (const auto& [file, bytes] : table.blob_references) {
    PutVarint(out, file.value());
    PutVarint(out, bytes);
  }
  PutVarint(out, table.garbage.size());
  for (const auto& [when, bytes] : table.garbage) {
    PutVarint(out, when.value());
    PutVarint(out, bytes);
  }
}

/// A list of pairs whose first numbers ascend from 1 on.
template <typename Pair, typename Id>
bool ReadPairs(ByteReader& reader, Id Pair::*id, std::vector<Pair>& pairs) {
  const auto count = reader.Varint();
  // Each takes two bytes at least: a lie about the count can't reserve memory.
  if (!count || *count > reader.rest().size() / 2) return false;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto number = reader.Varint();
    const auto bytes = reader.Varint();
    if (reader.failed() || *number == 0) return false;
    if (i > 0 && Id(*number) <= pairs.back().*id) return false;
    pairs.push_back({Id(*number), *bytes});
  }
  return true;
}

bool ReadBounds(ByteReader& reader, TableMetadata& table) {
  using Kind = UpperBound::Kind;
  const auto smallest = reader.LengthPrefixed();
  const auto largest = reader.LengthPrefixed();
  const auto kind = reader.Varint();
  if (reader.failed() || *kind > static_cast<std::uint64_t>(Kind::kUnbounded)) return false;
  table.smallest = *smallest;
  table.largest = *largest;
  table.largest_kind = static_cast<Kind>(*kind);
  if (table.largest_kind == Kind::kUnbounded && !table.largest.empty()) return false;
  return table.range().Contains(table.smallest);
}

bool ReadLevel(ByteReader& reader, std::uint32_t& level) {
  const auto value = reader.Varint();
  if (!value || *value >= kLevelsMax) return false;
  level = static_cast<std::uint32_t>(*value);
  return true;
}

bool ReadCounts(ByteReader& reader, TableMetadata& table) {
  const auto version_min = reader.Varint();
  const auto version_max = reader.Varint();
  const auto entries = reader.Varint();
  const auto tombstones = reader.Varint();
  const auto range_tombstones = reader.Varint();
  const auto data_blocks = reader.Varint();
  const auto dense_blocks = reader.Varint();
  const auto raw_bytes = reader.Varint();
  if (reader.failed() || (*entries == 0 && *range_tombstones == 0) || *tombstones > *entries ||
      *data_blocks > *entries || *dense_blocks > *data_blocks || *version_min > *version_max ||
      *version_max > kVersionMax.value()) {
    return false;
  }
  table.version_min = Version(*version_min);
  table.version_max = Version(*version_max);
  table.entries = *entries;
  table.tombstones = *tombstones;
  table.range_tombstones = *range_tombstones;
  table.data_blocks = *data_blocks;
  table.dense_blocks = *dense_blocks;
  table.raw_bytes = *raw_bytes;
  return true;
}

bool ReadAdded(ByteReader& reader, VersionEdit& edit) {
  VersionEdit::Added added;
  if (!ReadLevel(reader, added.level)) return false;
  TableMetadata& table = added.table;
  const auto number = reader.Varint();
  const auto size = reader.Varint();
  const auto content_hash = reader.Fixed<std::uint64_t>();
  if (reader.failed() || *number == 0) return false;
  table.number = FileNumber(*number);
  table.size = *size;
  table.content_hash = *content_hash;
  if (!ReadBounds(reader, table) || !ReadCounts(reader, table) ||
      !ReadPairs(reader, &TableMetadata::BlobReference::file, table.blob_references) ||
      !ReadPairs(reader, &TableMetadata::Garbage::when, table.garbage) ||
      table.garbage.size() > TableMetadata::kGarbageBucketsMax) {
    return false;
  }
  edit.added.push_back(std::move(added));
  return true;
}

bool ReadRemoved(ByteReader& reader, VersionEdit& edit) {
  VersionEdit::Removed removed;
  if (!ReadLevel(reader, removed.level)) return false;
  const auto number = reader.Varint();
  if (!number) return false;
  removed.number = FileNumber(*number);
  edit.removed.push_back(removed);
  return true;
}

/// A file number of its own field.
bool ReadNumber(ByteReader& reader, std::vector<FileNumber>& out) {
  const auto number = reader.Varint();
  if (!number || *number == 0) return false;
  out.emplace_back(*number);
  return true;
}

bool ReadAddedBlob(ByteReader& reader, VersionEdit& edit) {
  const auto number = reader.Varint();
  const auto size = reader.Varint();
  const auto value_bytes = reader.Varint();
  const auto content_hash = reader.Fixed<std::uint64_t>();
  if (reader.failed() || *number == 0 || *value_bytes > *size) return false;
  edit.added_blobs.push_back({FileNumber(*number), *size, *value_bytes, *content_hash});
  return true;
}

bool ReadField(ByteReader& reader, VersionEdit& edit) {
  const auto tag = reader.Varint();
  if (!tag) return false;
  switch (static_cast<Tag>(*tag)) {
    case Tag::kAdded:
      return ReadAdded(reader, edit);
    case Tag::kRemoved:
      return ReadRemoved(reader, edit);
    case Tag::kNextFile:
      if (const auto value = reader.Varint()) edit.next_file = FileNumber(*value);
      return !reader.failed();
    case Tag::kApplied: {
      const auto index = reader.Varint();
      const auto term = reader.Varint();
      if (reader.failed()) return false;
      edit.applied = {LogIndex(*index), Term(*term)};
      return true;
    }
    case Tag::kWatermark:
      if (const auto value = reader.Varint()) edit.watermark = Version(*value);
      return !reader.failed();
    case Tag::kClientState:
      if (const auto bytes = reader.LengthPrefixed()) edit.client_state = std::string(*bytes);
      return !reader.failed();
    case Tag::kQuarantined:
      return ReadNumber(reader, edit.quarantined);
    case Tag::kAddedBlob:
      return ReadAddedBlob(reader, edit);
    case Tag::kRemovedBlob:
      return ReadNumber(reader, edit.removed_blobs);
    case Tag::kReleased:
      return ReadNumber(reader, edit.released);
  }
  return false;
}

Status DoesNotFit(std::string_view what) {
  return Status::Corruption("version edit: " + std::string(what));
}

}  // namespace

std::string VersionEdit::Encode() const {
  std::string out;
  for (const Added& one : added) PutAdded(out, one);
  for (const Removed& one : removed) {
    PutTag(out, Tag::kRemoved);
    PutVarint(out, one.level);
    PutVarint(out, one.number.value());
  }
  for (const FileNumber number : quarantined) {
    PutTag(out, Tag::kQuarantined);
    PutVarint(out, number.value());
  }
  for (const FileNumber number : released) {
    PutTag(out, Tag::kReleased);
    PutVarint(out, number.value());
  }
  for (const BlobFile& blob : added_blobs) {
    PutTag(out, Tag::kAddedBlob);
    PutVarint(out, blob.number.value());
    PutVarint(out, blob.size);
    PutVarint(out, blob.value_bytes);
    PutFixed(out, blob.content_hash);
  }
  for (const FileNumber number : removed_blobs) {
    PutTag(out, Tag::kRemovedBlob);
    PutVarint(out, number.value());
  }
  if (next_file) {
    PutTag(out, Tag::kNextFile);
    PutVarint(out, next_file->value());
  }
  if (applied) {
    PutTag(out, Tag::kApplied);
    PutVarint(out, applied->index.value());
    PutVarint(out, applied->term.value());
  }
  if (watermark) {
    PutTag(out, Tag::kWatermark);
    PutVarint(out, watermark->value());
  }
  if (client_state) {
    PutTag(out, Tag::kClientState);
    PutLengthPrefixed(out, *client_state);
  }
  return out;
}

Result<VersionEdit> VersionEdit::Decode(std::string_view text) {
  VersionEdit edit;
  ByteReader reader(text);
  while (!reader.rest().empty()) {
    if (!ReadField(reader, edit)) return Status::Corruption("malformed version edit");
  }
  return edit;
}

Status ManifestState::AddTable(const VersionEdit::Added& added) {
  if (added.table.number >= next_file) return DoesNotFit("a table without a number of its own");
  for (const auto& level : levels) {
    for (const TableMetadata& table : level) {
      if (table.number == added.table.number) return DoesNotFit("a table is added twice");
    }
  }
  levels[added.level].push_back(added.table);
  return {};
}

Status ManifestState::CheckLevels() const {
  // Level 0 is searched newest first and the first hit counts, so its tables' versions must not
  // overlap; deeper levels are searched by key.
  for (std::size_t i = 1; i < levels[0].size(); ++i) {
    if (levels[0][i - 1].version_max >= levels[0][i].version_min) {
      return DoesNotFit("level 0 is out of order");
    }
  }
  for (std::size_t level = 1; level < levels.size(); ++level) {
    for (std::size_t i = 1; i < levels[level].size(); ++i) {
      if (levels[level][i - 1].range().end.Reaches(levels[level][i].smallest)) {
        return DoesNotFit("tables of a sorted level overlap");
      }
    }
  }
  return {};
}

Status ManifestState::ApplyTables(const VersionEdit& edit) {
  for (const VersionEdit::Removed& removed : edit.removed) {
    const auto gone = std::erase_if(levels[removed.level], [&](const TableMetadata& table) {
      return table.number == removed.number;
    });
    if (gone != 1) return DoesNotFit("removes a table that is not there");
  }
  for (const VersionEdit::Added& added : edit.added) RETURN_IF_ERROR(AddTable(added));
  std::sort(levels[0].begin(), levels[0].end(), [](const TableMetadata& a, const TableMetadata& b) {
    return a.version_max < b.version_max;
  });
  for (std::size_t level = 1; level < levels.size(); ++level) {
    std::sort(
        levels[level].begin(), levels[level].end(),
        [](const TableMetadata& a, const TableMetadata& b) { return a.smallest < b.smallest; });
  }
  return CheckLevels();
}

Status ManifestState::ApplyBlobs(const VersionEdit& edit) {
  for (const FileNumber number : edit.removed_blobs) {
    if (blobs.erase(number) != 1) return DoesNotFit("removes a blob file that is not there");
  }
  for (const BlobFile& blob : edit.added_blobs) {
    if (blob.number >= next_file) return DoesNotFit("a blob file without a number of its own");
    if (!blobs.emplace(blob.number, blob).second) return DoesNotFit("a blob file is added twice");
  }
  return CheckBlobs();
}

Status ManifestState::CheckBlobs() const {
  for (const auto& level : levels) {
    for (const TableMetadata& table : level) {
      for (const auto& reference : table.blob_references) {
        if (!blobs.contains(reference.file)) return DoesNotFit("a blob file is missing");
      }
    }
  }
  return {};
}

std::map<FileNumber, std::uint64_t> ManifestState::BlobLiveBytes() const {
  std::map<FileNumber, std::uint64_t> live;
  if (blobs.empty()) return live;
  for (const auto& [number, blob] : blobs) live.emplace(number, 0);
  for (const auto& level : levels) {
    for (const TableMetadata& table : level) {
      for (const auto& reference : table.blob_references) live[reference.file] += reference.bytes;
    }
  }
  return live;
}

Status ManifestState::ApplyQuarantine(const VersionEdit& edit) {
  for (const FileNumber number : edit.released) {
    if (quarantined.erase(number) != 1) return DoesNotFit("releases what is not quarantined");
  }
  quarantined.insert(edit.quarantined.begin(), edit.quarantined.end());
  if (quarantined.empty()) return {};
  std::set<FileNumber> live;
  for (const auto& level : levels) {
    for (const TableMetadata& table : level) live.insert(table.number);
  }
  for (const FileNumber number : edit.quarantined) {
    if (!live.contains(number)) return DoesNotFit("quarantines a table that is not there");
  }
  std::erase_if(quarantined, [&](FileNumber number) { return !live.contains(number); });
  return {};
}

Status ManifestState::ApplyMarks(const VersionEdit& edit) {
  if (edit.applied) {
    if (edit.applied->index < applied.index) return DoesNotFit("applied goes back");
    applied = *edit.applied;
  }
  if (edit.watermark) {
    if (*edit.watermark < watermark) return DoesNotFit("the watermark goes back");
    watermark = *edit.watermark;
  }
  if (edit.client_state) client_state = *edit.client_state;
  return {};
}

Status ManifestState::Apply(const VersionEdit& edit) {
  if (edit.next_file) {
    if (*edit.next_file < next_file) return DoesNotFit("file numbers go back");
    next_file = *edit.next_file;
  }
  RETURN_IF_ERROR(ApplyTables(edit));
  RETURN_IF_ERROR(ApplyBlobs(edit));
  RETURN_IF_ERROR(ApplyQuarantine(edit));
  return ApplyMarks(edit);
}

VersionEdit ManifestState::AsEdit() const {
  VersionEdit edit;
  for (std::uint32_t level = 0; level < levels.size(); ++level) {
    for (const TableMetadata& table : levels[level]) edit.added.push_back({level, table});
  }
  edit.quarantined.assign(quarantined.begin(), quarantined.end());
  for (const auto& [number, blob] : blobs) edit.added_blobs.push_back(blob);
  edit.next_file = next_file;
  edit.applied = applied;
  edit.watermark = watermark;
  edit.client_state = client_state;
  return edit;
}

}  // namespace bedrock::engine
