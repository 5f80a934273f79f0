#include "routerd/http/metrics.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace bedrock::router {
namespace {

void Describe(std::string_view name, std::string_view type, std::string_view help,
              std::string* out) {
  out->append("# HELP ").append(name).append(" ").append(help).append("\n");
  out->append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void Single(std::string_view name, std::string_view type, std::string_view help,
            std::uint64_t value, std::string* out) {
  Describe(name, type, help, out);
  out->append(name).append(" ").append(std::to_string(value)).append("\n");
}

std::string Seconds(std::uint64_t us) {
  char text[32];
  std::snprintf(text, sizeof(text), "%llu.%06llu", static_cast<unsigned long long>(us / 1'000'000),
                static_cast<unsigned long long>(us % 1'000'000));
  return text;
}

}  // namespace

void Metrics::Count(Route route, int status, std::uint64_t duration_us) {
  ++replies_[{route, status}];
  Histogram& histogram = durations_[static_cast<std::size_t>(route)];
  const auto bound = std::lower_bound(kBoundsUs.begin(), kBoundsUs.end(), duration_us);
  ++histogram.counts[static_cast<std::size_t>(bound - kBoundsUs.begin())];
  histogram.sum_us += duration_us;
}

std::string Metrics::Render(const CoreGauges& core, std::size_t connections) const {
  std::string out;
  Describe("bedrock_http_requests_total", "counter", "HTTP replies by route and status.", &out);
  for (const auto& [key, count] : replies_) {
    out.append("bedrock_http_requests_total{route=\"").append(RouteName(key.first));
    out.append("\",status=\"").append(std::to_string(key.second)).append("\"} ");
    out.append(std::to_string(count)).append("\n");
  }
  Describe("bedrock_http_request_duration_seconds", "histogram",
           "From a request's last byte in to its reply.", &out);
  for (std::size_t route = 0; route < kRoutes; ++route) {
    const Histogram& histogram = durations_[route];
    std::uint64_t below = 0;
    for (const std::uint64_t count : histogram.counts) below += count;
    if (below == 0) continue;
    const std::uint64_t total = below;
    const std::string label =
        "{route=\"" + std::string(RouteName(static_cast<Route>(route))) + "\"";
    below = 0;
    for (std::size_t i = 0; i <= kBoundsUs.size(); ++i) {
      below += histogram.counts[i];
      const std::string bound = i < kBoundsUs.size() ? Seconds(kBoundsUs[i]) : "+Inf";
      out.append("bedrock_http_request_duration_seconds_bucket").append(label);
      out.append(",le=\"").append(bound).append("\"} ").append(std::to_string(below)).append("\n");
    }
    out.append("bedrock_http_request_duration_seconds_sum").append(label).append("} ");
    out.append(Seconds(histogram.sum_us)).append("\n");
    out.append("bedrock_http_request_duration_seconds_count").append(label).append("} ");
    out.append(std::to_string(total)).append("\n");
  }
  Single("bedrock_http_connections", "gauge", "Open HTTP connections.", connections, &out);
  Single("bedrock_http_connections_accepted_total", "counter", "Accepted HTTP connections.",
         connections_accepted_, &out);
  Single("bedrock_http_connections_rejected_total", "counter",
         "Connections turned away at the bound on open ones.", connections_rejected_, &out);
  Single("bedrock_router_reads_in_flight", "gauge", "Reads that wait for an answer.",
         core.reads_in_flight, &out);
  Single("bedrock_router_queries_in_flight", "gauge",
         "Of the reads, those of several keys, of ranges, or inside a transaction.",
         core.queries_in_flight, &out);
  Single("bedrock_router_writes_in_flight", "gauge", "Writes that wait for an answer.",
         core.writes_in_flight, &out);
  Single("bedrock_router_transactions_open", "gauge",
         "Interactive transactions that this router holds.", core.transactions_open, &out);
  Single("bedrock_router_locks_waited_for", "gauge",
         "Locks that transactions of this router have asked for and wait for.",
         core.locks_waited_for, &out);
  Single("bedrock_router_resends_total", "counter",
         "Commands sent again after a refusal, a new leader or silence.", core.resends, &out);
  Describe(
      "bedrock_router_read_indexes_total", "counter",
      "Read indexes, each for the reads of a turn, by what confirmed them: the leader's lease, "
      "or a round of messages.",
      &out);
  out.append("bedrock_router_read_indexes_total{by=\"lease\"} ");
  out.append(std::to_string(core.indexes_leased)).append("\n");
  out.append("bedrock_router_read_indexes_total{by=\"round\"} ");
  out.append(std::to_string(core.indexes_confirmed)).append("\n");
  Single("bedrock_router_leader_known", "gauge", "1 where this router knows a leader.",
         core.leader ? 1 : 0, &out);
  Single("bedrock_state_checked_index", "gauge",
         "Entry of the newest check by which this node's state was compared with the others'.",
         core.checked.value(), &out);
  Single("bedrock_state_check_passes_total", "counter",
         "How often such checks have gone through all of this node's state.", core.check_passes,
         &out);
  Single("bedrock_state_diverged", "gauge",
         "1 where this node's state differs from the others': rebuild it.",
         core.diverged_at ? 1 : 0, &out);
  return out;
}

}  // namespace bedrock::router
