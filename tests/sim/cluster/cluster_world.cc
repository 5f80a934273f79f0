#include "tests/sim/cluster/cluster_world.h"

#include <sstream>

namespace bedrock::sim {

namespace {

template <typename Stats, typename Visit>
void ForEachField(Stats& s, const Visit& visit) {
  visit("events", s.events);
  visit("leaders", s.leaders);
  visit("entries", s.entries);
  visit("executed", s.executed);
  visit("reads", s.reads);
  visit("stale_reads", s.stale_reads);
  visit("writes", s.writes);
  visit("resent", s.resent);
  visit("unknown", s.unknown);
  visit("transactions", s.transactions);
  visit("pessimistic", s.pessimistic);
  visit("conflicts", s.conflicts);
  visit("kills", s.kills);
  visit("power_cuts", s.power_cuts);
  visit("crash_points", s.crash_points);
  visit("failed_syncs", s.failed_syncs);
  visit("full_disks", s.full_disks);
  visit("stalls", s.stalls);
  visit("pauses", s.pauses);
  visit("cuts", s.cuts);
  visit("transfers", s.transfers);
  visit("member_changes", s.member_changes);
  visit("joints", s.joints);
  visit("flushes", s.flushes);
  visit("recoveries", s.recoveries);
  visit("replayed", s.replayed);
  visit("undecided", s.undecided);
}

}  // namespace

void ClusterStats::Add(const ClusterStats& other) {
  std::vector<std::uint64_t> more;
  ForEachField(other, [&more](const char*, std::uint64_t value) { more.push_back(value); });
  auto next = more.begin();
  ForEachField(*this, [&next](const char*, std::uint64_t& value) { value += *next++; });
}

std::string ClusterStats::ToString() const {
  std::ostringstream out;
  ForEachField(*this, [&out](const char* name, std::uint64_t value) {
    if (out.tellp() > 0) out << ' ';
    out << name << '=' << value;
  });
  return out.str();
}

}  // namespace bedrock::sim
