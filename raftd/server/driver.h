#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/status.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "common/config/node_config.h"
#include "common/env/clock.h"
#include "common/logging/log.h"
#include "proto/frame.h"
#include "raftd/core/raft.h"
#include "raftd/server/admission_desk.h"
#include "raftd/server/apply_stream.h"
#include "raftd/server/disk_watch.h"
#include "raftd/server/divergence_desk.h"
#include "raftd/server/log_writer.h"
#include "raftd/server/membership_desk.h"
#include "raftd/server/outgoing_frames.h"
#include "raftd/server/peers.h"
#include "raftd/server/router_desk.h"
#include "raftd/server/snapshot_desk.h"
#include "raftd/server/transfer_desk.h"

namespace bedrock::raft {

/// What a Driver needs to know and to reach. Everything borrowed outlives it.
struct DriverOptions {
  const config::NodeConfig* node = nullptr;
  Limits core_limits;
  std::uint64_t tick_ms = 10;
  std::uint64_t election_ms_min = 500;  ///< A disk that takes longer has stalled (R77).
  /// A log larger than this is not kept for members that are away, and one of twice this for
  /// nobody.
  std::uint64_t log_bytes_max = 1 * kGiB;
  std::uint64_t scrub_ms = 0;   ///< From one scrub of the log to the next; 0: none.
  DivergenceDesk::Pace checks;  ///< Of the replicas' states, while this node leads.
  BootId boot;
  std::uint64_t seed = 0;  ///< For the election timeouts.
  LogNumber log_number;    ///< TakeLogNumber's.
  /// Where the log is new: this node may found a cluster with the members that the flags name.
  bool founder = true;
  ApplyStream::Limits apply;
  RouterDesk::Limits desk;
  Clock* clock = nullptr;
  LogWriter* log = nullptr;
  Transport* transport = nullptr;
  /// The log can't be written or read any more. Nothing is sent after it; the process has to end.
  std::function<void(const Status&)> on_fatal;
  /// This node must not take part, now or ever again, for this reason. Nothing is sent after it;
  /// the process has to end.
  std::function<void(const std::string&)> on_refused;
  /// Entries of the log are damaged and the other nodes can refill them: recovery has to look at
  /// the log, so the driver wants to be stopped in order (BeginStop) and made anew.
  std::function<void()> on_damaged;
  /// For simulators: each output of the core, before any of it is carried out, with where the core
  /// stands then. Null: nobody looks.
  std::function<void(const View&, const Membership&, const Output&)> observe = nullptr;
};

/// Carries out what the Raft core asks, in the order that makes it safe and fast. A turn:
///
///   frames in ─► core and desk          (as they come)
///   EndTurn:   desk ─► core             one batch of proposals, one read ticket
///              core ─► Poll until empty: writes to the log, messages to the frames
///              frames ─► sockets        appends leave before the disk is waited for
///              log ─► sync              all writes of the turn are one
///              core ◄─ Durable          held messages join the frames, never before
///              core ─► Poll …           until nothing is left, then the frames leave once more
///
/// All that comes while a sync runs is the next turn's batch: group commit without a timer.
///
/// One thread, the loop's. Knows frames but no sockets, and tells time by the clock it is given:
/// tests drive it over a transport and a disk in memory.
class Driver {
 public:
  static constexpr std::uint64_t kStopMsMax = 1000;
  static constexpr std::uint64_t kFullRetryMs = 200;  ///< Between looks for room while it is low.
  /// A scrub reads this much each time: 10 MiB/s.
  static constexpr std::size_t kScrubBytes = 1 * kMiB;
  static constexpr std::uint64_t kScrubPaceMs = 100;
  static constexpr std::uint64_t kMeasureMs = 200;  ///< Between looks at the log's size.

  Driver(const DriverOptions& options, const Recovered& recovered);
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// A frame came in at the listener, from whoever has routing id `from`.
  void OnFrame(std::string_view from, const Bytes& bytes);
  /// A frame came back over the link to a peer: a refusal, or the answer of one that has no link to
  /// this node.
  void OnPeerFrame(NodeId peer, const Bytes& bytes);
  void OnStorageFrame(const Bytes& bytes);

