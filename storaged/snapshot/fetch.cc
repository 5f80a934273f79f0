#include "storaged/snapshot/fetch.h"

#include <algorithm>
#include <set>
#include <type_traits>
#include <variant>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

constexpr std::uint64_t kChunkBytes = proto::kSnapshotChunkBytesMax;

proto::Error ErrorOf(const Status& status) {
  if (status.IsNoSpace()) return MakeError(ErrorCode::kStorageFull, status.message());
  if (status.IsCorruption()) return MakeError(ErrorCode::kCorruption, status.message());
  return MakeError(ErrorCode::kStorageUnavailable, status.ToString());
}

/// Files that the engine writes anew when it tries a snapshot: never taken for the source's.
bool IsRewritten(const std::string& name) {
  const auto parsed = engine::ParseName(name);
  return !parsed || parsed->kind == engine::ParsedName::Kind::kManifest;
}

/// Makes the folder one of this manifest, with what it holds of it already, if anything.
Status ClearFolder(FileSystem& file_system, const std::string& folder,
                   const SnapshotManifest& manifest) {
  const auto before = ReadManifest(file_system, folder);
  if (!before.ok() || *before != manifest) {
    RETURN_IF_ERROR(RemoveFolder(file_system, folder));
    RETURN_IF_ERROR(file_system.CreateDirectories(folder));
    return WriteManifest(file_system, folder, manifest);
  }
  std::set<std::string> kept = {std::string(kSnapshotFileName)};
  for (const auto& file : manifest.files) {
    if (!IsRewritten(file.name)) kept.insert({file.name, PartName(file.name)});
  }
  ASSIGN_OR_RETURN(const auto names, file_system.List(folder));
  for (const auto& name : names) {
    if (!kept.contains(name)) RETURN_IF_ERROR(file_system.Remove(JoinPath(folder, name)));
  }
  return Status::Ok();
}

/// How much there is of each file.
Result<std::vector<std::uint64_t>> Take(FileSystem& file_system, const std::string& folder,
                                        const SnapshotManifest& manifest) {
  RETURN_IF_ERROR(ClearFolder(file_system, folder, manifest));
  std::vector<std::uint64_t> have;
  std::uint64_t missing = kFetchReserveBytes;
  for (const auto& file : manifest.files) {
    const std::string path = JoinPath(folder, file.name);
    const auto whole = file_system.FileSize(path);
    const auto part = file_system.FileSize(JoinPath(folder, PartName(file.name)));
    std::uint64_t bytes = 0;
    if (whole.ok() && *whole == file.size) {
      bytes = file.size;
    } else if (whole.ok()) {
      RETURN_IF_ERROR(file_system.Remove(path));
    } else if (part.ok()) {
      // The last chunk is fetched again, so that there is one that ends the file.
      bytes = std::min(*part, file.size - 1) / kChunkBytes * kChunkBytes;
    }
    have.push_back(bytes);
    missing += file.size - bytes;
  }
  ASSIGN_OR_RETURN(const std::uint64_t free, file_system.FreeSpace(folder));
  if (free >= missing) return have;
  return Status::NoSpace("the snapshot needs " + std::to_string(missing) +
                         " bytes of disk, free are " + std::to_string(free));
}

}  // namespace

SnapshotFetch::SnapshotFetch(const Environment& environment, const DataFolder& folder,
                             std::function<void()> wake)
    : environment_(environment), folder_(folder), errands_(*environment.executor, std::move(wake)) {
  Find();
}

void SnapshotFetch::Find() {
  errands_.Send([this, &file_system = *environment_.file_system, folder = folder_] {
    SnapshotManifest begun;
    for (const std::string& replaced : folder.Replaced()) (void)RemoveFolder(file_system, replaced);
    const auto ids = folder.Begun();
    for (const SnapshotId id : ids.ok() ? *ids : std::vector<SnapshotId>()) {
      auto manifest = ReadManifest(file_system, folder.SnapshotFolder(id));
      if (manifest.ok() && manifest->id == id && !begun.id) {
        begun = std::move(manifest).value();
      } else {
        (void)RemoveFolder(file_system, folder.SnapshotFolder(id));
      }
    }
    return [this, begun = std::move(begun)]() mutable {
      manifest_ = std::move(begun);
      if (wanted_.endpoint.empty()) {
        state_ = State::kIdle;
      } else {
        BeginOpening();
      }
    };
  });
}

bool SnapshotFetch::active() const {
  return state_ != State::kFinding && state_ != State::kIdle && state_ != State::kFailed;
}

void SnapshotFetch::Enter(State state) {
  state_ = state;
  changed_ = true;
}

void SnapshotFetch::BeginOpening() {
  ++round_;
  asked_.clear();
  writing_ = 0;
  writing_bytes_ = 0;
  bad_chunks_ = 0;
  making_ = false;
  open_at_ms_.reset();
  heard_ = true;
  Enter(State::kOpening);
}

