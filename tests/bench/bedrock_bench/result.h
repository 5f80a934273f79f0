#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace bedrock::bench {

/// One workload, run once on one engine; also medians of such. Field by field what a JSON line has.
struct Result {
  std::string settings;
  std::string engine;
  std::string workload;
  int round = 0;

  std::uint64_t ops = 0;
  double seconds = 0;
  double ops_per_s = 0;
  // Durations of single operations, sampled; of reads of many entries at a time, of those.
  double p50_ns = 0;
  double p99_ns = 0;
  double p999_ns = 0;
  double max_ns = 0;
  double writer_ops_per_s = 0;  ///< Of the writer beside the readers, where there is one.
  /// Of transactions: how many attempts had to be made again because of others, a commit.
  double aborts_per_op = 0;

  double cpu_us_per_op = 0;
  double peak_rss_bytes = 0;
  double user_bytes = 0;      ///< Keys and values that were written.
  double write_bytes = 0;     ///< To files, until the engine came to rest.
  double settle_seconds = 0;  ///< From the last write's return until the engine came to rest.
  double space_bytes = 0;     ///< On the disk, at rest.
  double log_bytes = 0;       ///< Of that, logs.

  // What was read; the same for every engine where one thread does the work.
  std::uint64_t entries = 0;
  std::uint64_t digest = 0;
  bool comparable = false;

  // How quiet the machine was, in CPUs.
  double steal_cpus = 0;
  double foreign_cpus = 0;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Result, settings, engine, workload, round, ops, seconds,
                                   ops_per_s, p50_ns, p99_ns, p999_ns, max_ns, writer_ops_per_s,
                                   aborts_per_op, cpu_us_per_op, peak_rss_bytes, user_bytes,
                                   write_bytes, settle_seconds, space_bytes, log_bytes, entries,
                                   digest, comparable, steal_cpus, foreign_cpus)

}  // namespace bedrock::bench
