#include <array>
#include <mutex>
#include <optional>

#include "tests/chaos/api.h"
#include "tests/chaos/workload.h"

namespace bedrock::chaos {
namespace {

using nlohmann::json;

constexpr int kAccounts = 12;
constexpr std::int64_t kBalance = 100;
constexpr std::string_view kPrefix = "bank/";

std::string AccountKey(std::uint64_t account) {
  return std::string(kPrefix) + std::to_string(100 + account);
}

/// Of a scan's body; nullopt where it is not one.
std::optional<std::int64_t> SumOf(const json& items) {
  if (!items.is_array() || items.size() != kAccounts) return std::nullopt;
  std::int64_t sum = 0;
  for (const json& item : items) sum += std::stoll(item.at("value").get<std::string>());
  return sum;
}

class Bank final : public Workload {
 public:
  std::string name() const override { return "bank"; }

  std::string Prepare(const std::vector<std::string>& urls, std::uint64_t seed) override {
    Api api(urls, Random(seed));
    json then = json::array();
    for (std::uint64_t i = 0; i < kAccounts; ++i) {
      then.push_back({{"put", {{"key", AccountKey(i)}, {"value", std::to_string(kBalance)}}}});
    }
    const Answer answer = api.Txn({{"then", then}}, "", 10'000);
    return answer.done() ? "" : "the accounts were not made: " + answer.text;
  }

  void Work(const std::vector<std::string>& urls, std::uint64_t client, std::uint64_t seed,
            const std::atomic<bool>& stop) override {
    Random random = Random(seed).Fork(client);
    Api api(urls, random.Fork(0));
    while (!stop) {
      switch (random.Below(6)) {
        case 0:
          Count(CompareAndSet(api, random));
          break;
        case 1:
          Count(AddBothSides(api, random));
          break;
        case 2:
          Count(Interactive(api, random, Mode::kOptimistic));
          break;
        case 3:
          Count(Interactive(api, random, Mode::kPessimistic));
          break;
        case 4:
          LookByScan(api);
          break;
        default:
          LookByTransaction(api, random);
          break;
      }
    }
  }

  std::string Check(const std::vector<std::string>& urls, std::uint64_t seed) override {
    for (const std::string& url : urls) {
      Api api({url}, Random(seed));
      const Answer answer = api.Scan("prefix=" + std::string(kPrefix));
      if (!answer.done()) return "the accounts can't be read: " + answer.text;
      Look(answer.body.at("items"), "the last scan through " + url);
    }
    const std::lock_guard lock(mutex_);
    return violation_;
  }

 private:
  struct Transfer {
    std::string from;
    std::string to;
    std::int64_t amount;
  };

  static Transfer Draw(Random& random) {
    const std::uint64_t from = random.Below(kAccounts);
    const std::uint64_t to = (from + 1 + random.Below(kAccounts - 1)) % kAccounts;
    return {AccountKey(from), AccountKey(to), static_cast<std::int64_t>(random.Between(1, 5))};
  }

  void Count(Outcome outcome) {
    if (outcome == Outcome::kDone) ++tally_.done;
    if (outcome == Outcome::kNone) ++tally_.refused;
    if (outcome == Outcome::kUnknown) ++tally_.unknown;
  }

  void Look(const json& items, const std::string& how) {
    const std::optional<std::int64_t> sum = SumOf(items);
    if (sum == kAccounts * kBalance) return;
    const std::lock_guard lock(mutex_);
    if (violation_.empty()) violation_ = how + " saw a wrong sum: " + items.dump();
  }

  /// Two gets, then a one-shot transaction on the condition that neither has changed.
  static Outcome CompareAndSet(Api& api, Random& random) {
    const Transfer transfer = Draw(random);
    const Answer from = api.Get(transfer.from);
    const Answer to = api.Get(transfer.to);
    if (!from.done() || !to.done()) return Outcome::kNone;
    const json request = {
        {"if", json::array({{{"key", transfer.from}, {"value", from.text}},
                            {{"key", transfer.to}, {"unchanged_since", to.version}}})},
        {"then", json::array({Put(transfer.from, std::stoll(from.text) - transfer.amount),
                              Put(transfer.to, std::stoll(to.text) + transfer.amount)})}};
    const Answer answer = api.Txn(request, "", 5'000);
    if (answer.done() && !answer.body.at("succeeded").get<bool>()) return Outcome::kNone;
    return answer.outcome;
  }

  static json Put(const std::string& key, std::int64_t value) {
    return {{"put", {{"key", key}, {"value", std::to_string(value)}}}};
  }

  /// Two adds under one idempotency key, sent until the outcome is known.
  static Outcome AddBothSides(Api& api, Random& random) {
    const Transfer transfer = Draw(random);
    const json request = {
        {"then", json::array({{{"add", {{"key", transfer.from}, {"delta", -transfer.amount}}}},
                              {{"add", {{"key", transfer.to}, {"delta", transfer.amount}}}}})}};
    const std::string key = "bank-" + std::to_string(random.Next());
    Answer answer;
    for (int attempt = 0; attempt < 5 && answer.outcome == Outcome::kUnknown; ++attempt) {
      answer = api.Txn(request, key, 2'000);
    }
    return answer.outcome;
  }

  static Outcome Interactive(Api& api, Random& random, Mode mode) {
    const Transfer transfer = Draw(random);
    const std::string id = api.Begin(mode);
    if (id.empty()) return Outcome::kNone;
    const bool for_update = random.Chance(1, 2);
    const Answer from = api.Read(id, transfer.from, for_update);
    const Answer to = from.done() ? api.Read(id, transfer.to, for_update) : Answer();
    const bool wrote =
        to.done() &&
        api.Write(id, transfer.from, std::to_string(std::stoll(from.text) - transfer.amount))
            .done() &&
        api.Write(id, transfer.to, std::to_string(std::stoll(to.text) + transfer.amount)).done();
    if (!wrote) {
      api.Rollback(id);
      return Outcome::kNone;
    }
    return api.Commit(id).outcome;
  }

  void LookByScan(Api& api) {
    const Answer answer = api.Scan("limit=1000&prefix=" + std::string(kPrefix));
    if (answer.done()) Look(answer.body.at("items"), "a scan");
  }

  void LookByTransaction(Api& api, Random& random) {
    if (random.Chance(1, 2)) {
      const Answer answer =
          api.Txn({{"then", json::array({{{"scan", {{"prefix", kPrefix}}}}})}}, "", 5'000);
      if (answer.done()) Look(answer.body.at("results").at(0).at("items"), "a one-shot scan");
      return;
    }
    const std::string id = api.BeginReadOnly();
    if (id.empty()) return;
    json items = json::array();
    for (std::uint64_t i = 0; i < kAccounts; ++i) {
      const Answer answer = api.Read(id, AccountKey(i), false);
      if (!answer.done()) return api.Rollback(id);
      items.push_back({{"key", AccountKey(i)}, {"value", answer.text}});
    }
    Look(items, "a read-only transaction");
    api.Rollback(id);
  }

  std::mutex mutex_;
  std::string violation_;  // the first
};

}  // namespace

std::unique_ptr<Workload> NewBank() { return std::make_unique<Bank>(); }

}  // namespace bedrock::chaos
