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
#include "storaged/core/state_machine.h"
#include "storaged/core/storage_core.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

struct ServerOptions {
  ClusterId cluster;
  NodeId node;
  BootId boot;                      ///< Drawn anew at each start.
  std::vector<std::string> listen;  ///< Endpoints.
  std::string identity_file;        ///< Says whose data these are; beside the engine's folder.
  engine::EngineOptions engine;
  std::string software;
};

/// An orderly stop waits this long for its flush. What is not durable then is replayed from the
/// Raft log at the next start.
inline constexpr std::uint64_t kStopGraceMs = 10'000;
/// Looks for what is due by time alone: flushes by age, the engine's retries.
inline constexpr std::uint64_t kTickMs = 1'000;

/// The shell around StorageCore: opens the engine, decodes frames, tells the time, sends what the
/// core answers, one frame a peer and turn, and ends the loop when the process has to end.
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
  void ArmWakeup();
  void LogChanges();
  void EndIfDue();
  void Finish(End end);

  net::EventLoop& loop_;
  const Environment environment_;
  proto::PeerFrames frames_;
  // Destroyed from the last to the first: nothing of the engine runs once it is gone.
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<StateMachine> machine_;
  std::unique_ptr<StorageCore> core_;
  std::unique_ptr<net::Listener> listener_;

  std::vector<Outgoing> outgoing_;  // of one turn; kept for its memory
  net::TimerId tick_;
  net::TimerId wakeup_;
  net::TimerId grace_;
  std::optional<std::uint64_t> wakeup_at_ms_;
  bool stopping_ = false;
  std::optional<End> end_;
  // What was logged last.
  proto::ErrorCode logged_health_ = proto::ErrorCode::kOk;
  std::uint64_t logged_corrupt_reads_ = 0;
  log::RateLimit corrupt_reads_limit_;
  log::RateLimit malformed_limit_;
};

}  // namespace bedrock::storage
