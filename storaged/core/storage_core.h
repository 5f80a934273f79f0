#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "proto/errors.h"
#include "proto/frame.h"
#include "storaged/core/applier.h"
#include "storaged/core/lock_service.h"
#include "storaged/core/membership_record.h"
#include "storaged/core/outgoing.h"
#include "storaged/core/read_service.h"
#include "storaged/core/state_machine.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// While the engine is busy it is asked again this often, beside each time that it reports
/// progress.
inline constexpr std::uint64_t kBusyRetryMs = 20;

/// All that a storaged decides, without sockets, clock or threads: frames and the time go in,
/// messages come out. The shell calls Receive for each frame of a turn and Run at its end:
///
///   Receive…   entries into the applier, reads and queries noted
///   Run        apply; command replies; ApplyProgress to raftd; then locks that were given, and the
///              reads that are ready, so that a read that came with the entries it needs is
///              answered in the same turn
///
/// One thread, the engine's owner thread. Borrows engine and state machine.
class StorageCore {
 public:
  struct Options {
    ClusterId cluster;
    NodeId node;
    std::string software;  ///< What StorageStatus says: "0.1.0".
    /// Is offered the packets of an admitted frame that are nothing to this core; false: they are
    /// refused. Unset: all are.
    std::function<bool(std::string_view from, const proto::Frame& frame, proto::Packet& packet)>
        other;
  };
  /// What StorageStatus says beside what this core knows.
  struct Snapshots {
    proto::FetchProgress fetch;
    std::uint64_t kept = 0;
  };

  StorageCore(engine::Engine& engine, StateMachine& machine, Options options);

  /// A frame that was decoded. `now_ms` is monotonic.
  void Receive(std::string_view from, proto::Frame frame, std::uint64_t now_ms);
  /// Bytes that are no frame.
  void ReceiveMalformed(std::string_view from, std::string_view reason);
  /// The engine has reported progress: something became durable, there is room, or its state
  /// changed.
  void EngineProgressed();
  /// Each second or so: lets the engine try again what waits for time.
  void Tick() { engine_.Tick(); }
  /// Does the turn's work, up to bounds, and appends what is to be sent. True: more can be done at
  /// once.
  bool Run(std::uint64_t now_ms, std::vector<Outgoing>& out);
  /// When Run has to be called though nothing arrives. Not before the next Receive: none.
  std::optional<std::uint64_t> NextWakeup() const;

  /// Takes no entries, and applies none of those it has, until Release: reads go on.
  void Hold() { held_ = true; }
  void Release() { held_ = false; }
  /// Something else takes this core's place: with the next Run, all who wait are answered with
  /// `error`.
  void Leave(const proto::Error& error);
  /// Who was told of progress by the core before this one, and is to be told by this.
  const std::string& raftd() const { return raftd_; }
  void TellProgressTo(std::string raftd);
  /// What is held here differs from what other replicas hold, since entry `index` or before: reads
  /// and locks are refused, results of commands kept back (the next leader's replica gives them),
  /// and health() is kStorageUnavailable, or once that is noted on disk, kDiverged. Entries are
  /// applied on: the log is not to wait for this one.
  void Quarantine(LogIndex index);
  /// A restart will know of it, too.
  void QuarantineNoted();
  /// 0: nothing is known to be wrong.
  LogIndex diverged_at() const { return diverged_at_; }
  /// Starts to make durable what is applied.
  void Flush() { applier_.Flush(); }
  void Set(Snapshots snapshots) { snapshots_ = std::move(snapshots); }
  /// To whom and what for a message was sent that can't be understood or served.
  void Refuse(std::string_view from, RequestId request, proto::ErrorCode code,
              std::string_view detail);

  /// Ends orderly: takes no more entries, refuses reads (with the next Run), flushes what is
  /// applied.
  void BeginStop();
  /// After BeginStop: all that was applied is durable.
  bool stopped() const;

  /// kOk, kStorageFull, kStorageUnavailable where this replica can't go on, or kDiverged.
  proto::ErrorCode health() const;
  /// Why it is not kOk; empty where it is.
  std::string health_detail() const;
  EngineState engine_state() const { return engine_health_.state; }
  /// Reads that met damaged bytes, and what the last one said.
  std::uint64_t corrupt_reads() const { return reads_.corrupt_reads(); }
  const std::string& last_corruption() const { return reads_.last_corruption(); }
  /// Keys and ranges that transactions have locked or wait for.
  std::size_t locks() const { return locks_.size(); }

 private:
  bool Admit(std::string_view from, const proto::Frame& frame);
  void OnApply(std::string_view from, const proto::Frame& frame, RequestId request,
               proto::Apply apply);
  void OnRead(std::string_view from, const proto::Packet& packet, WaitingRead read,
              std::uint64_t now_ms);

  void OnLock(std::string_view from, const proto::Frame& frame, const proto::Packet& packet,
              const proto::Lock& lock, std::uint64_t now_ms);

  void ApplyPending(std::uint64_t now_ms);
  void AnswerLocks(std::uint64_t now_ms);
  void NoteCheck();
  void ReportProgress();
  proto::StateReport StateNow() const;
  /// There is work that needs no event.
  bool HasMore() const;
  proto::StorageStatus StatusNow() const;
  void Send(std::string_view to, RequestId request, proto::Message message);

  engine::Engine& engine_;
  StateMachine& machine_;
  Options options_;
  Applier applier_;
  ReadService reads_;
  LockService locks_;
  std::vector<Applier::Reply> replies_;  // of one Run; kept for its memory
  std::vector<Outgoing> out_;

  std::string raftd_;  // routing id of who sent the last Apply; empty: none yet
  RequestId raftd_request_;
  bool progress_due_ = false;
  bool state_due_ = false;  // how the state's checks went is to be told with it
  LogIndex checked_;        // the newest check that was looked at
  LogIndex diverged_at_;
  bool quarantine_noted_ = false;
  DurableProgress durable_;  // as raftd is told
  bool stopping_ = false;
  bool held_ = false;
  Snapshots snapshots_;
  std::optional<std::uint64_t> retry_at_ms_;  // while the engine is busy
  engine::EngineHealth engine_health_;        // as of its last report
};

}  // namespace bedrock::storage
