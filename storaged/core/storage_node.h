#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "common/env/environment.h"
#include "proto/frame.h"
#include "storaged/core/outgoing.h"
#include "storaged/core/state_machine.h"
#include "storaged/core/storage_core.h"
#include "storaged/engine/engine.h"
#include "storaged/snapshot/data_folder.h"
#include "storaged/snapshot/errands.h"
#include "storaged/snapshot/fetch.h"
#include "storaged/snapshot/source.h"

namespace bedrock::storage {

/// Half of what a disk of the slow kind reads, so that other work goes on beside it.
inline constexpr std::uint64_t kSnapshotBytesPerSecond = 64 * kMiB;

/// A node's data with all that happens to them, without sockets: engine, state machine and core,
/// and the snapshots that take their place. What a server and a simulator drive:
///
///   Receive…            frames of peers; ReceiveFromSource: of the storaged that is fetched from
///   Run                 the turn's work; messages to peers, and to the source
///
/// How a snapshot becomes the data:
///
///   fetched ─► opened beside the old data, on the executor, and checked
///           ─► entries are held; the pointer to the data's folder is replaced (DataFolder)
///           ─► engine, machine and core are those of the snapshot; who waited for a read is told
///           to
///              ask again; the old data are removed
///
/// A crash in between leaves the old data or the new. One that is not newer than what is applied is
/// dropped (R61), also where that happens while it is tried.
///
/// One thread, the engines' owner. Borrows the environment.
class StorageNode {
 public:
  struct Options {
    ClusterId cluster;
    NodeId node;
    std::string software;
    engine::EngineOptions engine;  ///< Its directory is DataFolder's BASE.
    std::uint64_t snapshot_bytes_per_second = kSnapshotBytesPerSecond;
    std::uint64_t seed = 0;  ///< For ids of snapshots.
    /// For simulators: stands in front of each engine that is opened, on the thread that opens it.
    /// Null: nobody looks.
    std::function<std::unique_ptr<engine::Engine>(std::unique_ptr<engine::Engine>)> observe =
        nullptr;
  };
  struct Output {
    std::vector<Outgoing> messages;
    std::vector<proto::Message> to_source;  ///< To source(), each its own request.
  };

  /// Opens the data. `files` does the work with snapshots' files; it may be the environment's
  /// executor, but then flushes wait for it. `wake` is called, on any thread, when Run has
  /// something to do. Errors as Engine::Open and StateMachine::Open; corruption also where the
  /// pointer to the data is damaged.
  static Result<std::unique_ptr<StorageNode>> Open(const Environment& environment, Executor& files,
                                                   Options options, std::function<void()> wake);
  ~StorageNode();
  StorageNode(const StorageNode&) = delete;
  StorageNode& operator=(const StorageNode&) = delete;

  void Receive(std::string_view from, proto::Frame frame, std::uint64_t now_ms);
  void ReceiveMalformed(std::string_view from, std::string_view reason);
  void ReceiveFromSource(proto::Frame frame, std::uint64_t now_ms);
  /// Each second or so.
  void Tick() { core_->Tick(); }
  /// True: more can be done at once.
  bool Run(std::uint64_t now_ms, Output& out);
  /// When Run has to be called though nothing arrives.
  std::optional<std::uint64_t> NextWakeup() const;

  /// The storaged that a snapshot is fetched from; null: none.
  const proto::FetchSnapshot* source() const;
  const SnapshotFetch& fetch() const { return fetch_; }
  const SnapshotSource& snapshots() const { return source_; }
  /// How many snapshots became the data, in this life.
  std::uint64_t installed() const { return installed_; }

  void BeginStop();
  bool stopped() const { return core_->stopped(); }
  /// Nothing more can be made durable for certain: a restart recovers.
  bool failed() const { return failed_ || core_->engine_state() == EngineState::kFailed; }

  /// Why the quarantine is not noted on disk yet; ok: it is, or there is none. It is tried again.
  const Status& quarantine_fault() const { return quarantine_fault_; }

  const StorageCore& core() const { return *core_; }
  const StateMachine& machine() const { return *machine_; }
  const engine::Engine& engine() const { return *engine_; }

 private:
  /// Data that were opened.
  struct Data {
    std::unique_ptr<engine::Engine> engine;
    std::unique_ptr<StateMachine> machine;  // goes before the engine
  };
  enum class Install : std::uint8_t { kNone, kTrying, kPointing, kPointed };

  StorageNode(const Environment& environment, Executor& files, Options options, DataFolder folder,
              Data data, std::function<void()> wake);
  static Result<Data> OpenData(const Environment& environment, const Options& options,
                               const std::string& directory);

  void StartCore();
  void OnQuarantine(std::string_view from, const proto::Frame& frame, const proto::Packet& packet,
                    const proto::Quarantine& quarantine);
  void NoteQuarantine();
  /// Answers what other nodes ask of a snapshot: there is none to be had here.
  bool RefuseReader(std::string_view from, const proto::Packet& packet);
  bool OnOther(std::string_view from, const proto::Frame& frame, proto::Packet& packet);
  void OnFetch(std::string_view from, const proto::Frame& frame, const proto::Packet& packet,
               const proto::FetchSnapshot& wanted);
  void BeginInstall();
  void Tried(const Status& status);
  void Pointed(const DataFolder::Pointed& pointed);
  void Swap(std::uint64_t now_ms, Output& out);
  void EndInstall(const Status& why);

  const Environment environment_;
  const Options options_;
  const std::function<void()> wake_;
  std::atomic<bool> progressed_{false};  // set by engines, taken by Run
  DataFolder folder_;
  Data data_;
  engine::Engine* engine_;
  StateMachine* machine_;
  std::unique_ptr<StorageCore> core_;
  SnapshotSource source_;
  SnapshotFetch fetch_;
  std::string raftd_;  // routing id of who sent the last FetchSnapshot
  std::uint64_t now_ms_ = 0;
  Install install_ = Install::kNone;
  std::shared_ptr<Data> trial_;
  std::uint64_t installed_ = 0;
  bool stopping_ = false;
  bool failed_ = false;
  Status quarantine_fault_;
  std::optional<std::uint64_t> note_at_ms_;  // the quarantine, again
  std::vector<Outgoing> out_;
  Errands errands_;  // last: what comes back refers to the others
};

}  // namespace bedrock::storage
