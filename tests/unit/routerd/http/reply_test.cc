#include "routerd/http/reply.h"

#include <gtest/gtest.h>

namespace bedrock::router {
namespace {

TEST(ReplyTest, SpellsHeaderAndBodyInOnePiece) {
  Reply reply;
  reply.content_type = "application/octet-stream";
  reply.body = "value";
  reply.request_id = "r-1";
  reply.date = "Sun, 22 Nov 2026 11:33:53 GMT";
  reply.etag = Version(42);
  reply.version = Version(50);
  reply.served_by = NodeId(2);
  reply.leader = NodeId(3);
  std::string out = "before";
  AppendReply(reply, &out);
  EXPECT_EQ(out,
            "beforeHTTP/1.1 200 OK\r\n"
            "Date: Sun, 22 Nov 2026 11:33:53 GMT\r\n"
            "ETag: \"42\"\r\n"
            "X-Bedrock-Request-Id: r-1\r\n"
            "X-Bedrock-Version: 50\r\n"
            "X-Bedrock-Served-By: n2\r\n"
            "X-Bedrock-Leader: n3\r\n"
            "Content-Type: application/octet-stream\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Content-Length: 5\r\n"
            "\r\n"
            "value");
}

TEST(ReplyTest, HeadCountsTheBodyAndDoesNotSendIt) {
  Reply reply;
  reply.head_only = true;
  reply.body = "value";
  std::string out;
  AppendReply(reply, &out);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

TEST(ReplyTest, NoContentAndNotModifiedHaveNoLength) {
  for (const int status : {204, 304}) {
    Reply reply;
    reply.status = status;
    reply.body = "never";
    std::string out;
    AppendReply(reply, &out);
    EXPECT_EQ(out.find("Content-Length"), std::string::npos);
    EXPECT_EQ(out.find("never"), std::string::npos);
  }
}

TEST(ReplyTest, TellsWhatBecomesOfTheConnection) {
  Reply reply;
  reply.keep_alive = false;
  std::string out;
  AppendReply(reply, &out);
  EXPECT_NE(out.find("Connection: close\r\n"), std::string::npos);
  reply.keep_alive = true;
  reply.minor_version = 0;
  out.clear();
  AppendReply(reply, &out);
  EXPECT_NE(out.find("Connection: keep-alive\r\n"), std::string::npos);
}

TEST(ReplyTest, SpellsDates) {
  EXPECT_EQ(FormatHttpDate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(FormatHttpDate(784'111'777'000), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(FormatHttpDate(951'782'400'000), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(FormatHttpDate(1'735'689'599'999), "Tue, 31 Dec 2024 23:59:59 GMT");
  EXPECT_EQ(FormatHttpDate(4'107'542'400'000), "Mon, 01 Mar 2100 00:00:00 GMT");
}

}  // namespace
}  // namespace bedrock::router
