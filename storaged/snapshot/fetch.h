#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bedrock/status.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/env/environment.h"
#include "proto/frame.h"
#include "proto/storage_messages.h"
#include "storaged/snapshot/data_folder.h"
#include "storaged/snapshot/errands.h"
#include "storaged/snapshot/file_writer.h"
#include "storaged/snapshot/manifest.h"

namespace bedrock::storage {

/// Chunks that are asked for, or came and are not written yet: what of a snapshot is in memory.
inline constexpr std::size_t kFetchCredit = 8;
/// Asked again after this.
inline constexpr std::uint64_t kOpenRetryMs = 250;
inline constexpr std::uint64_t kReadRetryMs = 3'000;
/// A snapshot that is being made is asked for this often.
inline constexpr std::uint64_t kMakingPollMs = 100;
/// A source that says nothing for so long is gone.
inline constexpr std::uint64_t kSourceSilentMs = 15'000;
/// Chunks that came damaged, before that is an error.
inline constexpr std::size_t kBadChunksMax = 4;
/// Left free on the disk beside the snapshot.
inline constexpr std::uint64_t kFetchReserveBytes = 64 * kMiB;

/// Fetches a snapshot from another storaged, in chunks, into a folder of its own, and checks all of
/// it. It changes nothing else: whoever owns this makes it the node's data (StorageNode).
///
///   kFinding  at the start: what was begun before
///      │
///      ▼   Want                manifest              prepared
///   kIdle ─────► kOpening ───────────────► kPreparing ───────► kPulling ──► kSealing ──► kComplete
///                   ▲ │                        │                   │            │            │
///                   │ └────────────────────────┴──── any error ────┴────────────┘      Installed,
///                   └───────── Want ─────── kFailed (the error is kept)                 or Discard
///
/// What is on disk counts after a restart, or another Want: whole files are kept, and of the last
/// one what there is, as long as the source still keeps that snapshot; another one begins anew.
///
/// Memory: kFetchCredit chunks. One thread; files are touched on the executor alone. Borrows the
/// folder.
class SnapshotFetch {
 public:
  enum class State : std::uint8_t {
    kFinding,
    kIdle,
    kOpening,
    kPreparing,
    kPulling,
    kSealing,
    kComplete,
    kFailed,
  };

  SnapshotFetch(const Environment& environment, const DataFolder& folder,
                std::function<void()> wake);

  /// See proto::FetchSnapshot.
  void Want(const proto::FetchSnapshot& wanted, std::uint64_t now_ms);
  /// From the source that is wanted, and of the right cluster.
  void Receive(proto::Message message, std::uint64_t now_ms);
  /// What else ends this attempt: the source is of another cluster.
  void Fail(proto::Error error);

  /// Goes on, and appends what the source is to be told.
  void Run(std::uint64_t now_ms, std::vector<proto::Message>& to_source);
  std::optional<std::uint64_t> NextWakeup() const;

  State state() const { return state_; }
  /// Whom to be linked with; an empty endpoint: nobody.
  const proto::FetchSnapshot& source() const { return wanted_; }
  bool active() const;
  /// Of the snapshot that is being fetched, or was begun. Id 0: none.
  const SnapshotManifest& manifest() const { return manifest_; }

  /// kComplete: it is the node's data now. Its folder is no longer this one's.
  void Installed();
  /// It is of no use: its folder goes. With an error, that is why the fetch ended.
  void Discard(proto::Error error = {});

  proto::FetchProgress Progress() const;
  /// Whether Progress has changed in what raftd waits for, since the last time.
  bool TakeChanged() { return std::exchange(changed_, false); }
  /// Bytes of chunks in memory.
  std::uint64_t held_bytes() const;

 private:
  using Place = std::pair<std::uint32_t, std::uint64_t>;  // file, offset
  struct Asked {
    std::uint32_t bytes = 0;
    std::optional<std::uint64_t> asked_ms;  // none: to be asked, again
    std::optional<Bytes> data;
  };

  void Find();
  void Enter(State state);
  void BeginOpening();
  void OnManifest(proto::SnapshotManifest manifest);
  void OnChunk(proto::SnapshotChunk chunk);
  void Prepare();
  void Prepared(std::vector<std::uint64_t> have);
  void Ask(std::uint64_t now_ms, std::vector<proto::Message>& to_source);
  /// Moves the place to be asked for next to the first that is missing.
  bool FindNextPlace();
  void WriteArrived();
  void Seal();
  void RemoveFolderOf(SnapshotId id);
  /// An errand whose result counts only if nothing ended the attempt meanwhile.
  void Send(std::function<Status()> work, std::function<void()> done);

  const Environment environment_;
  const DataFolder& folder_;
  State state_ = State::kFinding;
  std::uint64_t round_ = 0;  // of attempts: what comes back from an earlier one is ignored
  proto::FetchSnapshot wanted_;
  SnapshotManifest manifest_;
  proto::Error error_;
  bool changed_ = false;
  std::optional<SnapshotId> closing_;  // the source may forget it

  std::uint64_t heard_ms_ = 0;
  bool heard_ = false;  // something came since the last Run
  std::optional<std::uint64_t> open_at_ms_;
  bool making_ = false;  // the source is making it

  std::vector<std::uint64_t> have_;  // of each file: from its beginning, when the pull began
  Place next_;                       // to be asked for
  std::map<Place, Asked> asked_;
  std::size_t writing_ = 0;
  std::uint64_t writing_bytes_ = 0;
  std::uint64_t bytes_done_ = 0;
  std::uint64_t bytes_total_ = 0;
  std::size_t bad_chunks_ = 0;
  std::shared_ptr<FileWriter> writer_;  // of errands

  Errands errands_;  // last: what comes back refers to the others
};

}  // namespace bedrock::storage
