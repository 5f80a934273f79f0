#include "storaged/snapshot/source.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

ErrorCode CodeOf(const Status& status) {
  if (status.IsCorruption()) return ErrorCode::kCorruption;
  return status.IsNoSpace() ? ErrorCode::kStorageFull : ErrorCode::kStorageUnavailable;
}

/// Whether all that the manifest names is there, with its size.
bool IsWhole(FileSystem& file_system, const std::string& folder, const SnapshotManifest& manifest) {
  return std::all_of(manifest.files.begin(), manifest.files.end(), [&](const auto& file) {
    const auto size = file_system.FileSize(JoinPath(folder, file.name));
    return size.ok() && *size == file.size;
  });
}

/// What a restart finds in the checkpoints' folder: those that are whole. The rest goes.
std::vector<SnapshotManifest> FindWhole(FileSystem& file_system, const DataFolder& folder) {
  std::vector<SnapshotManifest> whole;
  const auto names = file_system.List(folder.checkpoints());
  if (!names.ok()) return whole;
  for (const auto& name : *names) {
    const std::string path = JoinPath(folder.checkpoints(), name);
    auto manifest = ReadManifest(file_system, path);
    if (manifest.ok() && whole.size() < kCheckpointsMax &&
        folder.CheckpointFolder(manifest->id) == path && IsWhole(file_system, path, *manifest)) {
      whole.push_back(std::move(manifest).value());
    } else {
      (void)RemoveFolder(file_system, path);
    }
  }
  return whole;
}

Result<SnapshotManifest> MakeCheckpoint(FileSystem& file_system, engine::Engine& engine,
                                        const std::string& path, SnapshotId id) {
  const auto make = [&]() -> Result<SnapshotManifest> {
    RETURN_IF_ERROR(engine.Checkpoint(path));
    ASSIGN_OR_RETURN(auto manifest, DescribeCheckpoint(file_system, path, id));
    RETURN_IF_ERROR(WriteManifest(file_system, path, manifest));
    return manifest;
  };
  auto made = make();
  if (!made.ok()) (void)RemoveFolder(file_system, path);
  return made;
}

Status ReadChunk(FileSystem& file_system, const std::string& path, std::uint64_t bytes,
                 proto::SnapshotChunk& chunk) {
  ASSIGN_OR_RETURN(const auto file, file_system.Open(path, FileSystem::OpenMode::kRead));
  std::string data(bytes, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, file->ReadAt(chunk.offset, data.size(), data.data()));
  if (got != data.size()) return Status::Corruption(path + " is cut off");
  chunk.data = Bytes(std::move(data));
  chunk.hash = HashOf(chunk);
  return Status::Ok();
}

}  // namespace

SnapshotSource::SnapshotSource(const Environment& environment, const DataFolder& folder,
                               const Options& options, std::function<void()> wake)
    : environment_(environment),
      folder_(folder),
      bytes_per_second_(options.bytes_per_second),
      random_(options.seed),
      pace_(options.bytes_per_second),
      errands_(*environment.executor, std::move(wake)) {
  Adopt();
}

void SnapshotSource::Adopt() {
  errands_.Send([this, &file_system = *environment_.file_system, folder = folder_] {
    auto whole = FindWhole(file_system, folder);
    return [this, whole = std::move(whole)]() mutable {
      adopting_ = false;
      for (auto& manifest : whole) {
        checkpoints_.push_back({.manifest = std::move(manifest), .made = true});
      }
    };
  });
}

void SnapshotSource::Detach() {
  CHECK(!making_);
  engine_ = nullptr;
  wants_flush_.reset();
}

SnapshotSource::Checkpoints::iterator SnapshotSource::Find(SnapshotId id) {
  return std::find_if(checkpoints_.begin(), checkpoints_.end(), [id](const Checkpoint& checkpoint) {
    return checkpoint.made && checkpoint.manifest.id == id;
  });
}

SnapshotSource::Checkpoints::iterator SnapshotSource::FindFor(const proto::SnapshotOpen& open) {
  const auto fits = [&open](const Checkpoint& checkpoint) {
    return checkpoint.made && checkpoint.manifest.index >= open.at_least;
  };
  if (const auto known = Find(open.resume); known != checkpoints_.end() && fits(*known)) {
    return known;
  }
  return std::find_if(checkpoints_.begin(), checkpoints_.end(), fits);
}

