#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/env/environment.h"
#include "common/logging/log.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "proto/peer_frames.h"
#include "storaged/core/storage_node.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

struct ServerOptions {
  ClusterId cluster;
  NodeId node;
  BootId boot;                      ///< Drawn anew at each start.
  std::vector<std::string> listen;  ///< Endpoints.
  std::string identity_file;        ///< Says whose data these are; beside the engine's folder.
  engine::EngineOptions engine;     ///< Its directory is where the data begin: see DataFolder.
  /// What other nodes may read of a snapshot here, all together. More, and a node is back sooner;
  /// less, and it is felt less.
  std::uint64_t snapshot_bytes_per_second = kSnapshotBytesPerSecond;
  /// Does the work with snapshots' files, so that flushes never wait for it. Borrowed. Null: the
  /// environment's.
  Executor* snapshot_executor = nullptr;
  std::string software;
};

/// An orderly stop waits this long for its flush. What is not durable then is replayed from the
/// Raft log at the next start.
inline constexpr std::uint64_t kStopGraceMs = 10'000;
/// Looks for what is due by time alone: flushes by age, the engine's retries.
inline constexpr std::uint64_t kTickMs = 1'000;

/// The shell around StorageNode: decodes frames, tells the time, sends what the node answers, one
/// frame a peer and turn, keeps the link to the storaged that a snapshot is fetched from, and ends
/// the loop when the process has to end.
///
/// Loop thread only. Borrows loop, context and environment, which outlive it; the loop must not run
/// after it is gone.
class StorageServer {
 public:
  /// Opens the data and listens. corruption and invalid_argument: these data must not be served; an
  /// operator has to look. Anything else may go by trying again.
  static Result<std::unique_ptr<StorageServer>> Start(net::EventLoop& loop,
                                                      net::MessageContext& context,
                                                      const Environment& environment,
                                                      const ServerOptions& options);
  ~StorageServer();
  StorageServer(const StorageServer&) = delete;
  StorageServer& operator=(const StorageServer&) = delete;

  /// Flushes, then ends the loop.
  void BeginStop();

  enum class End : std::uint8_t {
    kStopped,       ///< In order.
    kEngineFailed,  ///< A sync or the MANIFEST failed: restart to recover from what is durable.
  };
  /// Why the loop was ended; none: not by this.
  std::optional<End> end() const { return end_; }

 private:
  StorageServer(net::EventLoop& loop, const Environment& environment, const ServerOptions& options);

  Status Open(net::MessageContext& context, const ServerOptions& options);
  void OnFrame(std::string_view from, const Bytes& bytes);
  void OnTurnEnd();
  void SendFrame(const std::string& to, std::string frame);
  void SendToSource();
  void OnSourceFrame(const Bytes& bytes);
  /// Closes the link that nothing is fetched over any more.
  void LetSourceGo();
  void ArmWakeup();
  void LogChanges();
  void LogSnapshots();
  void EndIfDue();
  void Finish(End end);

  net::EventLoop& loop_;
  const Environment environment_;
  const proto::FrameHeader header_;
  proto::PeerFrames frames_;
  net::MessageContext* context_ = nullptr;
  std::unique_ptr<StorageNode> node_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::Link> source_;  // null: nothing was fetched lately
  std::string source_endpoint_;

  StorageNode::Output out_;  // of one turn; kept for its memory
  net::TimerId tick_;
  net::TimerId wakeup_;
  net::TimerId grace_;
  std::optional<std::uint64_t> wakeup_at_ms_;
  bool stopping_ = false;
  std::optional<End> end_;
  // What was logged last.
  proto::ErrorCode logged_health_ = proto::ErrorCode::kOk;
  bool quarantine_fault_logged_ = false;
  std::uint64_t logged_corrupt_reads_ = 0;
  std::uint64_t logged_installed_ = 0;
  proto::FetchProgress logged_fetch_;
  log::RateLimit corrupt_reads_limit_;
  log::RateLimit malformed_limit_;
};

}  // namespace bedrock::storage
