#include "tests/conformance/bank.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "common/env/random.h"

namespace bedrock::conformance {
namespace {

constexpr std::int64_t kEach = 100;
constexpr char kBegin[] = "account/";
constexpr char kEnd[] = "account0";

std::string KeyOf(std::uint64_t i) { return kBegin + std::to_string(i); }

std::int64_t Sum(const Content& content) {
  std::int64_t sum = 0;
  for (const auto& [key, value] : content) sum += std::stoll(value);
  return sum;
}

class Teller {
 public:
  Teller(Store& store, const BankOptions& options, std::uint64_t seed)
      : options_(options), random_(seed), session_(store.NewSession()) {}

  void Work() {
    for (std::uint64_t i = 0; i < options_.transfers; ++i) {
      const bool adds_up = random_.Chance(1, 5);
      const bool read_only = adds_up && random_.Chance(1, 2);
      const Mode mode = options_.modes[random_.Below(options_.modes.size())];
      Outcome outcome = session_->Begin({.mode = mode, .read_only = read_only});
      std::optional<std::int64_t> sum;
      if (outcome == Outcome::kOk) outcome = adds_up ? AddUp(&sum) : Transfer();
      if (outcome == Outcome::kOk) outcome = session_->Commit();
      if (outcome != Outcome::kOk) {
        ++result_.refused;
        session_->Rollback();
        if (outcome == Outcome::kOther) result_.wrong.push_back(session_->error());
        continue;
      }
      ++result_.committed;
      if (!sum.has_value()) continue;
      ++result_.sums;
      const auto whole = static_cast<std::int64_t>(options_.accounts) * kEach;
      if (*sum != whole)
        result_.wrong.push_back("a sum of " + std::to_string(*sum) + " instead of " +
                                std::to_string(whole));
    }
  }
  const BankResult& result() const { return result_; }

 private:
  Outcome AddUp(std::optional<std::int64_t>* sum) {
    Content content;
    const Outcome outcome = session_->Scan(kBegin, kEnd, &content);
    if (outcome == Outcome::kOk) *sum = Sum(content);
    return outcome;
  }

  /// An account without money is closed: its key is deleted.
  Outcome SetMoney(std::uint64_t account, std::int64_t money) {
    if (money == 0) return session_->Delete(KeyOf(account));
    return session_->Put(KeyOf(account), std::to_string(money));
  }

  Outcome Transfer() {
    const std::uint64_t from = random_.Below(options_.accounts);
    const std::uint64_t to = random_.Below(options_.accounts);
    if (from == to) return Outcome::kOk;
    std::optional<std::string> a;
    std::optional<std::string> b;
    Outcome outcome = session_->Get(KeyOf(from), &a);
    if (outcome == Outcome::kOk) outcome = session_->GetForUpdate(KeyOf(to), &b);
    if (outcome != Outcome::kOk) return outcome;
    const std::int64_t have = std::stoll(a.value_or("0"));
    const std::int64_t amount = std::min(have, static_cast<std::int64_t>(random_.Below(kEach)));
    if (have < 0) result_.wrong.push_back(KeyOf(from) + " is overdrawn");
    outcome = SetMoney(from, have - amount);
    if (outcome != Outcome::kOk) return outcome;
    return SetMoney(to, std::stoll(b.value_or("0")) + amount);
  }

  const BankOptions& options_;
  Random random_;
  const std::unique_ptr<Session> session_;
  BankResult result_;
};

void Fill(Store& store, const BankOptions& options) {
  const auto session = store.NewSession();
  Outcome outcome = session->Begin({.mode = Mode::kOptimistic});
  for (std::uint64_t i = 0; i < options.accounts && outcome == Outcome::kOk; ++i)
    outcome = session->Put(KeyOf(i), std::to_string(kEach));
  if (outcome == Outcome::kOk) outcome = session->Commit();
  if (outcome != Outcome::kOk) throw std::runtime_error("fill the bank: " + session->error());
}

}  // namespace

BankResult RunBank(Store& store, const BankOptions& options) {
  Fill(store, options);
  BankResult result;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < options.threads; ++i) {
    threads.emplace_back([&, i] {
      Teller teller(store, options, options.seed * 1000 + i);
      teller.Work();
      const std::lock_guard lock(mutex);
      const BankResult& own = teller.result();
      result.committed += own.committed;
      result.refused += own.refused;
      result.sums += own.sums;
      result.wrong.insert(result.wrong.end(), own.wrong.begin(), own.wrong.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  return result;
}

}  // namespace bedrock::conformance