void SnapshotSource::Open(std::string_view from, RequestId request, const proto::SnapshotOpen& open,
                          std::uint64_t now_ms) {
  // Whoever asks reads one at a time: the others are his no longer.
  const auto before = FindFor(open);
  LeaveOthers(from, before == checkpoints_.end() ? SnapshotId() : before->manifest.id);
  const auto found = FindFor(open);
  if (found == checkpoints_.end()) {
    proto::SnapshotManifest none;
    if (failed_) {
      none.error = MakeError(CodeOf(*failed_), failed_->message());
      failed_.reset();
    } else if (!adopting_ && !making_) {
      none.error = Begin(open);
    }
    Reply(from, request, std::move(none));
    return;
  }
  if (!found->readers.contains(from) && found->readers.size() >= kSnapshotReadersMax) {
    proto::SnapshotManifest none;
    none.error = MakeError(ErrorCode::kOverloaded, "too many read this snapshot already");
    Reply(from, request, std::move(none));
    return;
  }
  found->readers.erase(std::string());
  found->readers[std::string(from)] = now_ms;
  Reply(from, request, found->manifest);
}

proto::Error SnapshotSource::Begin(const proto::SnapshotOpen& open) {
  if (engine_ == nullptr) {
    return MakeError(ErrorCode::kStorageUnavailable, "a snapshot is being installed here");
  }
  if (engine_->applied().index < open.at_least || !engine_->applied().index) {
    return MakeError(ErrorCode::kTooStale,
                     "applied here is " + std::to_string(engine_->applied().index.value()));
  }
  if (engine_->health().state == EngineState::kNoSpace) {
    return MakeError(ErrorCode::kStorageFull, "the source's disk is full");
  }
  if (checkpoints_.size() >= kCheckpointsMax) {
    return MakeError(ErrorCode::kOverloaded, "other snapshots are being read here");
  }
  const LogIndex durable = engine_->durable_applied().index;
  if (durable < open.at_least || !durable) {
    wants_flush_ = std::max(open.at_least, LogIndex(1));
    return {};
  }
  making_ = true;
  const SnapshotId id(random_.Next() | 1);
  checkpoints_.push_back({.manifest = {.id = id}});
  errands_.Send([this, id, &file_system = *environment_.file_system, engine = engine_,
                 path = folder_.CheckpointFolder(id)] {
    auto manifest = MakeCheckpoint(file_system, *engine, path, id);
    return [this, id, manifest = std::move(manifest)]() mutable { Made(id, std::move(manifest)); };
  });
  return {};
}

void SnapshotSource::Made(SnapshotId id, Result<SnapshotManifest> manifest) {
  making_ = false;
  const auto made =
      std::find_if(checkpoints_.begin(), checkpoints_.end(),
                   [id](const Checkpoint& checkpoint) { return checkpoint.manifest.id == id; });
  CHECK(made != checkpoints_.end());
  if (!manifest.ok()) {
    failed_ = std::move(manifest).status();
    checkpoints_.erase(made);
    return;
  }
  made->manifest = std::move(manifest).value();
  made->made = true;
}

void SnapshotSource::Read(std::string_view from, RequestId request, const proto::SnapshotRead& read,
                          std::uint64_t now_ms) {
  const auto found = Find(read.id);
  proto::SnapshotChunk refusal{.id = read.id, .file = read.file, .offset = read.offset};
  if (found == checkpoints_.end()) {
    if (adopting_) return;
    refusal.error = MakeError(ErrorCode::kStorageUnavailable, "this snapshot is not kept here");
  } else if (read.file >= found->manifest.files.size() || read.bytes == 0 ||
             read.bytes > proto::kSnapshotChunkBytesMax ||
             read.offset >= found->manifest.files[read.file].size) {
    refusal.error = MakeError(ErrorCode::kInvalidArgument, "no such part of the snapshot");
  }
  if (!refusal.error.ok()) {
    Reply(from, request, std::move(refusal));
    return;
  }
  if (!found->readers.contains(from) && found->readers.size() >= kSnapshotReadersMax) return;
  found->readers[std::string(from)] = now_ms;
  // Asked again before its turn: one answer does.
  for (WaitingRead& waiting : reads_) {
    if (waiting.from == from && waiting.read == read) {
      waiting.request = request;
      return;
    }
  }
  if (reads_.size() < kSnapshotReadsMax) reads_.push_back({std::string(from), request, read});
}

void SnapshotSource::Close(std::string_view from, const proto::SnapshotClose& close) {
  if (const auto found = Find(close.id); found != checkpoints_.end()) Leave(from, found);
}

void SnapshotSource::LeaveOthers(std::string_view from, SnapshotId kept) {
  std::vector<SnapshotId> others;
  for (const Checkpoint& checkpoint : checkpoints_) {
    if (checkpoint.made && checkpoint.manifest.id != kept) others.push_back(checkpoint.manifest.id);
  }
  for (const SnapshotId id : others) Leave(from, Find(id));
}