void SnapshotFetch::Want(const proto::FetchSnapshot& wanted, std::uint64_t now_ms) {
  const bool same = wanted.source == wanted_.source && wanted.endpoint == wanted_.endpoint;
  switch (state_) {
    case State::kFinding:
      wanted_ = wanted;
      return;
    case State::kOpening:
      wanted_ = wanted;
      if (!same) BeginOpening();
      return;
    case State::kIdle:
    case State::kFailed:
      break;
    case State::kPreparing:
    case State::kPulling:
    case State::kSealing:
    case State::kComplete:
      // Whoever leads by now: what was fetched would do.
      if (manifest_.index >= wanted.at_least) return;
      RemoveFolderOf(manifest_.id);
      manifest_ = {};
      break;
  }
  heard_ms_ = now_ms;
  wanted_ = wanted;
  BeginOpening();
}

void SnapshotFetch::Fail(proto::Error error) {
  if (!active()) return;
  ++round_;
  asked_.clear();
  writing_ = 0;
  writing_bytes_ = 0;
  error_ = std::move(error);
  Enter(State::kFailed);
}

void SnapshotFetch::Receive(proto::Message message, std::uint64_t now_ms) {
  heard_ms_ = now_ms;
  if (auto* manifest = std::get_if<proto::SnapshotManifest>(&message)) {
    OnManifest(std::move(*manifest));
  } else if (auto* chunk = std::get_if<proto::SnapshotChunk>(&message)) {
    OnChunk(std::move(*chunk));
  } else if (auto* refusal = std::get_if<proto::Refusal>(&message)) {
    Fail(std::move(refusal->error));
  }
}

void SnapshotFetch::OnManifest(proto::SnapshotManifest manifest) {
  if (state_ != State::kOpening) return;
  if (!manifest.error.ok()) {
    Fail(std::move(manifest.error));
    return;
  }
  if (!manifest.id) {
    making_ = true;
    return;
  }
  if (const Status checked = CheckManifest(manifest); !checked.ok()) {
    Fail(MakeError(ErrorCode::kCorruption, checked.message()));
  } else if (manifest.index < wanted_.at_least) {
    Fail(MakeError(ErrorCode::kTooStale,
                   "the source offers entry " + std::to_string(manifest.index.value())));
  } else {
    if (manifest_.id && manifest_.id != manifest.id) RemoveFolderOf(manifest_.id);
    manifest_ = std::move(manifest);
    Prepare();
  }
}

void SnapshotFetch::Send(std::function<Status()> work, std::function<void()> done) {
  errands_.Send([this, round = round_, work = std::move(work), done = std::move(done)] {
    return [this, round, status = work(), done] {
      if (round != round_) return;
      if (status.ok()) {
        done();
      } else {
        Fail(ErrorOf(status));
      }
    };
  });
}

void SnapshotFetch::Prepare() {
  bytes_total_ = BytesOf(manifest_);
  Enter(State::kPreparing);
  const auto have = std::make_shared<std::vector<std::uint64_t>>();
  Send(
      [have, &file_system = *environment_.file_system, path = folder_.SnapshotFolder(manifest_.id),
       manifest = manifest_]() -> Status {
        ASSIGN_OR_RETURN(*have, Take(file_system, path, manifest));
        return Status::Ok();
      },
      [this, have] { Prepared(std::move(*have)); });
}

void SnapshotFetch::Prepared(std::vector<std::uint64_t> have) {
  have_ = std::move(have);
  bytes_done_ = 0;
  for (const std::uint64_t bytes : have_) bytes_done_ += bytes;
  next_ = {0, have_.front()};
  writer_ =
      std::make_shared<FileWriter>(*environment_.file_system, folder_.SnapshotFolder(manifest_.id));
  error_ = {};
  heard_ = true;
  Enter(State::kPulling);
}

void SnapshotFetch::Run(std::uint64_t now_ms, std::vector<proto::Message>& to_source) {
  errands_.Return();
  if (closing_) to_source.push_back(proto::SnapshotClose{*std::exchange(closing_, std::nullopt)});
  // Our own disk may have kept us from listening.
  if (std::exchange(heard_, false)) heard_ms_ = now_ms;
  if (state_ == State::kOpening || state_ == State::kPulling) {
    const bool waits = state_ == State::kOpening || !asked_.empty();
    if (!waits || writing_ > 0) heard_ms_ = now_ms;
    if (now_ms - heard_ms_ >= kSourceSilentMs) {
      Fail(MakeError(ErrorCode::kStorageUnavailable, "the source is silent"));
    }
  }
  if (state_ == State::kOpening && (!open_at_ms_ || *open_at_ms_ <= now_ms || making_)) {
    const std::uint64_t wait = std::exchange(making_, false) ? kMakingPollMs : 0;
    if (wait == 0) to_source.push_back(proto::SnapshotOpen{wanted_.at_least, manifest_.id});
    open_at_ms_ = now_ms + (wait == 0 ? kOpenRetryMs : wait);
  }
  if (state_ == State::kPulling) {
    WriteArrived();
    Ask(now_ms, to_source);
  }
  if (state_ == State::kPulling && asked_.empty() && writing_ == 0) Seal();
}

