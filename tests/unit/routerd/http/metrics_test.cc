#include "routerd/http/metrics.h"

#include <gtest/gtest.h>

namespace bedrock::router {
namespace {

bool Has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(MetricsTest, CountsRepliesByRouteAndStatus) {
  Metrics metrics;
  metrics.Count(Route::kKv, 204, 100);
  metrics.Count(Route::kKv, 204, 300);
  metrics.Count(Route::kKv, 404, 6'000'000);
  const std::string text = metrics.Render(CoreGauges(), 0);
  EXPECT_TRUE(Has(text, "bedrock_http_requests_total{route=\"kv\",status=\"204\"} 2"));
  EXPECT_TRUE(Has(text, "bedrock_http_requests_total{route=\"kv\",status=\"404\"} 1"));
}

TEST(MetricsTest, BucketsAreCumulative) {
  Metrics metrics;
  metrics.Count(Route::kKv, 204, 250);
  metrics.Count(Route::kKv, 204, 251);
  metrics.Count(Route::kKv, 204, 6'000'000);
  const std::string text = metrics.Render(CoreGauges(), 0);
  const std::string bucket = "bedrock_http_request_duration_seconds_bucket{route=\"kv\",le=\"";
  EXPECT_TRUE(Has(text, bucket + "0.000250\"} 1"));
  EXPECT_TRUE(Has(text, bucket + "0.000500\"} 2"));
  EXPECT_TRUE(Has(text, bucket + "5.000000\"} 2"));
  EXPECT_TRUE(Has(text, bucket + "+Inf\"} 3"));
  EXPECT_TRUE(Has(text, "bedrock_http_request_duration_seconds_count{route=\"kv\"} 3"));
  EXPECT_TRUE(Has(text, "bedrock_http_request_duration_seconds_sum{route=\"kv\"} 6.000501"));
}

TEST(MetricsTest, ShowsTheCoresGauges) {
  CoreGauges gauges;
  gauges.indexes_leased = 6;
  gauges.indexes_confirmed = 7;
  gauges.reads_in_flight = 3;
  gauges.writes_in_flight = 4;
  gauges.resends = 5;
  gauges.queries_in_flight = 2;
  gauges.transactions_open = 7;
  gauges.locks_waited_for = 8;
  gauges.checked = LogIndex(91);
  gauges.check_passes = 9;
  gauges.diverged_at = LogIndex(90);
  const std::string text = Metrics().Render(gauges, 6);
  EXPECT_TRUE(Has(text, "bedrock_router_reads_in_flight 3"));
  EXPECT_TRUE(Has(text, "bedrock_router_writes_in_flight 4"));
  EXPECT_TRUE(Has(text, "bedrock_router_resends_total 5"));
  EXPECT_TRUE(Has(text, "bedrock_router_read_indexes_total{by=\"lease\"} 6"));
  EXPECT_TRUE(Has(text, "bedrock_router_read_indexes_total{by=\"round\"} 7"));
  EXPECT_TRUE(Has(text, "bedrock_router_queries_in_flight 2"));
  EXPECT_TRUE(Has(text, "bedrock_router_transactions_open 7"));
  EXPECT_TRUE(Has(text, "bedrock_router_locks_waited_for 8"));
  EXPECT_TRUE(Has(text, "bedrock_state_checked_index 91"));
  EXPECT_TRUE(Has(text, "bedrock_state_check_passes_total 9"));
  EXPECT_TRUE(Has(text, "bedrock_state_diverged 1"));
  EXPECT_TRUE(Has(text, "bedrock_http_connections 6"));
  EXPECT_TRUE(Has(text, "bedrock_router_leader_known 0"));
  gauges.leader = NodeId(1);
  EXPECT_TRUE(Has(Metrics().Render(gauges, 0), "bedrock_router_leader_known 1"));
}

}  // namespace
}  // namespace bedrock::router
