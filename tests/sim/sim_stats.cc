#include "tests/sim/sim_stats.h"

#include <sstream>

namespace bedrock::sim {

void SimStats::Add(const SimStats& other) {
  events += other.events;
  leaders += other.leaders;
  committed += other.committed;
  acknowledged += other.acknowledged;
  reads_served += other.reads_served;
  process_crashes += other.process_crashes;
  power_cuts += other.power_cuts;
  crash_points += other.crash_points;
  torn_tails += other.torn_tails;
  failed_syncs += other.failed_syncs;
  full_disks += other.full_disks;
  low_spaces += other.low_spaces;
  lease_reads += other.lease_reads;
  void_leases += other.void_leases;
  stale_leases += other.stale_leases;
  stuck_writes += other.stuck_writes;
  rotted += other.rotted;
  rot_reads += other.rot_reads;
  scrub_finds += other.scrub_finds;
  lost_tails += other.lost_tails;
  damaged_logs += other.damaged_logs;
  lost_logs += other.lost_logs;
  refused_logs += other.refused_logs;
  ruined_logs += other.ruined_logs;
  pauses += other.pauses;
  stalls += other.stalls;
  cuts += other.cuts;
  fetches += other.fetches;
  compactions += other.compactions;
  reconfigurations += other.reconfigurations;
  joints += other.joints;
  transfers += other.transfers;
  late_wishes += other.late_wishes;
  hand_overs += other.hand_overs;
  snapshots += other.snapshots;
  snapshots_broken += other.snapshots_broken;
  resets += other.resets;
  kept_suffixes += other.kept_suffixes;
  wiped_machines += other.wiped_machines;
  replaced += other.replaced;
}

std::string SimStats::ToString() const {
  std::ostringstream out;
  out << "events=" << events << " leaders=" << leaders << " committed=" << committed
      << " acknowledged=" << acknowledged << " reads_served=" << reads_served
      << " process_crashes=" << process_crashes << " power_cuts=" << power_cuts
      << " crash_points=" << crash_points << " torn_tails=" << torn_tails
      << " failed_syncs=" << failed_syncs << " full_disks=" << full_disks << " pauses=" << pauses
      << " low_spaces=" << low_spaces << " lease_reads=" << lease_reads
      << " void_leases=" << void_leases << " stale_leases=" << stale_leases << " stalls=" << stalls
      << " cuts=" << cuts << " fetches=" << fetches << " compactions=" << compactions
      << " reconfigurations=" << reconfigurations << " joints=" << joints
      << " transfers=" << transfers << " late_wishes=" << late_wishes
      << " hand_overs=" << hand_overs << " snapshots=" << snapshots
      << " snapshots_broken=" << snapshots_broken << " resets=" << resets
      << " kept_suffixes=" << kept_suffixes << " wiped_machines=" << wiped_machines
      << " stuck_writes=" << stuck_writes << " rotted=" << rotted << " rot_reads=" << rot_reads
      << " scrub_finds=" << scrub_finds << " lost_tails=" << lost_tails
      << " damaged_logs=" << damaged_logs << " lost_logs=" << lost_logs
      << " refused_logs=" << refused_logs << " ruined_logs=" << ruined_logs
      << " replaced=" << replaced;
  return out.str();
}

}  // namespace bedrock::sim
