#include "tests/conformance/list_append.h"

#include <sstream>
#include <stdexcept>
#include <utility>

namespace bedrock::conformance {
namespace {

using checker::Operation;
using Fate = checker::Transaction::Fate;

std::vector<std::uint64_t> ToList(const std::string& value) {
  std::istringstream words(value);
  std::vector<std::uint64_t> list;
  for (std::uint64_t element = 0; words >> element;) list.push_back(element);
  return list;
}

std::string KeyOf(std::uint64_t i) { return "list" + std::string(1, static_cast<char>('a' + i)); }

}  // namespace

void Recorder::Add(checker::Transaction transaction) {
  const std::lock_guard lock(mutex_);
  history_.push_back(std::move(transaction));
}

checker::History Recorder::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(history_, {});
}

ListAppendClient::ListAppendClient(Store& store, const ListAppendOptions& options,
                                   Recorder& recorder, std::string name, std::uint64_t seed)
    : options_(options),
      recorder_(recorder),
      name_(std::move(name)),
      random_(seed),
      session_(store.NewSession()) {}

ListAppendClient::~ListAppendClient() { Abandon(); }

std::string ListAppendClient::DrawKey() { return KeyOf(random_.Below(options_.keys)); }

void ListAppendClient::Step() {
  if (!running_.has_value()) {
    Begin();
  } else if (steps_left_ == 0) {
    Commit();
  } else {
    --steps_left_;
    Work();
  }
}

void ListAppendClient::Begin() {
  running_ = checker::Transaction{.name = name_ + "/" + std::to_string(++transactions_),
                                  .begun = recorder_.Now()};
  read_only_ = random_.Chance(1, 6);
  steps_left_ = random_.Between(1, options_.steps_max);
  const Mode mode = options_.modes[random_.Below(options_.modes.size())];
  if (session_->Begin({.mode = mode, .read_only = read_only_}) != Outcome::kOk) End(Fate::kAborted);
}

void ListAppendClient::Work() {
  Outcome outcome = Outcome::kOk;
  switch (random_.Below(read_only_ ? 3 : 6)) {
    case 0:
    case 1:
      outcome = Read();
      break;
    case 2:
      outcome = Scan();
      break;
    default:
      outcome = Append();
  }
  // Its commit was never asked for.
  if (outcome != Outcome::kOk) End(Fate::kAborted);
}

Outcome ListAppendClient::Read() {
  const std::string key = DrawKey();
  std::optional<std::string> value;
  const Outcome outcome = session_->Get(key, &value);
  if (outcome == Outcome::kOk)
    running_->operations.push_back(Operation::Read(key, ToList(value.value_or(""))));
  return outcome;
}

Outcome ListAppendClient::Append() {
  const std::string key = DrawKey();
  std::optional<std::string> value;
  Outcome outcome =
      random_.Chance(1, 2) ? session_->Get(key, &value) : session_->GetForUpdate(key, &value);
  if (outcome != Outcome::kOk) return outcome;
  running_->operations.push_back(Operation::Read(key, ToList(value.value_or(""))));
  const std::uint64_t element = recorder_.NewElement();
  // Noted before it is known: a refused put ends the transaction anyway.
  running_->operations.push_back(Operation::Append(key, element));
  return session_->Put(key, value.value_or("") + std::to_string(element) + " ");
}

Outcome ListAppendClient::Scan() {
  const std::uint64_t first = random_.Below(options_.keys);
  const std::uint64_t end = random_.Between(first + 1, options_.keys);
  Content content;
  const Outcome outcome =
      session_->Scan(KeyOf(first), end == options_.keys ? "" : KeyOf(end), &content);
  if (outcome != Outcome::kOk) return outcome;
  for (std::uint64_t i = first; i < end; ++i)
    running_->operations.push_back(Operation::Read(KeyOf(i), ToList(content[KeyOf(i)])));
  return outcome;
}

void ListAppendClient::Commit() {
  if (random_.Chance(1, 20)) return Abandon();
  switch (session_->Commit()) {
    case Outcome::kOk:
      return End(Fate::kCommitted);
    case Outcome::kConflict:
    case Outcome::kDeadlock:
    case Outcome::kTimeout:
      return End(Fate::kAborted);
    case Outcome::kUnknown:
    case Outcome::kOther:
      return End(Fate::kUnknown);
  }
}

void ListAppendClient::Abandon() {
  if (!running_.has_value()) return;
  session_->Rollback();
  End(Fate::kAborted);
}

void ListAppendClient::End(Fate fate) {
  ++(fate == Fate::kCommitted ? committed_ : refused_);
  running_->fate = fate;
  running_->ended = recorder_.Now();
  recorder_.Add(*std::exchange(running_, std::nullopt));
}

void ListAppendClient::ReadAll() {
  constexpr int kTriesMax = 1000;
  for (int i = 0; i < kTriesMax; ++i) {
    Abandon();
    running_ = checker::Transaction{.name = name_ + "/last", .begun = recorder_.Now()};
    Content content;
    Outcome outcome = session_->Begin({.mode = Mode::kOptimistic});
    if (outcome == Outcome::kOk) outcome = session_->Scan("list", "", &content);
    for (std::uint64_t key = 0; key < options_.keys; ++key)
      running_->operations.push_back(Operation::Read(KeyOf(key), ToList(content[KeyOf(key)])));
    if (outcome == Outcome::kOk) outcome = session_->Commit();
    End(outcome == Outcome::kOk ? Fate::kCommitted : Fate::kAborted);
    if (outcome == Outcome::kOk) return;
  }
  throw std::runtime_error("the last read was refused: " + session_->error());
}

}  // namespace bedrock::conformance
