// One-shot transactions, scans, versions and exactly-once over HTTP against three nodes of real
// processes.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/process/node.h"

namespace bedrock::test {
namespace {

class TxnProcessTest : public ThreeNodesTest {};

TEST_F(TxnProcessTest, TransfersOnAllNodesKeepTheSumThatEveryReaderSees) {
  constexpr int kAccounts = 5;
  constexpr int kTransfers = 40;  // of each thread
  Json opening;
  for (int i = 0; i < kAccounts; ++i) {
    opening["then"].push_back(
        {{"put", {{"key", "account/" + std::to_string(i)}, {"value", "100"}}}});
  }
  ASSERT_EQ(one_.Txn(opening).status, 200);
  std::atomic<bool> done = false;
  std::thread auditor([&] {
    Node node(cluster_, 2);
    while (!done) {
      const HttpResponse all = node.Get("/v1/kv?prefix=account/");
      ASSERT_EQ(all.status, 200) << all.body;
      int sum = 0;
      const Json page = Parse(all);
      for (const Json& item : page["items"]) sum += std::stoi(item["value"].get<std::string>());
      EXPECT_EQ(sum, 100 * kAccounts);
    }
  });
  constexpr int kTellers = 3;
  std::vector<std::thread> tellers;
  tellers.reserve(kTellers);
  for (int t = 0; t < kTellers; ++t) {
    tellers.emplace_back([&, t] {
      Node node(cluster_, t + 1);
      for (int done_here = 0, attempt = 0; done_here < kTransfers; ++attempt) {
        const std::string from = "account/" + std::to_string((attempt + t) % kAccounts);
        const std::string to = "account/" + std::to_string((attempt * 3 + t + 1) % kAccounts);
        if (from == to) continue;
        const HttpResponse read =
            node.Txn({{"then", {{{"get", {{"key", from}}}}, {{"get", {{"key", to}}}}}}});
        ASSERT_EQ(read.status, 200) << read.body;
        const Json have = Parse(read)["results"];
        const int taken = std::stoi(have[0]["value"].get<std::string>()) - 1;
        const int given = std::stoi(have[1]["value"].get<std::string>()) + 1;
        const HttpResponse moved =
            node.Txn({{"if",
                       {{{"key", from}, {"version", have[0]["version"]}},
                        {{"key", to}, {"version", have[1]["version"]}}}},
                      {"then",
                       {{{"put", {{"key", from}, {"value", std::to_string(taken)}}}},
                        {{"put", {{"key", to}, {"value", std::to_string(given)}}}}}}});
        ASSERT_EQ(moved.status, 200) << moved.body;
        if (Parse(moved)["succeeded"].get<bool>()) ++done_here;
      }
    });
  }
  for (std::thread& teller : tellers) teller.join();
  done = true;
  auditor.join();
}

TEST_F(TxnProcessTest, ACompareAndSetTellsWhoWasFirst) {
  const Json first = {{"if", {{{"key", "leader"}, {"exists", false}}}},
                      {"then", {{{"put", {{"key", "leader"}, {"value", "a"}}}}}},
                      {"else", {{{"get", {{"key", "leader"}}}}}}};
  Json second = first;
  second["then"][0]["put"]["value"] = "b";
  const HttpResponse won = one_.Txn(first);
  ASSERT_EQ(won.status, 200) << won.body;
  EXPECT_EQ(Parse(won)["succeeded"], true);
  EXPECT_EQ(Parse(won)["results"], Json::parse("[{}]"));
  EXPECT_EQ(Parse(won)["version"], VersionIn(won));
  const Json lost = Parse(three_.Txn(second));
  EXPECT_EQ(lost["succeeded"], false);
  EXPECT_EQ(lost["results"][0],
            Json({{"key", "leader"}, {"value", "a"}, {"version", VersionIn(won)}}));
}

TEST_F(TxnProcessTest, EveryOperationSeesThoseBeforeIt) {
  ASSERT_EQ(one_.Put("q/1", "old").status, 204);
  ASSERT_EQ(one_.Put("q/2", "two").status, 204);
  const HttpResponse done = two_.Txn(Json::parse(R"({"then":[
      {"put":{"key":"q/3","value":"three"}}, {"delete":{"key":"q/1"}}, {"get":{"key":"q/1"}},
      {"get":{"key":"q/3"}}, {"scan":{"prefix":"q/"}}, {"add":{"key":"n","delta":-3}},
      {"add":{"key":"n","delta":10}}, {"delete_range":{"prefix":"q/"}},
      {"scan":{"prefix":"q/","count_only":true}}]})"));
  ASSERT_EQ(done.status, 200) << done.body;
  const Json results = Parse(done)["results"];
  EXPECT_EQ(results[2], Json::parse(R"({"key":"q/1","version":0})"));
  EXPECT_EQ(results[3], Json::parse(R"({"key":"q/3","value":"three","version":0})"));
  ASSERT_EQ(results[4]["items"].size(), 2U) << done.body;
  EXPECT_EQ(results[4]["items"][1]["version"], 0);
  EXPECT_EQ(results[5], Json::parse(R"({"value":"-3"})"));
  EXPECT_EQ(results[6], Json::parse(R"({"value":"7"})"));
  EXPECT_EQ(results[7], Json::parse(R"({"deleted":2})"));
  EXPECT_EQ(results[8], Json::parse(R"({"count":0})"));
  EXPECT_EQ(three_.Get("/v1/kv/n").body, "7");
}

TEST_F(TxnProcessTest, AnAddToWhatIsNoNumberWritesNothingOfItsTransaction) {
  ASSERT_EQ(one_.Put("word", "abc").status, 204);
  const HttpResponse bad = one_.Txn(Json::parse(
      R"({"then":[{"put":{"key":"other","value":"1"}},{"add":{"key":"word","delta":1}}]})"));
  EXPECT_EQ(bad.status, 400) << bad.body;
  EXPECT_EQ(CodeIn(bad), "invalid_argument");
  EXPECT_EQ(Parse(bad)["key"], "word");
  EXPECT_EQ(Parse(bad)["outcome"], "none");
  EXPECT_EQ(two_.Get("/v1/kv/other").status, 404);
}

TEST_F(TxnProcessTest, WhatIsTooLargeIsRefusedWithItsLimit) {
  Json large;
  for (int i = 0; i < 9; ++i) {
    const std::string key = "large/" + std::to_string(i);
    large["then"].push_back({{"put", {{"key", key}, {"value", std::string(1 << 20, 'x')}}}});
  }
  HttpResponse refused = one_.Txn(large);
  EXPECT_EQ(refused.status, 413) << refused.body;
  EXPECT_EQ(CodeIn(refused), "transaction_too_large");
  EXPECT_GT(Parse(refused)["actual"], Parse(refused)["limit"]);
  EXPECT_EQ(two_.Get("/v1/kv/large/0").status, 404);
  refused = one_.Send("POST", "/v1/txn", std::string((16 << 20) + 1, ' '));
  EXPECT_EQ(refused.status, 413) << refused.body;
  EXPECT_EQ(CodeIn(refused), "request_too_large");
  // Seven values of 1 MiB fit one transaction; what two scans of them give does not fit one reply.
  large["then"].erase(8);
  large["then"].erase(7);
  ASSERT_EQ(one_.Txn(large).status, 200);
  const Json scan = {{"scan", {{"prefix", "large/"}, {"limit_bytes", 8 << 20}}}};
  EXPECT_EQ(two_.Txn({{"then", {scan}}}).status, 200);
  refused = two_.Txn({{"then", {scan, scan}}});
  EXPECT_EQ(refused.status, 413) << refused.body;
  EXPECT_EQ(CodeIn(refused), "transaction_too_large");
}

TEST_F(TxnProcessTest, ConditionsOfAllKindsHold) {
  const std::uint64_t version = VersionIn(one_.Put("k", "x"));
  ASSERT_GT(version, 1U);
  const auto holds = [&](const Json& condition) {
    const HttpResponse reply = two_.Txn({{"if", {condition}}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Parse(reply).value("succeeded", false);
  };
  EXPECT_TRUE(holds({{"key", "k"}, {"version", version}}));
  EXPECT_FALSE(holds({{"key", "k"}, {"version", version + 1}}));
  EXPECT_TRUE(holds({{"key", "absent"}, {"version", 0}}));
  EXPECT_TRUE(holds({{"key", "k"}, {"version_less", version + 1}}));
  EXPECT_FALSE(holds({{"key", "k"}, {"version_less", version}}));
  EXPECT_TRUE(holds({{"key", "k"}, {"version_greater", version - 1}}));
  EXPECT_FALSE(holds({{"key", "k"}, {"version_greater", version}}));
  EXPECT_TRUE(holds({{"key", "k"}, {"exists", true}}));
  EXPECT_FALSE(holds({{"key", "k"}, {"exists", false}}));
  EXPECT_TRUE(holds({{"key", "k"}, {"value", "x"}}));
  EXPECT_FALSE(holds({{"key", "k"}, {"value_base64", "AA=="}}));
  EXPECT_TRUE(holds({{"key", "k"}, {"unchanged_since", version}}));
  EXPECT_FALSE(holds({{"key", "k"}, {"unchanged_since", version - 1}}));
  EXPECT_TRUE(holds({{"prefix", "k"}, {"unchanged_since", version}}));
  EXPECT_FALSE(holds({{"prefix", "k"}, {"unchanged_since", version - 1}}));
  // A delete is a change, too.
  ASSERT_EQ(one_.Send("DELETE", "/v1/kv/k").status, 204);
  EXPECT_FALSE(holds({{"key", "k"}, {"unchanged_since", version}}));
  EXPECT_FALSE(holds({{"start", "a"}, {"end", "z"}, {"unchanged_since", version}}));
}

TEST_F(TxnProcessTest, TheSameIdempotencyKeyGivesTheSameReplyOnAnyNode) {
  const std::map<std::string, std::string> once = {{"Idempotency-Key", "order-4711"}};
  const Json add = Json::parse(R"({"then":[{"add":{"key":"stock","delta":-1}}]})");
  const HttpResponse first = one_.Txn(add, once);
  ASSERT_EQ(first.status, 200) << first.body;
  for (Node* node : {&one_, &two_, &three_}) {
    const HttpResponse again = node->Txn(add, once);
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(VersionIn(again), VersionIn(first));
  }
  EXPECT_EQ(two_.Get("/v1/kv/stock").body, "-1");
  const HttpResponse other =
      two_.Txn(Json::parse(R"({"then":[{"add":{"key":"stock","delta":-2}}]})"), once);
  EXPECT_EQ(other.status, 422) << other.body;
  EXPECT_EQ(CodeIn(other), "idempotency_key_reused");

  const HttpResponse put = one_.Send("PUT", "/v1/kv/k", "v", {{"Idempotency-Key", "put-1"}});
  ASSERT_EQ(put.status, 204) << put.body;
  ASSERT_EQ(one_.Put("k", "newer").status, 204);
  const HttpResponse repeated = three_.Send("PUT", "/v1/kv/k", "v", {{"Idempotency-Key", "put-1"}});
  EXPECT_EQ(repeated.headers.at("etag"), put.headers.at("etag"));
  EXPECT_EQ(one_.Get("/v1/kv/k").body, "newer") << "it was not applied again";
}

TEST_F(TxnProcessTest, ARefusalIsKeptUnderItsIdempotencyKeyToo) {
  const std::map<std::string, std::string> headers = {{"Idempotency-Key", "r"},
                                                      {"If-None-Match", "*"}};
  ASSERT_EQ(one_.Put("k", "v").status, 204);
  ASSERT_EQ(one_.Send("PUT", "/v1/kv/k", "w", headers).status, 412);
  ASSERT_EQ(one_.Send("DELETE", "/v1/kv/k").status, 204);
  EXPECT_EQ(two_.Send("PUT", "/v1/kv/k", "w", headers).status, 412);
}

TEST_F(TxnProcessTest, CountersUnderRetriesAndLeaderKillsEndExactlyRight) {
  constexpr int kThreads = 6;
  std::atomic<bool> stop = false;
  std::vector<int> added(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::deque<Node> nodes;
      for (int n = 1; n <= 3; ++n) nodes.emplace_back(cluster_, n);
      for (int i = 0; !stop; ++i) {
        const std::string id = "t" + std::to_string(t) + "-" + std::to_string(i);
        // Sent until a node says that it is done, and then once more for good measure.
        const Json add = Json::parse(R"({"then":[{"add":{"key":"count","delta":1}}]})");
        std::string said;
        for (int attempt = 0; attempt < 200; ++attempt) {
          Node& node = nodes[static_cast<std::size_t>((t + attempt) % 3)];
          const HttpResponse reply = node.Txn(add, {{"Idempotency-Key", id}});
          if (reply.status != 200) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            continue;
          }
          if (said.empty()) {
            said = reply.body;
            continue;
          }
          ASSERT_EQ(reply.body, said);
          break;
        }
        ASSERT_FALSE(said.empty());
        ++added[static_cast<std::size_t>(t)];
      }
    });
  }
  for (const Program program : kPrograms) {
    const int leader = cluster_.WaitForLeader();
    ASSERT_NE(leader, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    cluster_.Kill(leader, program);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    cluster_.StartAll();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  int sum = 0;
  for (const int count : added) sum += count;
  EXPECT_GT(sum, 0);
  EXPECT_EQ(two_.Get("/v1/kv/count").body, std::to_string(sum));
}

/// Puts `count` keys "item/00000" and so on, in transactions of many.
void Fill(Node& node, int count) {
  for (int begin = 0; begin < count; begin += 1000) {
    Json txn;
    for (int i = begin; i < std::min(count, begin + 1000); ++i) {
      std::string number = std::to_string(i);
      number.insert(0, 5 - number.size(), '0');
      txn["then"].push_back({{"put", {{"key", "item/" + number}, {"value", number}}}});
    }
    const HttpResponse filled = node.Txn(txn);
    ASSERT_EQ(filled.status, 200) << filled.body;
  }
}

TEST_F(TxnProcessTest, AllPagesOfAScanAreOfOneVersionBesideWrites) {
  Fill(one_, 500);
  for (const std::string direction : {"", "&reverse=true"}) {
    std::set<std::string> seen;
    std::string next;
    std::uint64_t version = 0;
    for (int pages = 0; pages < 100; ++pages) {
      Node& node = pages % 2 == 0 ? two_ : three_;
      const HttpResponse page = node.Get("/v1/kv?prefix=item/&limit=37" + direction +
                                         (next.empty() ? "" : "&page=" + next));
      ASSERT_EQ(page.status, 200) << page.body;
      const Json json = Parse(page);
      if (version == 0) version = json["version"].get<std::uint64_t>();
      EXPECT_EQ(json["version"], version);
      EXPECT_EQ(VersionIn(page), version);
      for (const Json& item : json["items"]) {
        EXPECT_LE(item["version"].get<std::uint64_t>(), version);
        EXPECT_EQ("item/" + item["value"].get<std::string>(), item["key"]);
        EXPECT_TRUE(seen.insert(item["key"].get<std::string>()).second);
      }
      // Whatever is written between two pages, in front and behind, must not show.
      ASSERT_EQ(one_.Put("item/00000", "changed").status, 204);
      ASSERT_EQ(one_.Put("item/00499", "changed").status, 204);
      ASSERT_EQ(one_.Put("item/0025" + std::to_string(pages % 10) + "x", "new").status, 204);
      if (json["next"].is_null()) break;
      next = json["next"].get<std::string>();
    }
    EXPECT_EQ(seen.size(), 500U);
    // Back to how it was, for the other direction.
    ASSERT_EQ(one_.Send("DELETE", "/v1/kv?prefix=item/").status, 200);
    Fill(one_, 500);
  }
}

TEST_F(TxnProcessTest, CountsAndRangeDeletesAgree) {
  Fill(one_, 300);
  EXPECT_EQ(Parse(two_.Get("/v1/kv?prefix=item/&count_only=true"))["count"], 300);
  const HttpResponse deleted = two_.Send("DELETE", "/v1/kv?start=item/00100&end=item/00200");
  ASSERT_EQ(deleted.status, 200) << deleted.body;
  EXPECT_EQ(Parse(deleted)["deleted"], 100);
  EXPECT_EQ(Parse(deleted)["version"], VersionIn(deleted));
  EXPECT_EQ(Parse(three_.Get("/v1/kv?count_only=true&prefix=item/"))["count"], 200);
  const Json left = Parse(one_.Get("/v1/kv?prefix=item/&keys_only=true&limit=101"));
  EXPECT_EQ(left["items"][99]["key"], "item/00099");
  EXPECT_EQ(left["items"][100]["key"], "item/00200");
  EXPECT_FALSE(left["items"][0].contains("value"));
}

TEST_F(TxnProcessTest, AStreamGivesEveryItemOfOneVersionBesideWrites) {
  constexpr int kItems = 25'000;
  Fill(one_, kItems);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    Node node(cluster_, 1);
    for (int i = 0; !done; ++i) node.Put("item/99999" + std::to_string(i), "later");
  });
  const HttpResponse stream = two_.Send("GET", "/v1/kv?prefix=item/0&timeout=20s", "",
                                        {{"Accept", "application/x-ndjson"}});
  const HttpResponse both =
      two_.Send("GET", "/v1/kv?prefix=item/&timeout=20s", "", {{"Accept", "application/x-ndjson"}});
  done = true;
  writer.join();
  ASSERT_EQ(stream.status, 200);
  EXPECT_EQ(stream.headers.at("content-type"), "application/x-ndjson");
  int items = 0;
  std::string last;
  std::size_t begin = 0;
  for (std::size_t end = stream.body.find('\n'); end != std::string::npos;
       begin = end + 1, end = stream.body.find('\n', begin)) {
    last = stream.body.substr(begin, end - begin);
    ++items;
  }
  EXPECT_EQ(items - 1, 10'000) << "items 00000 to 09999, and the end";
  EXPECT_EQ(Json::parse(last),
            Json({{"end", true}, {"version", VersionIn(stream)}, {"count", 10'000}}));
  ASSERT_EQ(both.status, 200);
  const std::string end = both.body.substr(both.body.rfind('\n', both.body.size() - 2) + 1);
  EXPECT_GE(Json::parse(end)["count"], kItems);
}

TEST_F(TxnProcessTest, ReadsAtAVersionSeeWhatWasThen) {
  const std::uint64_t first = VersionIn(one_.Put("k", "first"));
  const std::uint64_t second = VersionIn(two_.Put("k", "second"));
  const std::uint64_t gone = VersionIn(three_.Send("DELETE", "/v1/kv/k"));
  for (Node* node : {&one_, &two_, &three_}) {
    EXPECT_EQ(node->Get("/v1/kv/k?at=" + std::to_string(first)).body, "first");
    const HttpResponse then = node->Get("/v1/kv/k?at=" + std::to_string(second));
    EXPECT_EQ(then.body, "second");
    EXPECT_EQ(VersionIn(then), second);
    EXPECT_EQ(node->Get("/v1/kv/k?at=" + std::to_string(gone)).status, 404);
    EXPECT_EQ(node->Get("/v1/kv/k?at=" + std::to_string(first - 1)).status, 404);
    const Json page = Parse(node->Get("/v1/kv?prefix=k&at=" + std::to_string(first)));
    EXPECT_EQ(page["items"], Json::parse(R"([{"key":"k","value":"first","version":)" +
                                         std::to_string(first) + "}]"));
  }
  const HttpResponse future =
      one_.Get("/v1/kv/k?timeout=300ms&at=" + std::to_string(gone + 100'000));
  EXPECT_EQ(future.status, 504) << future.body;
}

TEST_F(TxnProcessTest, CompactionDropsHistoryAndSaysSo) {
  const std::uint64_t first = VersionIn(one_.Put("k", "first"));
  const std::uint64_t second = VersionIn(one_.Put("k", "second"));
  const HttpResponse compacted =
      two_.Send("POST", "/v1/cluster/compact", Json({{"version", second}}).dump());
  ASSERT_EQ(compacted.status, 200) << compacted.body;
  // Each node must have applied it before it may refuse.
  const std::string seen = "&min_version=" + std::to_string(VersionIn(compacted));
  for (Node* node : {&one_, &two_, &three_}) {
    const HttpResponse old = node->Get("/v1/kv/k?at=" + std::to_string(first) + seen);
    EXPECT_EQ(old.status, 410) << old.body;
    EXPECT_EQ(CodeIn(old), "version_compacted");
    EXPECT_EQ(node->Get("/v1/kv/k?at=" + std::to_string(second) + seen).body, "second");
    EXPECT_EQ(node->Get("/v1/kv?at=" + std::to_string(first) + seen).status, 410);
  }
}

TEST_F(TxnProcessTest, BytesThatAreNoTextTravelInBase64AndMessagePack) {
  const HttpResponse put =
      one_.Txn(Json::parse(R"({"then":[{"put":{"key_base64":"//4=","value_base64":"AP8="}}]})"));
  ASSERT_EQ(put.status, 200) << put.body;
  EXPECT_EQ(two_.Get("/v1/kv/%FF%FE").body, std::string("\0\xFF", 2));
  const Json page = Parse(two_.Get("/v1/kv?prefix=%FF"));
  EXPECT_EQ(page["items"][0]["key_base64"], "//4=");
  EXPECT_EQ(page["items"][0]["value_base64"], "AP8=");
  const HttpResponse packed =
      two_.Send("GET", "/v1/kv?prefix=%FF", "", {{"Accept", "application/msgpack"}});
  const Json items = Json::from_msgpack(packed.body)["items"];
  EXPECT_EQ(items[0]["key"], Json::binary({0xFF, 0xFE}));
}

TEST_F(TxnProcessTest, StaleReadsAreBoundedByWhatTheClientAllows) {
  ASSERT_EQ(one_.Put("k", "v").status, 204);
  ASSERT_EQ(two_.Get("/v1/kv/k").status, 200);
  const HttpResponse fresh = two_.Get("/v1/kv/k?consistency=stale&max_staleness=60s");
  EXPECT_EQ(fresh.status, 200) << fresh.body;
  // Two of three are gone: nobody can tell any more how far behind the last one is.
  cluster_.KillNode(1);
  cluster_.KillNode(3);
  HttpResponse stale;
  for (int i = 0; i < 200; ++i) {
    stale = two_.Get("/v1/kv/k?consistency=stale&max_staleness=200ms");
    if (stale.status == 503) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(stale.status, 503) << stale.body;
  EXPECT_EQ(CodeIn(stale), "too_stale");
  EXPECT_EQ(two_.Get("/v1/kv/k?consistency=stale").body, "v");
}

}  // namespace
}  // namespace bedrock::test
