#include "raftd/server/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Options ValidOptions() {
  Options options;
  options.node.node = NodeId(1);
  options.node.cluster = ClusterId(1);
  options.node.members.push_back(*config::ParseMember(
      "n1,raft=tcp://127.0.0.1:9000,storage=tcp://127.0.0.1:10500,client=tcp://127.0.0.1:7000,"
      "http=127.0.0.1:8080"));
  return options;
}

TEST(OptionsTest, TheDefaultsAreValidAndBecomeTicks) {
  const Options options = ValidOptions();
  EXPECT_TRUE(options.Validate().ok());
  EXPECT_EQ(options.CoreLimits().heartbeat_ticks, 5U);
  EXPECT_EQ(options.CoreLimits().election_ticks_min, 50U);
  EXPECT_EQ(options.CoreLimits().election_ticks_max, 100U);
  EXPECT_THAT(options.Endpoints(), ElementsAre("ipc://run/raftd.sock", "tcp://127.0.0.1:9000"));
}

TEST(OptionsTest, WhatCannotWorkIsRefusedWithItsFlag) {
  const auto message = [](auto change) {
    Options options = ValidOptions();
    change(options);
    return options.Validate().ToString();
  };
  EXPECT_THAT(message([](Options& o) { o.tick_ms = 0; }), HasSubstr("--tick-ms"));
  EXPECT_THAT(message([](Options& o) { o.heartbeat_ms = 5; }), HasSubstr("--heartbeat-ms"));
  EXPECT_THAT(message([](Options& o) { o.election_ms_min = 60; }), HasSubstr("--election-min-ms"));
  EXPECT_THAT(message([](Options& o) { o.election_ms_max = 500; }), HasSubstr("--election-max-ms"));
  EXPECT_THAT(message([](Options& o) { o.log_segment_bytes = 1; }),
              HasSubstr("--log-segment-bytes"));
  EXPECT_THAT(message([](Options& o) { o.log_bytes_max = o.log_segment_bytes; }),
              HasSubstr("--log-bytes-max"));
  EXPECT_THAT(message([](Options& o) { o.scrub_interval_ms = 999; }),
              HasSubstr("--scrub-interval"));
  EXPECT_THAT(message([](Options& o) { o.clock_drift_per_mille = 1001; }),
              HasSubstr("--clock-drift-per-mille"));
  EXPECT_THAT(message([](Options& o) {
                o.lease_reads = true;
                o.election_ms_min = 2 * o.heartbeat_ms;
                o.clock_drift_per_mille = 1000;
              }),
              HasSubstr("--election"));
  EXPECT_THAT(message([](Options& o) { o.log_writer = "magic"; }), HasSubstr("--log-writer"));
}

TEST(OptionsTest, LeasesAreOffAndHaveTheirBoundOnDrift) {
  Options options = ValidOptions();
  EXPECT_FALSE(options.CoreLimits().lease_reads);
  options.lease_reads = true;
  options.clock_drift_per_mille = 20;
  EXPECT_TRUE(options.Validate().ok());
  EXPECT_TRUE(options.CoreLimits().lease_reads);
  EXPECT_EQ(options.CoreLimits().clock_drift_per_mille, 20U);
  EXPECT_EQ(options.CoreLimits().tick_ms, 10U);
}

TEST(OptionsTest, ListeningBeyondThisHostNeedsInsecure) {
  Options options = ValidOptions();
  options.node.members[0].raft = "tcp://10.0.0.1:9000";
  EXPECT_THAT(options.Validate().ToString(), HasSubstr("--insecure"));
  options.node.insecure = true;
  EXPECT_TRUE(options.Validate().ok());
  options.node.insecure = false;
  options.listen = {"tcp://127.0.0.1:9000"};
  EXPECT_TRUE(options.Validate().ok());
}

}  // namespace
}  // namespace bedrock::raft