void SnapshotSource::Leave(std::string_view from, Checkpoints::iterator checkpoint) {
  const auto reader = checkpoint->readers.find(from);
  if (reader == checkpoint->readers.end()) return;
  checkpoint->readers.erase(reader);
  std::erase_if(reads_, [&](const WaitingRead& read) {
    return read.from == from && read.read.id == checkpoint->manifest.id;
  });
  if (checkpoint->readers.empty()) Remove(checkpoint);
}

void SnapshotSource::Run(std::uint64_t now_ms, std::vector<Answer>& out) {
  errands_.Return();
  if (wants_flush_ && (engine_ == nullptr || engine_->durable_applied().index >= *wants_flush_)) {
    wants_flush_.reset();
  }
  Expire(now_ms);
  const bool slowed = engine_ != nullptr && engine_->writes_slowed();
  const std::uint64_t slow =
      std::max(bytes_per_second_ / kSlowedDivisor, std::min(bytes_per_second_, kSlowestPace));
  const std::uint64_t rate = slowed ? slow : bytes_per_second_;
  if (rate != pace_.rate()) pace_.SetRate(rate, now_ms);
  StartRead(now_ms);
  std::move(out_.begin(), out_.end(), std::back_inserter(out));
  out_.clear();
}

bool SnapshotSource::TakeFlushWanted(std::uint64_t now_ms) {
  if (!wants_flush_ || (flush_asked_ms_ && now_ms - *flush_asked_ms_ < kFlushAskMs)) return false;
  flush_asked_ms_ = now_ms;
  return true;
}

void SnapshotSource::Expire(std::uint64_t now_ms) {
  if (checkpoints_.empty()) return;
  // What they pin could be given back, and readers find another source.
  const bool full = engine_ != nullptr && engine_->health().state == EngineState::kNoSpace;
  for (auto checkpoint = checkpoints_.begin(); checkpoint != checkpoints_.end();) {
    if (!checkpoint->made) {
      ++checkpoint;
      continue;
    }
    auto& readers = checkpoint->readers;
    // Who wanted it has not come back for it yet: a reader without a name waits for that.
    if (readers.empty()) readers[std::string()] = now_ms;
    std::erase_if(readers, [now_ms](const auto& reader) {
      return now_ms - reader.second >= kSnapshotIdleMs;
    });
    if (!readers.empty() && !full) {
      ++checkpoint;
      continue;
    }
    const auto position = checkpoint - checkpoints_.begin();
    Remove(checkpoint);
    checkpoint = checkpoints_.begin() + position;
  }
}

void SnapshotSource::Remove(Checkpoints::iterator checkpoint) {
  const SnapshotId id = checkpoint->manifest.id;
  checkpoints_.erase(checkpoint);
  std::erase_if(reads_, [id](const WaitingRead& read) { return read.read.id == id; });
  errands_.Send([&file_system = *environment_.file_system, path = folder_.CheckpointFolder(id)] {
    // What stays is removed at the next start.
    (void)RemoveFolder(file_system, path);
    return [] {};
  });
}

void SnapshotSource::StartRead(std::uint64_t now_ms) {
  if (reading_ || reads_.empty() || !pace_.MayGo(now_ms)) return;
  const WaitingRead next = std::move(reads_.front());
  reads_.pop_front();
  const auto found = Find(next.read.id);
  CHECK(found != checkpoints_.end());
  const auto& file = found->manifest.files[next.read.file];
  const std::uint64_t bytes =
      std::min<std::uint64_t>(next.read.bytes, file.size - next.read.offset);
  pace_.Take(bytes);
  reading_ = true;
  errands_.Send([this, next, bytes, &file_system = *environment_.file_system,
                 path = JoinPath(folder_.CheckpointFolder(next.read.id), file.name)] {
    proto::SnapshotChunk chunk{
        .id = next.read.id, .file = next.read.file, .offset = next.read.offset};
    if (const Status status = ReadChunk(file_system, path, bytes, chunk); !status.ok()) {
      chunk.error = MakeError(CodeOf(status), status.message());
    }
    return [this, next, chunk = std::move(chunk)]() mutable {
      reading_ = false;
      sent_bytes_ += chunk.data.size();
      Reply(next.from, next.request, std::move(chunk));
    };
  });
}

std::optional<std::uint64_t> SnapshotSource::NextWakeup() const {
  std::optional<std::uint64_t> next;
  const auto at = [&next](std::uint64_t when) { next = std::min(next.value_or(when), when); };
  if (!reads_.empty() && !reading_) at(pace_.NextMs());
  for (const auto& checkpoint : checkpoints_) {
    for (const auto& [name, asked_ms] : checkpoint.readers) at(asked_ms + kSnapshotIdleMs);
  }
  return next;
}

void SnapshotSource::Reply(std::string_view to, RequestId request, proto::Message message) {
  out_.push_back({std::string(to), request, std::move(message)});
}

}  // namespace bedrock::storage
