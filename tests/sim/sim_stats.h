#pragma once

#include <cstdint>
#include <string>

namespace bedrock::sim {

/// What happened in a run, for tests that the simulator really does what it says.
struct SimStats {
  std::uint64_t events = 0;
  std::uint64_t leaders = 0;
  std::uint64_t committed = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t reads_served = 0;
  std::uint64_t lease_reads = 0;  ///< Of these, those that a lease confirmed.
  /// Beyond the drift bound: leaders elected while another one's lease lasted, and lease reads that
  /// were stale.
  std::uint64_t void_leases = 0;
  std::uint64_t stale_leases = 0;
  std::uint64_t process_crashes = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t crash_points = 0;  ///< Crashes in the middle of a call to the disk.
  std::uint64_t torn_tails = 0;
  std::uint64_t failed_syncs = 0;
  std::uint64_t full_disks = 0;
  std::uint64_t stuck_writes = 0;  ///< That waited for room.
  std::uint64_t low_spaces = 0;    ///< Nodes told that room runs out, before a write fails.
  std::uint64_t rotted = 0;        ///< Logs and votes of which some bytes were changed.
  std::uint64_t rot_reads = 0;     ///< Lives that ended as they read such bytes.
  std::uint64_t scrub_finds = 0;   ///< Damage that a scrub told.
  std::uint64_t lost_tails = 0;    ///< Logs whose end was taken.
  std::uint64_t damaged_logs =
      0;  ///< Lives that began with a damaged log, and those with a lost end.
  std::uint64_t lost_logs = 0;
  std::uint64_t refused_logs = 0;  ///< Damaged so that the vote could not be told.
  std::uint64_t ruined_logs = 0;   ///< That had to be refused, and were.
  std::uint64_t pauses = 0;
  std::uint64_t stalls = 0;
  std::uint64_t cuts = 0;
  std::uint64_t fetches = 0;
  std::uint64_t compactions = 0;
  std::uint64_t reconfigurations = 0;  ///< Begun.
  std::uint64_t joints = 0;            ///< Joint configurations that were committed.
  std::uint64_t transfers = 0;         ///< Asked for.
  std::uint64_t late_wishes = 0;       ///< Of these, those that are answered late if at all.
  std::uint64_t hand_overs = 0;        ///< Leaders elected at the wish of the one before.
  std::uint64_t snapshots = 0;         ///< Installed.
  std::uint64_t snapshots_broken = 0;  ///< Interrupted on their way.
  std::uint64_t resets = 0;            ///< Logs that a snapshot took the place of.
  std::uint64_t kept_suffixes = 0;     ///< Logs that went on behind a snapshot.
  std::uint64_t wiped_machines = 0;
  std::uint64_t replaced = 0;  ///< Nodes whose disk was gone and that were removed.

  void Add(const SimStats& other);
  std::string ToString() const;
};

}  // namespace bedrock::sim