bool SnapshotFetch::FindNextPlace() {
  while (next_.first < manifest_.files.size()) {
    if (next_.second < manifest_.files[next_.first].size) return true;
    ++next_.first;
    next_.second = next_.first < have_.size() ? have_[next_.first] : 0;
  }
  return false;
}

void SnapshotFetch::Ask(std::uint64_t now_ms, std::vector<proto::Message>& to_source) {
  while (asked_.size() + writing_ < kFetchCredit && FindNextPlace()) {
    const std::uint64_t left = manifest_.files[next_.first].size - next_.second;
    const auto bytes = static_cast<std::uint32_t>(std::min(left, kChunkBytes));
    asked_[next_] = {.bytes = bytes};
    next_.second += bytes;
  }
  for (auto& [place, asked] : asked_) {
    if (asked.data) continue;
    if (asked.asked_ms && now_ms - *asked.asked_ms < kReadRetryMs) continue;
    asked.asked_ms = now_ms;
    to_source.push_back(proto::SnapshotRead{
        .id = manifest_.id, .file = place.first, .offset = place.second, .bytes = asked.bytes});
  }
}

void SnapshotFetch::OnChunk(proto::SnapshotChunk chunk) {
  if (state_ != State::kPulling || chunk.id != manifest_.id) return;
  const auto found = asked_.find({chunk.file, chunk.offset});
  if (found == asked_.end() || found->second.data) return;
  if (!chunk.error.ok()) {
    Fail(std::move(chunk.error));
    return;
  }
  if (chunk.data.size() != found->second.bytes || HashOf(chunk) != chunk.hash) {
    found->second.asked_ms.reset();
    if (++bad_chunks_ >= kBadChunksMax) {
      Fail(MakeError(ErrorCode::kCorruption,
                     "chunks of " + manifest_.files[chunk.file].name + " come damaged"));
    }
    return;
  }
  // Not copied: a frame holds one chunk and little else.
  found->second.data = std::move(chunk.data);
}

void SnapshotFetch::WriteArrived() {
  while (!asked_.empty() && asked_.begin()->second.data) {
    const auto first = asked_.begin();
    FileWriter::Piece piece{.file = manifest_.files[first->first.first],
                            .offset = first->first.second,
                            .data = std::move(*first->second.data)};
    asked_.erase(first);
    const std::uint64_t bytes = piece.data.size();
    ++writing_;
    writing_bytes_ += bytes;
    Send([writer = writer_, piece = std::move(piece)] { return writer->Write(piece); },
         [this, bytes] {
           --writing_;
           writing_bytes_ -= bytes;
           bytes_done_ += bytes;
         });
  }
}

void SnapshotFetch::Seal() {
  if (FindNextPlace()) return;
  writer_.reset();
  Enter(State::kSealing);
  Send(
      [&file_system = *environment_.file_system, path = folder_.SnapshotFolder(manifest_.id)] {
        Status synced = file_system.SyncDirectory(path);
        // Whatever a later sync says, the names may be lost.
        if (!synced.ok()) (void)RemoveFolder(file_system, path);
        return synced;
      },
      [this] { Enter(State::kComplete); });
}

void SnapshotFetch::RemoveFolderOf(SnapshotId id) {
  closing_ = id;
  errands_.Send([&file_system = *environment_.file_system, path = folder_.SnapshotFolder(id)] {
    // What stays is removed at the next start.
    (void)RemoveFolder(file_system, path);
    return [] {};
  });
}

void SnapshotFetch::Installed() {
  CHECK(state_ == State::kComplete);
  ++round_;
  closing_ = manifest_.id;
  manifest_ = {};
  error_ = {};
  Enter(State::kIdle);
}

void SnapshotFetch::Discard(proto::Error error) {
  ++round_;
  asked_.clear();
  writing_ = 0;
  writing_bytes_ = 0;
  if (manifest_.id) RemoveFolderOf(manifest_.id);
  manifest_ = {};
  error_ = std::move(error);
  Enter(error_.ok() ? State::kIdle : State::kFailed);
}

std::optional<std::uint64_t> SnapshotFetch::NextWakeup() const {
  if (state_ == State::kOpening) return open_at_ms_.value_or(0);
  if (state_ != State::kPulling) return std::nullopt;
  std::uint64_t next = heard_ms_ + kSourceSilentMs;
  for (const auto& [place, asked] : asked_) {
    if (!asked.data) next = std::min(next, asked.asked_ms ? *asked.asked_ms + kReadRetryMs : 0);
  }
  return next;
}

proto::FetchProgress SnapshotFetch::Progress() const {
  proto::FetchProgress progress{.error = error_};
  if (state_ < State::kPreparing || state_ == State::kFailed) return progress;
  progress.installing = manifest_.index;
  progress.bytes_total = bytes_total_;
  progress.bytes_done = state_ == State::kPreparing ? 0 : bytes_done_;
  return progress;
}

std::uint64_t SnapshotFetch::held_bytes() const {
  std::uint64_t bytes = writing_bytes_;
  for (const auto& [place, asked] : asked_) bytes += asked.data ? asked.data->size() : 0;
  return bytes;
}

}  // namespace bedrock::storage
