#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "common/env/environment.h"
#include "common/env/random.h"
#include "proto/frame.h"
#include "proto/storage_messages.h"
#include "storaged/engine/engine.h"
#include "storaged/snapshot/data_folder.h"
#include "storaged/snapshot/errands.h"
#include "storaged/snapshot/manifest.h"
#include "storaged/snapshot/pace.h"

namespace bedrock::storage {

inline constexpr std::size_t kCheckpointsMax = 2;
inline constexpr std::size_t kSnapshotReadersMax = 16;  ///< Of one checkpoint.
/// Reads that wait their turn, of all readers; further ones are dropped and asked again.
inline constexpr std::size_t kSnapshotReadsMax = 128;
/// A reader that asked for nothing for so long is gone, and a checkpoint without readers goes.
inline constexpr std::uint64_t kSnapshotIdleMs = 60'000;
inline constexpr std::uint64_t kFlushAskMs = 1'000;
/// So much slower while the engine delays writes.
inline constexpr std::uint64_t kSlowedDivisor = 4;
/// But not below, for readers take long silence for an end.
inline constexpr std::uint64_t kSlowestPace = kMiB;

/// Lets other storageds read this one's data: checkpoints of the engine, which are hard links, read
/// in chunks at a bounded pace.
///
///   SnapshotOpen ─► being made ─► kept ──SnapshotRead─► chunks, one read at a time
///                       │          │
///                       ▼          └─► nobody reads it any more, or the disk is full: removed
///                    an error
///
/// One checkpoint serves all who can use it. Those that a restart finds whole are kept on, so that
/// readers go on as if nothing had happened; everything else in their folder is removed.
///
/// Memory: one chunk that is being read, and those that wait to be sent, of which there are no
/// more than readers have asked for.
///
/// One thread, the engine's owner's; files are touched on the executor alone. Borrows the folder,
/// and the engine between Attach and Detach.
class SnapshotSource {
 public:
  struct Options {
    std::uint64_t bytes_per_second = 0;
    std::uint64_t seed = 0;  ///< For ids.
  };
  struct Answer {
    std::string to;
    RequestId request;
    proto::Message message;
  };

  SnapshotSource(const Environment& environment, const DataFolder& folder, const Options& options,
                 std::function<void()> wake);

  /// The engine that checkpoints are made of from here on.
  void Attach(engine::Engine& engine) { engine_ = &engine; }
  /// It is about to go. REQUIRES: !uses_engine().
  void Detach();
  /// A checkpoint is being made of it.
  bool uses_engine() const { return making_; }

  void Open(std::string_view from, RequestId request, const proto::SnapshotOpen& open,
            std::uint64_t now_ms);
  void Read(std::string_view from, RequestId request, const proto::SnapshotRead& read,
            std::uint64_t now_ms);
  void Close(std::string_view from, const proto::SnapshotClose& close);

  /// Goes on with what is under way and appends what is to be answered.
  void Run(std::uint64_t now_ms, std::vector<Answer>& out);
  /// When Run has something to do though nothing arrives.
  std::optional<std::uint64_t> NextWakeup() const;
  /// Whether what is applied is to be flushed, so that a checkpoint holds what was asked for. True
  /// once each kFlushAskMs, until it does.
  bool TakeFlushWanted(std::uint64_t now_ms);

  std::size_t kept() const { return checkpoints_.size(); }
  std::uint64_t sent_bytes() const { return sent_bytes_; }

 private:
  struct Checkpoint {
    SnapshotManifest manifest;  // the id alone while it is being made
    bool made = false;
    std::map<std::string, std::uint64_t, std::less<>> readers;  // when they last asked
  };
  using Checkpoints = std::vector<Checkpoint>;
  struct WaitingRead {
    std::string from;
    RequestId request;
    proto::SnapshotRead read;
  };

  void Adopt();
  Checkpoints::iterator Find(SnapshotId id);
  Checkpoints::iterator FindFor(const proto::SnapshotOpen& open);
  bool IsMaking() const;
  /// Begins a checkpoint, or says why there can be none. kOk and none begun: a flush is awaited.
  proto::Error Begin(const proto::SnapshotOpen& open);
  void Made(SnapshotId id, Result<SnapshotManifest> manifest);
  /// The reader needs it no longer; nor does anybody, then: it goes.
  void Leave(std::string_view from, Checkpoints::iterator checkpoint);
  void LeaveOthers(std::string_view from, SnapshotId kept);
  void Expire(std::uint64_t now_ms);
  void Remove(Checkpoints::iterator checkpoint);
  void StartRead(std::uint64_t now_ms);
  void Reply(std::string_view to, RequestId request, proto::Message message);

  const Environment environment_;
  const DataFolder& folder_;
  const std::uint64_t bytes_per_second_;
  Random random_;
  engine::Engine* engine_ = nullptr;
  Checkpoints checkpoints_;
  bool adopting_ = true;
  bool making_ = false;
  bool reading_ = false;
  std::optional<LogIndex> wants_flush_;  // for that index
  std::optional<std::uint64_t> flush_asked_ms_;
  std::optional<Status> failed_;  // the last checkpoint, untold yet
  std::deque<WaitingRead> reads_;
  Pace pace_;
  std::uint64_t sent_bytes_ = 0;
  std::vector<Answer> out_;
  Errands errands_;  // last: what comes back refers to the others
};

}  // namespace bedrock::storage
