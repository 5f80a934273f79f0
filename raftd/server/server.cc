#include "raftd/server/server.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/env/posix_clock.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "common/logging/log.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "common/process/process.h"
#include "raftd/core/quorum.h"
#include "raftd/log/log_number.h"
#include "raftd/log/raft_log.h"
#include "raftd/server/driver.h"
#include "raftd/server/log_writer.h"
#include "raftd/server/promise_file.h"
#include "raftd/server/slow_log.h"

namespace bedrock::raft {

namespace {

/// The sockets of a raftd: a listener for peers and routers, a link to each peer, one to storaged.
class Sockets final : public Transport {
 public:
  Sockets(net::EventLoop& loop, net::MessageContext& context) : loop_(loop), context_(context) {}

  Status Open(const Options& options, BootId boot, Driver& driver) {
    const config::NodeConfig& node = options.node;
    const std::string routing_id = RoutingId("raftd", node.node, boot);
    ASSIGN_OR_RETURN(storage_, net::Link::Connect(loop_, context_, config::kStoragedIpc, routing_id,
                                                  [&driver](const Bytes& frame) {
                                                    driver.OnStorageFrame(frame);
                                                  }));
    connect_ = [this, &driver, routing_id](NodeId peer, const std::string& endpoint) {
      return net::Link::Connect(
          loop_, context_, endpoint, routing_id,
          [&driver, peer](const Bytes& frame) { driver.OnPeerFrame(peer, frame); });
    };
    ASSIGN_OR_RETURN(listener_,
                     net::Listener::Bind(loop_, context_, options.Endpoints(),
                                         [&driver](std::string_view from, const Bytes& frame) {
                                           driver.OnFrame(from, frame);
                                         }));
    return {};
  }

  void SetPeer(NodeId peer, const std::string& endpoint) override {
    peers_.erase(peer);
    if (endpoint.empty()) return;
    Result<std::unique_ptr<net::Link>> link = connect_(peer, endpoint);
    if (link.ok()) {
      peers_[peer] = std::move(link).value();
    } else {
      log::Error("can't open a link to a peer",
                 {{"peer", peer}, {"endpoint", endpoint}, {"error", link.status()}});
    }
  }
  bool SendToPeer(NodeId peer, std::string frame) override {
    const auto found = peers_.find(peer);
    return found != peers_.end() && found->second->Send(std::move(frame));
  }
  bool SendToStorage(std::string frame) override { return storage_->Send(std::move(frame)); }
  bool SendToCaller(std::string_view to, std::string frame) override {
    return listener_->Send(to, std::move(frame));
  }

