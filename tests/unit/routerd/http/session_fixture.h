#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "routerd/http/session.h"
#include "tests/unit/routerd/http/fake_gateway.h"

namespace bedrock::router {

inline Completion Committed9(const FakeGateway::Asked& asked) {
  return FakeGateway::Committed(asked, Version(9));
}

/// A conversation with a core that answers as the test says.
class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    context_.gateway = &gateway_;
    context_.clock = &clock_;
    context_.metrics = &metrics_;
    context_.cluster = ClusterId(7);
    context_.value_bytes_max = 100;
    context_.request_id_prefix = "n1-boot-";
    context_.date = "then";
  }

  /// What came out since the last call.
  std::string Out() { return std::exchange(session_.output(), std::string()); }
  std::string Ask(std::string_view request) {
    session_.Receive(request);
    return Out();
  }
  static std::string Request(const std::string& line, const std::string& fields = "",
                             const std::string& body = "") {
    const std::string length =
        body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return line + " HTTP/1.1\r\nHost: h\r\n" + fields + length + "\r\n" + body;
  }
  /// One request and what the core says to it.
  template <typename Answer>
  std::string Exchange(const std::string& request, Answer&& answer) {
    gateway_.asked.clear();
    session_.Receive(request);
    EXPECT_EQ(gateway_.asked.size(), 1U) << session_.output();
    Complete(answer(gateway_.asked.at(0)));
    return Out();
  }
  void Complete(const Completion& completion) {
    EXPECT_EQ(completion.ticket.id >> 32, 5U);
    session_.Complete(static_cast<std::uint32_t>(completion.ticket.id), completion);
  }
  static nlohmann::json BodyOf(const std::string& reply) {
    return nlohmann::json::parse(reply.substr(reply.find("\r\n\r\n") + 4), nullptr, false);
  }
  static std::string CodeOf(const std::string& reply) {
    const std::size_t body = reply.find("\r\n\r\n");
    const auto json = nlohmann::json::parse(reply.substr(body + 4), nullptr, false);
    return json.is_object() ? json.value("code", "none") : "no json";
  }

  FakeGateway gateway_;
  FakeClock clock_;
  Metrics metrics_;
  SessionContext context_;
  HttpSession session_{context_, 5};
};

/// Beside it, what the requests hold of commands.
class SessionCommandTest : public SessionTest {
 protected:
  /// What the only request so far has of operations.
  proto::Command CommandOf(std::size_t index = 0) {
    return *proto::DecodeCommand(gateway_.asked.at(index).command);
  }
  proto::Command StepOf(std::size_t index = 0) {
    return *proto::DecodeCommand(gateway_.asked.at(index).step.command.view());
  }
};

inline proto::Operation Do(proto::Operation::Kind kind, std::string_view key,
                           std::string_view value = "") {
  proto::Operation operation;
  operation.kind = kind;
  operation.key = key;
  operation.value = value;
  return operation;
}

/// What a scan gave; with a `next` there is more.
inline proto::OperationResult Page(std::vector<proto::Item> items, const std::string& next = "") {
  proto::OperationResult page;
  page.items = std::move(items);
  page.count = page.items.size();
  page.more = !next.empty();
  page.next = next;
  return page;
}

}  // namespace bedrock::router
