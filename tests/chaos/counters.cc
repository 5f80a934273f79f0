#include <algorithm>
#include <array>
#include <mutex>

#include "tests/chaos/api.h"
#include "tests/chaos/workload.h"

namespace bedrock::chaos {
namespace {

using nlohmann::json;

constexpr std::size_t kCounters = 3;
/// Shorter than many a commit takes under faults: most adds are sent more than once.
constexpr long kImpatienceMs = 30;

std::string CounterKey(std::size_t counter) { return "counter/" + std::to_string(counter); }

class Counters final : public Workload {
 public:
  std::string name() const override { return "counters"; }

  std::string Prepare(const std::vector<std::string>& /*urls*/, std::uint64_t /*seed*/) override {
    return "";
  }

  void Work(const std::vector<std::string>& urls, std::uint64_t client, std::uint64_t seed,
            const std::atomic<bool>& stop) override {
    Random random = Random(seed).Fork(client);
    Api first(urls, random.Fork(0));
    Api second(urls, random.Fork(1));
    for (std::uint64_t number = 0; !stop; ++number) {
      const std::size_t counter = random.Below(kCounters);
      const std::string key = "add-" + std::to_string(seed) + "-" + std::to_string(client) + "-" +
                              std::to_string(number);
      Add(random, first, second, counter, key);
    }
  }

  std::string Check(const std::vector<std::string>& urls, std::uint64_t seed) override {
    Api api(urls, Random(seed));
    for (std::size_t i = 0; i < kCounters; ++i) {
      const Answer answer = api.Get(CounterKey(i));
      const std::uint64_t found = answer.done() ? std::stoull(answer.text) : 0;
      if (!answer.done() && answer.status != 404) return "a counter can't be read: " + answer.text;
      if (found != added_[i]) {
        return CounterKey(i) + " is " + std::to_string(found) + " after " +
               std::to_string(added_[i]) + " adds of 1";
      }
    }
    const std::lock_guard lock(mutex_);
    return wrong_;
  }

 private:
  /// Until somebody knows: whoever would give up could not say what the counter has to be.
  void Add(Random& random, Api& first, Api& second, std::size_t counter, const std::string& key) {
    const json request = {
        {"then", json::array({{{"add", {{"key", CounterKey(counter)}, {"delta", 1}}}}})}};
    for (long timeout = kImpatienceMs;; timeout = std::min(timeout * 2, 2'000L)) {
      Api& api = random.Chance(1, 2) ? first : second;
      const Answer answer = api.Txn(request, key, timeout);
      if (answer.done()) {
        ++tally_.done;
        ++added_[counter];
        if (random.Chance(1, 4)) AskAgain(second, request, key, answer);
        return;
      }
      // Also where nothing happened: 429, 503.
      ++(answer.outcome == Outcome::kNone ? tally_.refused : tally_.unknown);
    }
  }

  /// Whoever asks once more gets the first answer, and nothing is added.
  void AskAgain(Api& api, const json& request, const std::string& key, const Answer& first) {
    const Answer again = api.Txn(request, key, kImpatienceMs);
    if (!again.done() || again.body == first.body) return;
    const std::lock_guard lock(mutex_);
    wrong_ = key + " was answered " + first.text + " and then " + again.text;
  }

  std::array<std::atomic<std::uint64_t>, kCounters> added_{};
  std::mutex mutex_;
  std::string wrong_;
};

}  // namespace

std::unique_ptr<Workload> NewCounters() { return std::make_unique<Counters>(); }

}  // namespace bedrock::chaos
