#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include "tests/chaos/api.h"
#include "tests/chaos/workload.h"
#include "tests/checker/serializability.h"

namespace bedrock::chaos {
namespace {

using checker::Operation;
using checker::Transaction;
using nlohmann::json;

using List = std::vector<std::uint64_t>;

constexpr std::uint64_t kKeysAtOnce = 5;
/// Then the clients go on to other keys, so that lists stay short.
constexpr std::uint64_t kAppendsBeforeNewKeys = 200;
constexpr std::uint64_t kOperationsMax = 4;
constexpr std::uint64_t kElementsOfClient = 10'000'000;

List Parse(const std::string& text) {
  std::istringstream words(text);
  List list;
  for (std::uint64_t element = 0; words >> element;) list.push_back(element);
  return list;
}

std::string Print(const List& list) {
  std::string text;
  for (const std::uint64_t element : list) {
    if (!text.empty()) text += ' ';
    text += std::to_string(element);
  }
  return text;
}

std::string ListKey(std::uint64_t list) { return "list/" + std::to_string(list); }

Transaction::Fate FateOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return Transaction::Fate::kCommitted;
    case Outcome::kNone:
      return Transaction::Fate::kAborted;
    case Outcome::kUnknown:
      break;
  }
  return Transaction::Fate::kUnknown;
}

/// The list that a read of a key gave, a key that is absent being the empty one.
std::optional<List> ListOf(const Answer& answer) {
  if (answer.done()) return Parse(answer.text);
  if (answer.code == "key_not_found") return List();
  return std::nullopt;
}

class ListAppend final : public Workload {
 public:
  std::string name() const override { return "list-append"; }

  std::string Prepare(const std::vector<std::string>& /*urls*/, std::uint64_t /*seed*/) override {
    return "";
  }

  void Work(const std::vector<std::string>& urls, std::uint64_t client, std::uint64_t seed,
            const std::atomic<bool>& stop) override {
    Random random = Random(seed).Fork(client);
    Api api(urls, random.Fork(0));
    for (std::uint64_t number = 0; !stop; ++number) {
      Transaction transaction = Draw(random, client * kElementsOfClient + number * kOperationsMax);
      transaction.begun = ++events_;
      const std::uint64_t how = random.Below(3);
      const Outcome outcome = how == 0 ? CompareAndSet(api, transaction)
                              : how == 1
                                  ? Interactive(api, random, Mode::kOptimistic, transaction)
                                  : Interactive(api, random, Mode::kPessimistic, transaction);
      transaction.ended = ++events_;
      transaction.fate = FateOf(outcome);
      Note(std::move(transaction));
    }
  }

  std::string Check(const std::vector<std::string>& urls, std::uint64_t seed) override {
    Api api(urls, Random(seed));
    Transaction last{.name = "the last reader", .begun = ++events_};
    for (std::uint64_t list = 0; list <= LastList(); ++list) {
      const std::optional<List> seen = ListOf(api.Get(ListKey(list)));
      if (!seen) return ListKey(list) + " can't be read";
      last.operations.push_back(Operation::Read(ListKey(list), *seen));
    }
    last.ended = ++events_;
    const std::lock_guard lock(mutex_);
    history_.push_back(std::move(last));
    const auto violation = checker::FindViolation(history_);
    return violation ? violation->kind + "\n" + violation->story : "";
  }

 private:
  std::uint64_t LastList() const {
    return appends_ / kAppendsBeforeNewKeys * kKeysAtOnce + kKeysAtOnce - 1;
  }

  /// What is to be done; reads have seen nothing yet.
  Transaction Draw(Random& random, std::uint64_t first_element) {
    Transaction transaction{.name = "transaction " + std::to_string(first_element)};
    for (std::uint64_t i = random.Between(1, kOperationsMax); i > 0; --i) {
      const std::string key = ListKey(LastList() - random.Below(kKeysAtOnce));
      if (random.Chance(1, 2)) {
        transaction.operations.push_back(Operation::Append(key, first_element + i));
        ++appends_;
      } else {
        transaction.operations.push_back(Operation::Read(key, {}));
      }
    }
    return transaction;
  }

  void Note(Transaction transaction) {
    if (transaction.fate == Transaction::Fate::kCommitted) ++tally_.done;
    if (transaction.fate == Transaction::Fate::kAborted) ++tally_.refused;
    if (transaction.fate == Transaction::Fate::kUnknown) ++tally_.unknown;
    const std::lock_guard lock(mutex_);
    history_.push_back(std::move(transaction));
  }

  /// Plain gets of every key, then one request on the condition that none has changed.
  static Outcome CompareAndSet(Api& api, Transaction& transaction) {
    std::map<std::string, List> lists;
    json conditions = json::array();
    for (Operation& operation : transaction.operations) {
      if (!lists.contains(operation.key)) {
        const Answer answer = api.Get(operation.key);
        const std::optional<List> list = ListOf(answer);
        if (!list) return Outcome::kNone;
        lists[operation.key] = *list;
        // The version read at: unchanged since then is the same promise for absent keys, too.
        conditions.push_back({{"key", operation.key}, {"unchanged_since", answer.version}});
      }
      Carry(operation, lists[operation.key]);
    }
    json puts = json::array();
    for (const Operation& operation : transaction.operations) {
      if (operation.kind != Operation::Kind::kAppend) continue;
      puts.push_back({{"put", {{"key", operation.key}, {"value", Print(lists[operation.key])}}}});
    }
    const Answer answer = api.Txn({{"if", conditions}, {"then", puts}}, "", 5'000);
    if (answer.done() && !answer.body.at("succeeded").get<bool>()) return Outcome::kNone;
    return answer.outcome;
  }

  /// One step on the list as the transaction knows it.
  static void Carry(Operation& operation, List& list) {
    if (operation.kind == Operation::Kind::kAppend) {
      list.push_back(operation.element);
    } else {
      operation.seen = list;
    }
  }

  static Outcome Interactive(Api& api, Random& random, Mode mode, Transaction& transaction) {
    const std::string id = api.Begin(mode);
    if (id.empty()) return Outcome::kNone;
    for (Operation& operation : transaction.operations) {
      const bool append = operation.kind == Operation::Kind::kAppend;
      std::optional<List> list = ListOf(api.Read(id, operation.key, append && random.Chance(1, 2)));
      if (list) Carry(operation, *list);
      if (!list || (append && !api.Write(id, operation.key, Print(*list)).done())) {
        api.Rollback(id);
        return Outcome::kNone;
      }
    }
    return api.Commit(id).outcome;
  }

  std::atomic<std::uint64_t> events_{0};   // the one order of all clients' moments
  std::atomic<std::uint64_t> appends_{0};  // drawn
  std::mutex mutex_;
  checker::History history_;
};

}  // namespace

std::unique_ptr<Workload> NewListAppend() { return std::make_unique<ListAppend>(); }

}  // namespace bedrock::chaos