 private:
  net::EventLoop& loop_;
  net::MessageContext& context_;
  std::unique_ptr<net::Link> storage_;
  std::function<Result<std::unique_ptr<net::Link>>(NodeId, const std::string&)> connect_;
  std::map<NodeId, std::unique_ptr<net::Link>> peers_;
  std::unique_ptr<net::Listener> listener_;
};

/// What an operator has to do about a log that can't be opened decides the exit code.
int ExitCodeFor(const Status& status) {
  switch (status.code()) {
    case StatusCode::kCorruption:
    case StatusCode::kInvalidArgument:
      return process::kExitMustNotStart;
    case StatusCode::kIoError:
      return process::kExitDisk;
    default:
      return process::kExitFailed;
  }
}

void LogRecovery(const Recovered& recovered) {
  log::Info("log recovered", {{"term", recovered.vote.term},
                              {"first_index", recovered.prev_index.Next()},
                              {"last_index", recovered.last_index},
                              {"commit_hint", recovered.commit_hint},
                              {"torn_tail", recovered.health.torn_tail}});
  if (recovered.health.damaged) {
    log::Error(
        "entries of the log are damaged: a leader has to refill them",
        {{"first", recovered.health.damaged->first}, {"last", recovered.health.damaged->last}});
  }
  if (recovered.health.lost_up_to) {
    log::Error("the end of the log is lost: no vote before a leader has refilled it",
               {{"up_to", recovered.health.lost_up_to}});
  }
}

/// What a new log begins with: everybody the flags name, or nobody where the node is to be taken
/// in.
Membership InitialMembership(const Options& options) {
  Membership membership;
  if (options.join) return membership;
  for (const config::Member& member : options.node.members) {
    membership.voters.push_back(member.id);
    membership.addresses.push_back({member.id, config::FormatMember(member)});
  }
  return membership;
}

/// One life, from recovery to an orderly stop: the exit code, or none where the log has to be
/// recovered anew.
std::optional<int> Serve(FileSystem& file_system, const Options& options) {
  const config::NodeConfig& node = options.node;
  PosixClock clock;
  ThreadExecutor background(1);
  const Environment environment{
      .file_system = &file_system, .clock = &clock, .executor = &background};
  Result<std::unique_ptr<RaftLog>> opened =
      RaftLog::Open(environment,
                    {.directory = "raft",
                     .cluster = node.cluster,
                     .node = node.node,
                     .segment_bytes = options.log_segment_bytes},
                    InitialMembership(options));
  if (!opened.ok()) {
    const int exit_code = ExitCodeFor(opened.status());
    log::Error(exit_code == process::kExitMustNotStart
                   ? "the log must not be used: wipe this node and add it under a new id"
                   : "the log can't be opened",
               {{"error", opened.status()}});
    return exit_code;
  }
  const Result<LogNumber> number =
      TakeLogNumber(file_system, {.directory = "raft", .cluster = node.cluster, .node = node.node},
                    LogNumber(NonZeroEntropy()));
  if (!number.ok()) {
    log::Error("the log can't be told from others", {{"error", number.status()}});
    return ExitCodeFor(number.status());
  }
  std::unique_ptr<RaftLog> log = std::move(opened).value();
  if (options.sync_delay_ms > 0) {
    log = MakeSlowLog(std::move(log), options.sync_delay_ms, process::SleepMs);
  }
  Recovered recovered = log->recovered();
  LogRecovery(recovered);
  const Result<std::uint64_t> promised_ms =
      KeepPromise(file_system, "raft/promise", options.lease_reads ? options.election_ms_min : 0);
  if (!promised_ms.ok()) {
    log::Error("what was promised to leaders can't be kept", {{"error", promised_ms.status()}});
    return process::kExitDisk;
  }
  recovered.promised_ticks = (*promised_ms + options.tick_ms - 1) / options.tick_ms;

  net::EventLoop loop;
  net::MessageContext context;
  std::unique_ptr<LogWriter> writer;
  std::unique_ptr<ThreadExecutor> writer_thread;
  if (options.log_writer == "thread") {
    writer_thread = std::make_unique<ThreadExecutor>(1);
    writer = MakeThreadedLogWriter(
        *log, *writer_thread, [&loop](std::function<void()> task) { loop.Post(std::move(task)); });
  } else {
    writer = MakeInlineLogWriter(*log);
  }

  const BootId boot(NonZeroEntropy());
  int exit_code = config::kExitOk;
  bool stopping = false;
  bool again = false;
  Sockets sockets(loop, context);
  Driver driver({.node = &node,
                 .core_limits = options.CoreLimits(),
                 .tick_ms = options.tick_ms,
                 .election_ms_min = options.election_ms_min,
                 .log_bytes_max = options.log_bytes_max,
                 .scrub_ms = options.scrub_interval_ms,
                 .checks = {.check_ms = options.check_interval_ms},
                 .boot = boot,
                 .seed = SystemEntropy(),
                 .log_number = *number,
                 .founder = !options.join,
                 .apply = {},
                 .desk = {},
                 .clock = &clock,
                 .log = writer.get(),
                 .transport = &sockets,
                 .on_fatal =
                     [&](const Status&) {
                       exit_code = process::kExitDisk;
                       loop.Stop();
                     },
                 .on_refused =
                     [&](const std::string&) {
                       exit_code = process::kExitMustNotStart;
                       loop.Stop();
                     },
                 .on_damaged = [&] { stopping = again = true; }},
                recovered);
  const Status open = sockets.Open(options, boot, driver);
  if (!open.ok()) {
    log::Error("can't listen", {{"error", open}});
    return process::kExitFailed;
  }
  driver.ConnectPeers();
  log::Info("serving", {{"raft", node.self().raft},
                        {"members", AllMembers(driver.membership()).size()},
                        {"cluster", FormatClusterId(node.cluster)},
                        {"log_writer", options.log_writer},
                        {"lease_reads", options.lease_reads}});

  bool told = false;
  loop.Every(options.tick_ms, [&] {
    // A tick after it could, so that what it said last has left.
    if (told && driver.MayStop()) loop.Stop();
    driver.Tick();
    if (stopping && !std::exchange(told, true)) driver.BeginStop();
  });
  loop.AtTurnEnd([&driver] { driver.EndTurn(); });
  loop.OnStopSignal([&] {
    log::Info("stopping");
    stopping = true;
    again = false;
  });
  loop.Run();
  if (loop.missed_events() > 0) {
    log::Error("socket events were missed", {{"count", loop.missed_events()}});
  }
  writer_thread.reset();  // before what its jobs refer to
  if (again && exit_code == config::kExitOk) return std::nullopt;
  log::Info("stopped", {{"exit_code", exit_code}});
  return exit_code;
}

}  // namespace

int RunServer(FileSystem& file_system, const Options& options) {
  while (true) {
    // The sockets and the log of one life are gone before the next begins.
    if (const std::optional<int> exit_code = Serve(file_system, options)) return *exit_code;
    log::Info("recovering the log anew");
  }
}

}  // namespace bedrock::raft