  /// Time has passed. Once every tick_ms or later.
  void Tick();
  /// Does what this turn's input asks for.
  void EndTurn();

  /// Opens the links to all peers. Called once, before any frame.
  void ConnectPeers() { peers_.Follow(core_.membership()); }

  /// An orderly stop begins: a leader hands over, so that nobody waits for an election, and goes on
  /// until what it took on is answered. All of it bounded by kStopMsMax.
  void BeginStop();
  /// The process may end: nobody will miss it more than it can help.
  bool MayStop() const;

  View GetView() const { return core_.GetView(); }
  const Membership& membership() const { return core_.membership(); }
  proto::ErrorCode storage_health() const;
  const DivergenceDesk& divergence() const { return divergence_; }
  bool halted() const { return halted_; }

 private:
  // Input.
  std::optional<proto::Frame> Decode(std::string_view from, const Bytes& bytes);
  void HandlePacket(const proto::FrameHeader& header, const std::string& from,
                    proto::Packet& packet);
  /// `heard`: not kRefused.
  void HandlePeerMessage(NodeId peer, Peers::Hearing heard, proto::Message& message);
  void HandleRefusedPeer(const proto::FrameHeader& header, const std::string& from,
                         const proto::Message& message);
  void HandleProgress(BootId boot, const proto::ApplyProgress& progress);
  /// What the own storaged holds on disk, where the log must begin anew behind it: it installed a
  /// snapshot, or has what the log lost (R74).
  std::optional<RestoredState> AheadOfLog(const proto::ApplyProgress& progress,
                                          const View& view) const;
  void RefuseFrame(std::string_view from, RequestId request, proto::ErrorCode code,
                   const std::string& detail);
  void LogRefusal(std::string_view who, const proto::Error& error);

  // Output.
  bool PollCore();
  void CarryOut(Output output);
  void Submit(Write write);
  bool PumpApply();
  void SendApply(std::vector<Entry> entries);
  void OnDurable(WriteSeq seq);
  void OnFailed(const Status& status);
  /// Ends everything where this node must not take part.
  void EndWhereRefused();

  // Upkeep.
  void OnRoom(Room room);
  void WatchHealth();
  bool HandsOver();
  void StartIdleSync();
  void RetryLowLog();
  void MeasureLog();
  void ScrubLog();
  void OnScrubbed(const Result<Scrubbed>& scrubbed);
  void PushStatus();
  proto::RaftStatus MakeStatus() const;
  void LogChanges();

  DriverOptions options_;
  Clock& clock_;
  LogWriter& log_;
  Raft core_;
  OutgoingFrames frames_;
  Peers peers_;
  AdmissionDesk admission_;
  RouterDesk desk_;
  TransferDesk transfers_;
  MembershipDesk members_;
  SnapshotDesk snapshots_;
  DivergenceDesk divergence_;
  ApplyStream apply_;
  DiskWatch disk_;

  std::deque<HeldMessage> held_;
  WriteSeq submitted_;
  WriteSeq durable_;
  bool unflushed_ = false;  // writes were submitted since the last Flush
  std::uint64_t written_at_ms_ = 0;
  bool idle_synced_ = true;
  std::optional<std::uint64_t> idle_started_ms_;  // an idle sync is under way
  bool stalled_ = false;                          // what the core was told last
  Room log_room_ = Room::kEnough;
  std::uint64_t retried_at_ms_ = 0;              // to find room in the log
  std::optional<std::uint64_t> measured_at_ms_;  // the log's size
  bool tried_to_hand_over_ = false;              // since this node became unfit to lead
  std::optional<std::uint64_t> scrub_at_ms_;     // the next step; none while one is under way
  /// Set once a leader stops.
  std::optional<std::uint64_t> stop_by_ms_;
  bool halted_ = false;
  RequestId last_request_;

  // For log lines.
  Role logged_role_ = Role::kFollower;
  Term logged_term_;
  NodeId logged_leader_;
  proto::ErrorCode logged_health_ = proto::ErrorCode::kOk;
  log::RateLimit refused_limit_;
  log::RateLimit refusal_limit_;
  log::RateLimit storage_limit_{5000};
};

}  // namespace bedrock::raft
