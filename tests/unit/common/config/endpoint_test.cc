#include "common/config/endpoint.h"

#include <gtest/gtest.h>

#include <string>

namespace bedrock::config {
namespace {

TEST(EndpointTest, HostAndPortAreTakenApart) {
  EXPECT_EQ(ParseHostPort("127.0.0.1:80")->host, "127.0.0.1");
  EXPECT_EQ(ParseHostPort("127.0.0.1:80")->port, 80);
  EXPECT_EQ(ParseHostPort("[::1]:65535")->host, "::1");
  EXPECT_EQ(ParseHostPort("*:1")->host, "*");
  EXPECT_EQ(ParseHostPort("n1.example.org:9000")->host, "n1.example.org");
}

TEST(EndpointTest, WhatIsNoHostAndPortIsRefused) {
  for (const char* text : {"", "host", ":80", "host:", "host:0", "host:65536", "host:-1", "a b:80",
                           "::1:80", "[]:80", "[x]:80", "host:80x", "tcp://host:80"}) {
    EXPECT_TRUE(ParseHostPort(text).status().IsInvalidArgument()) << text;
  }
}

TEST(EndpointTest, EndpointsAreTcpOrIpc) {
  EXPECT_TRUE(CheckEndpoint("tcp://10.0.0.1:9000").ok());
  EXPECT_TRUE(CheckEndpoint("ipc://run/raftd.sock").ok());
  for (const std::string& text :
       {std::string("10.0.0.1:9000"), std::string("udp://10.0.0.1:9000"), std::string("tcp://x"),
        std::string("ipc://"), "ipc://" + std::string(101, 'x'), std::string("inproc://x")}) {
    EXPECT_TRUE(CheckEndpoint(text).IsInvalidArgument()) << text;
  }
}

TEST(EndpointTest, LoopbackIsWhatOnlyThisHostReaches) {
  for (const char* text : {"ipc://run/raftd.sock", "tcp://127.0.0.1:9000", "tcp://127.8.9.10:1",
                           "tcp://[::1]:9000", "tcp://localhost:9000", "127.0.0.1:8080"}) {
    EXPECT_TRUE(IsLoopbackEndpoint(text)) << text;
  }
  for (const char* text : {"tcp://0.0.0.0:9000", "tcp://*:9000", "tcp://10.0.0.1:9000",
                           "tcp://[::]:9000", "tcp://127.example.org:9000", "nonsense",
                           "tcp://localhost.example.org:9000", "0.0.0.0:8080"}) {
    EXPECT_FALSE(IsLoopbackEndpoint(text)) << text;
  }
}

}  // namespace
}  // namespace bedrock::config
