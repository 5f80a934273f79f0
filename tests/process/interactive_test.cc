// Interactive transactions over HTTP against three nodes of real processes, and the examples of the
// front page.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/process/node.h"

namespace bedrock::test {
namespace {

class InteractiveProcessTest : public ThreeNodesTest {};

TEST_F(InteractiveProcessTest, AnInteractiveTransactionWorksThroughAnyNode) {
  for (const std::string mode : {"optimistic", "pessimistic"}) {
    ASSERT_EQ(one_.Put("a", "1").status, 204);
    ASSERT_EQ(one_.Send("DELETE", "/v1/kv?prefix=new").status, 200);
    const std::string id = one_.Begin({{"mode", mode}});
    EXPECT_EQ(two_.Get(KvOf(id, "a")).body, "1");
    EXPECT_EQ(three_.Send("PUT", KvOf(id, "new"), "2").status, 204);
    EXPECT_EQ(two_.Get(KvOf(id, "new")).body, "2") << "its own write";
    EXPECT_EQ(one_.Get("/v1/kv/new").status, 404) << "nobody else's yet";
    EXPECT_EQ(two_.Send("DELETE", KvOf(id, "a")).status, 204);
    EXPECT_EQ(one_.Get(KvOf(id, "a")).status, 404);
    const Json page = Parse(three_.Get("/v1/transactions/" + id + "/kv?start=a&end=o"));
    ASSERT_EQ(page["items"].size(), 1U) << page.dump();
    EXPECT_EQ(page["items"][0], Json::parse(R"({"key":"new","value":"2","version":0})"));
    const HttpResponse committed = two_.Commit(id);
    ASSERT_EQ(committed.status, 200) << committed.body;
    for (Node* node : {&one_, &two_, &three_}) {
      EXPECT_EQ(node->Commit(id).body, committed.body) << "a commit may be sent again";
    }
    EXPECT_EQ(one_.Get("/v1/kv/a").status, 404);
    const HttpResponse written = one_.Get("/v1/kv/new");
    EXPECT_EQ(written.headers.at("etag"), "\"" + std::to_string(VersionIn(committed)) + "\"");
  }
}

TEST_F(InteractiveProcessTest, ATransactionThatReadWhatAnotherChangedIsRefusedAndGone) {
  ASSERT_EQ(one_.Put("a", "1").status, 204);
  const std::string id = one_.Begin();
  ASSERT_EQ(two_.Get(KvOf(id, "a")).status, 200);
  ASSERT_EQ(one_.Put("a", "2").status, 204);
  EXPECT_EQ(three_.Get(KvOf(id, "a")).body, "1") << "still its snapshot";
  ASSERT_EQ(two_.Send("PUT", KvOf(id, "b"), "x").status, 204);
  const HttpResponse refused = two_.Commit(id);
  EXPECT_EQ(refused.status, 409) << refused.body;
  EXPECT_EQ(CodeIn(refused), "transaction_conflict");
  EXPECT_EQ(Parse(refused)["key"], "a");
  EXPECT_EQ(Parse(refused)["outcome"], "none");
  EXPECT_EQ(one_.Get("/v1/kv/b").status, 404);
  EXPECT_EQ(one_.Get(KvOf(id, "a")).status, 404);
}

TEST_F(InteractiveProcessTest, APhantomInAScannedRangeIsAConflict) {
  ASSERT_EQ(one_.Put("p/1", "1").status, 204);
  const std::string id = one_.Begin();
  ASSERT_EQ(one_.Get("/v1/transactions/" + id + "/kv?prefix=p/").status, 200);
  ASSERT_EQ(two_.Put("p/2", "2").status, 204);
  ASSERT_EQ(one_.Send("PUT", KvOf(id, "sum"), "1").status, 204);
  EXPECT_EQ(CodeIn(one_.Commit(id)), "transaction_conflict");
}

TEST_F(InteractiveProcessTest, AReadOnlyTransactionKeepsItsSnapshotAndNeverConflicts) {
  ASSERT_EQ(one_.Put("a", "1").status, 204);
  const std::string id = one_.Begin({{"read_only", true}});
  ASSERT_EQ(two_.Get(KvOf(id, "a")).body, "1");
  ASSERT_EQ(three_.Put("a", "2").status, 204);
  EXPECT_EQ(two_.Get(KvOf(id, "a")).body, "1");
  EXPECT_EQ(two_.Send("PUT", KvOf(id, "a"), "3").status, 400);
  EXPECT_EQ(two_.Commit(id).status, 200);
}

TEST_F(InteractiveProcessTest, ARollbackLeavesNothing) {
  const std::string id = one_.Begin();
  ASSERT_EQ(one_.Send("PUT", KvOf(id, "a"), "1").status, 204);
  EXPECT_EQ(two_.Send("POST", "/v1/transactions/" + id + "/rollback").status, 204);
  EXPECT_EQ(one_.Get("/v1/kv/a").status, 404);
  const HttpResponse late = one_.Commit(id);
  EXPECT_EQ(late.status, 404) << late.body;
  EXPECT_EQ(CodeIn(late), "transaction_not_found");
}

TEST_F(InteractiveProcessTest, WhoNobodyHoldsIsNotFound) {
  for (const char* id : {"n1-0000000000000001-5", "n9-0000000000000001-5", "nonsense", "-", "n1"}) {
    const HttpResponse reply = two_.Get(KvOf(id, "a"));
    EXPECT_EQ(reply.status, 404) << id << ": " << reply.body;
    EXPECT_EQ(CodeIn(reply), "transaction_not_found") << id;
  }
}

TEST_F(InteractiveProcessTest, ATransactionDiesWithItsRouterAndLeavesNoLock) {
  const std::string id = one_.Begin({{"mode", "pessimistic"}});
  ASSERT_EQ(one_.Send("PUT", KvOf(id, "a"), "1").status, 204);
  cluster_.Kill(1, Program::kRouterd);
  cluster_.Start(1, Program::kRouterd);
  ASSERT_TRUE(cluster_.WaitForWrite(1));
  const HttpResponse reply = two_.Commit(id);
  EXPECT_EQ(reply.status, 404) << reply.body;
  EXPECT_EQ(one_.Get("/v1/kv/a").status, 404);
  // Its lock expires; whoever waits long enough gets it.
  const std::string heir = two_.Begin({{"mode", "pessimistic"},
                                       {"lock_timeout", "60s"},
                                       {"timeout", "5m"},
                                       {"idle_timeout", "60s"}});
  const HttpResponse locked = two_.Send("PUT", KvOf(heir, "a") + "?timeout=60s", "2");
  EXPECT_EQ(locked.status, 204) << locked.body;
  EXPECT_EQ(two_.Commit(heir).status, 200);
}

TEST_F(InteractiveProcessTest, AnIdleTransactionExpires) {
  const std::string id = one_.Begin({{"idle_timeout", "100ms"}});
  HttpResponse reply;
  for (int i = 0; i < 300; ++i) {  // whoever asks keeps it awake: so ask less and less often
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + 50 * i));
    reply = two_.Get(KvOf(id, "a"));
    if (reply.status == 410) break;
  }
  EXPECT_EQ(reply.status, 410) << reply.body;
  EXPECT_EQ(CodeIn(reply), "transaction_expired");
}

