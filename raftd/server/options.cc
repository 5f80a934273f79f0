#include "raftd/server/options.h"

#include "common/base/status_macros.h"

namespace bedrock::raft {

namespace {

constexpr std::uint64_t kTickMsMax = 1000;
constexpr std::uint64_t kElectionMsMax = 600'000;
constexpr std::uint64_t kDriftMax = 1000;
constexpr std::uint64_t kScrubIntervalMsMin = 1000;
constexpr std::uint64_t kCheckIntervalMsMin = 10;
constexpr std::uint64_t kCheckIntervalMsMax = 24 * std::uint64_t{3'600'000};
constexpr std::uint64_t kSegmentBytesMin = 64 * kKiB;
constexpr std::uint64_t kSegmentBytesMax = 4 * kGiB;

}  // namespace

Status Options::Validate() const {
  if (tick_ms == 0 || tick_ms > kTickMsMax) {
    return Status::InvalidArgument("--tick-ms: from 1ms to 1s");
  }
  if (heartbeat_ms < tick_ms) {
    return Status::InvalidArgument("--heartbeat-ms: not less than --tick-ms");
  }
  if (election_ms_min < 2 * heartbeat_ms) {
    return Status::InvalidArgument("--election-min-ms: at least twice --heartbeat-ms");
  }
  if (election_ms_max <= election_ms_min || election_ms_max > kElectionMsMax) {
    return Status::InvalidArgument("--election-max-ms: above --election-min-ms, at most 10m");
  }
  if (clock_drift_per_mille > kDriftMax) {
    return Status::InvalidArgument("--clock-drift-per-mille: at most 1000");
  }
  if (log_segment_bytes < kSegmentBytesMin || log_segment_bytes > kSegmentBytesMax) {
    return Status::InvalidArgument("--log-segment-bytes: from 64KiB to 4GiB");
  }
  if (log_bytes_max < 2 * log_segment_bytes) {
    return Status::InvalidArgument("--log-bytes-max: at least twice --log-segment-bytes");
  }
  if (scrub_interval_ms != 0 && scrub_interval_ms < kScrubIntervalMsMin) {
    return Status::InvalidArgument("--scrub-interval: 0 (never), or at least 1s");
  }
  if (check_interval_ms != 0 &&
      (check_interval_ms < kCheckIntervalMsMin || check_interval_ms > kCheckIntervalMsMax)) {
    return Status::InvalidArgument("--check-interval: 0 (never), or from 10ms to 24h");
  }
  if (log_writer != "inline" && log_writer != "thread") {
    return Status::InvalidArgument("--log-writer: 'inline' or 'thread'");
  }
  RETURN_IF_ERROR(ValidateLimits(CoreLimits()).Prefixed("--heartbeat-ms, --election-…"));
  return node.CheckListen(Endpoints());
}

std::vector<std::string> Options::Endpoints() const {
  if (!listen.empty()) return listen;
  return {config::kRaftdIpc, node.self().raft};
}

Limits Options::CoreLimits() const {
  Limits limits;
  limits.heartbeat_ticks = static_cast<std::uint32_t>(heartbeat_ms / tick_ms);
  limits.election_ticks_min = static_cast<std::uint32_t>(election_ms_min / tick_ms);
  limits.election_ticks_max = static_cast<std::uint32_t>(election_ms_max / tick_ms);
  limits.lease_reads = lease_reads;
  limits.clock_drift_per_mille = static_cast<std::uint32_t>(clock_drift_per_mille);
  limits.tick_ms = static_cast<std::uint32_t>(tick_ms);
  return limits;
}

void AddFlags(config::FlagSet& flags, Options& options) {
  config::AddNodeFlags(flags, options.node);
  flags.TextList("listen",
                 "Endpoint to serve peers and routers on, instead of ipc://run/raftd.sock and this "
                 "node's raft endpoint.",
                 options.listen);
  flags.Switch(
      "join",
      "A new node: waits until the cluster of the other --member nodes takes it in. Counts "
      "at the first start, like --member: later the log tells who takes part.",
      options.join);
  flags.Group("Elections");
  flags.Duration("tick-ms", "The core's clock; lower only with the election timeouts.",
                 options.tick_ms);
  flags.Duration("heartbeat-ms",
                 "How often a leader shows that it lives. Raise where round trips exceed 20ms.",
                 options.heartbeat_ms);
  flags.Duration("election-min-ms",
                 "Silence after which a follower may stand for election, at least; also how long "
                 "a disk may keep a leader waiting. Ten times the slowest usual fdatasync or more.",
                 options.election_ms_min);
  flags.Duration("election-max-ms",
                 "The same, at most. Each wait is drawn at random between the two.",
                 options.election_ms_max);
  flags.Group("Reads");
  flags.Switch(
      "lease-reads",
      "Confirm reads by the leader's clock instead of a round trip to a quorum. Give it to "
      "every member. Reads may then be stale if clocks run further apart than "
      "--clock-drift-per-mille says, or stand still in a paused virtual machine.",
      options.lease_reads);
  flags.Number("clock-drift-per-mille",
               "With --lease-reads: how much faster one member's clock may run than another's, in "
               "thousandths.",
               options.clock_drift_per_mille, 0, kDriftMax);
  flags.Group("Replicas");
  flags.Duration("check-interval",
                 "While this node leads: how often all replicas hash the next 512KiB of their "
                 "state, to be compared; one that differs is quarantined. 0: never.",
                 options.check_interval_ms);
  flags.Group("Log");
  flags.ByteSize("log-segment-bytes", "Size of a file of the log.", options.log_segment_bytes);
  flags.ByteSize("log-bytes-max",
                 "A member that is away holds the log up until it has grown this large; after that "
                 "it is caught up by a snapshot.",
                 options.log_bytes_max);
  flags.Duration("scrub-interval",
                 "How often closed files of the log are read and checked; 0: never.",
                 options.scrub_interval_ms);
  flags.Text("log-writer",
             "'inline', or 'thread' where an fdatasync takes more than 5ms and would keep "
             "heartbeats waiting.",
             options.log_writer);
  flags.Duration("sync-delay-ms", "Makes each sync this much slower, to try out slow disks.",
                 options.sync_delay_ms);
  flags.Check([&options] { return options.Validate(); });
}

}  // namespace bedrock::raft
