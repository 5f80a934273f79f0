#include "tests/sim/cluster/cluster_world.h"

#include <charconv>
#include <functional>
#include <map>
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
  visit("joined", s.joined);
  visit("replaced", s.replaced);
  visit("returned", s.returned);
  visit("restarts", s.restarts);
  visit("rebuilt", s.rebuilt);
  visit("rotten_bits", s.rotten_bits);
  visit("rot_found", s.rot_found);
  visit("checks", s.checks);
  visit("altered", s.altered);
  visit("altered_commands", s.altered_commands);
  visit("alterations_found", s.alterations_found);
  visit("differences_told", s.differences_told);
  visit("differences_settled", s.differences_settled);
  visit("wrong_answers", s.wrong_answers);
  visit("flushes", s.flushes);
  visit("fetches", s.fetches);
  visit("fetches_broken", s.fetches_broken);
  visit("fetch_crashes", s.fetch_crashes);
  visit("snapshots", s.snapshots);
  visit("recoveries", s.recoveries);
  visit("replayed", s.replayed);
  visit("keys_reused", s.keys_reused);
  visit("replies_dropped", s.replies_dropped);
  visit("forgetful", s.forgetful);
  visit("undecided", s.undecided);
}

}  // namespace

config::Member SimMember(NodeId node) {
  const std::string host = "h" + std::to_string(node.value());
  return {.id = node,
          .raft = "tcp://" + host + ":1",
          .storage = "tcp://" + host + ":2",
          .client = "tcp://" + host + ":3",
          .http = host + ":4"};
}

std::vector<config::Member> SimFlagMembers(const ClusterOptions& options, NodeId self) {
  std::vector<config::Member> members;
  for (std::uint64_t i = 1; i <= options.nodes; ++i) members.push_back(SimMember(NodeId(i)));
  if (self.value() > options.nodes) members.push_back(SimMember(self));
  return members;
}

void ClusterStats::Add(const ClusterStats& other) {
  std::vector<std::uint64_t> more;
  ForEachField(other, [&more](const char*, std::uint64_t value) { more.push_back(value); });
  auto next = more.begin();
  ForEachField(*this, [&next](const char*, std::uint64_t& value) { value += *next++; });
}

ClusterStats ClusterStats::Parse(const std::string& text) {
  std::map<std::string, std::uint64_t, std::less<>> values;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) continue;
    std::uint64_t& value = values[word.substr(0, equals)];
    std::from_chars(word.data() + equals + 1, word.data() + word.size(), value);
  }
  ClusterStats stats;
  ForEachField(stats, [&values](const char* name, std::uint64_t& value) { value = values[name]; });
  return stats;
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