TEST_F(InteractiveProcessTest, ALockIsWaitedForAndTheErrorNamesWhoHoldsIt) {
  const std::string holder = one_.Begin({{"mode", "pessimistic"}});
  ASSERT_EQ(one_.Send("GET", KvOf(holder, "a") + "?for_update=true").status, 404);
  const std::string waiter = two_.Begin({{"mode", "pessimistic"}, {"lock_timeout", "300ms"}});
  const HttpResponse timed_out = two_.Send("PUT", KvOf(waiter, "a"), "2");
  EXPECT_EQ(timed_out.status, 409) << timed_out.body;
  EXPECT_EQ(CodeIn(timed_out), "lock_timeout");
  EXPECT_EQ(Parse(timed_out)["key"], "a");
  EXPECT_EQ(Parse(timed_out)["blocked_by"], holder);
  EXPECT_TRUE(Parse(timed_out)["blocked_by_ms"].is_number_unsigned()) << timed_out.body;
  const std::string patient = three_.Begin({{"mode", "pessimistic"}, {"lock_timeout", "30s"}});
  std::thread waiting([&] {
    Node node(cluster_, 3);
    EXPECT_EQ(node.Send("PUT", KvOf(patient, "a") + "?timeout=30s", "3").status, 204);
    EXPECT_EQ(node.Commit(patient).status, 200);
  });
  EXPECT_EQ(one_.Send("PUT", KvOf(holder, "a"), "1").status, 204);
  EXPECT_EQ(one_.Commit(holder).status, 200);
  waiting.join();
  EXPECT_EQ(one_.Get("/v1/kv/a").body, "3");
}

TEST_F(InteractiveProcessTest, OfADeadlockTheYoungerIsTheVictim) {
  const Json options = {{"mode", "pessimistic"}, {"lock_timeout", "30s"}};
  const std::string older = one_.Begin(options);
  const std::string younger = two_.Begin(options);
  ASSERT_EQ(one_.Send("PUT", KvOf(older, "a"), "1").status, 204);
  ASSERT_EQ(two_.Send("PUT", KvOf(younger, "b"), "2").status, 204);
  std::thread waiting([&] {
    Node node(cluster_, 1);
    EXPECT_EQ(node.Send("PUT", KvOf(older, "b") + "?timeout=30s", "1").status, 204);
    EXPECT_EQ(node.Commit(older).status, 200);
  });
  HttpResponse victim = two_.Send("PUT", KvOf(younger, "a") + "?timeout=30s", "2");
  EXPECT_EQ(victim.status, 409) << victim.body;
  EXPECT_EQ(CodeIn(victim), "deadlock");
  EXPECT_EQ(Parse(victim)["blocked_by"], older);
  waiting.join();
  EXPECT_EQ(one_.Get("/v1/kv/b").body, "1");
}

TEST_F(InteractiveProcessTest, TheExamplesOfTheFrontPageWorkAsPasted) {
  std::string command = BEDROCK_README_EXAMPLE_COMMAND;
  for (int node = 1; node <= 3; ++node) command += " " + cluster_.Url(node);
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace bedrock::test
