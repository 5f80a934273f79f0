#include "tests/checker/linearizability.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace bedrock::checker {
namespace {

using Kind = RegisterOperation::Kind;
using Fate = RegisterOperation::Fate;

constexpr std::size_t kNone = SIZE_MAX;

std::string Describe(const RegisterOperation& operation) {
  std::string text = "[" + std::to_string(operation.begun) + ", " +
                     (operation.fate == Fate::kUnknown ? "…" : std::to_string(operation.ended)) +
                     "] " + operation.name;
  switch (operation.kind) {
    case Kind::kRead:
      text += " read " + std::to_string(operation.value);
      break;
    case Kind::kWrite:
      text += " wrote " + std::to_string(operation.value);
      break;
    case Kind::kCompareAndSet:
      text += " set " + std::to_string(operation.value) + " in place of " +
              std::to_string(operation.expected);
      break;
  }
  if (operation.fate == Fate::kRefused) text += ", refused";
  if (operation.fate == Fate::kUnknown) text += ", nobody knows";
  return text;
}

/// Whether it can take effect on `state`, which it then changes.
bool Fits(const RegisterOperation& operation, std::uint64_t& state) {
  switch (operation.kind) {
    case Kind::kRead:
      return state == operation.value;
    case Kind::kWrite:
      state = operation.value;
      return true;
    case Kind::kCompareAndSet:
      break;
  }
  const bool equal = state == operation.expected;
  if (operation.fate == Fate::kRefused) return !equal;
  if (operation.fate == Fate::kDone && !equal) return false;
  if (equal) state = operation.value;
  return true;
}

/// Whether it says anything about what the register held.
bool Counts(const RegisterOperation& operation) {
  if (operation.kind == Kind::kRead) return operation.fate == Fate::kDone;
  return operation.fate != Fate::kRefused || operation.kind == Kind::kCompareAndSet;
}

/// Unknown ones whose value nobody has seen need not be placed: they may have happened never. Not
/// so where a compare-and-set was refused, which anything in between may explain.
std::vector<const RegisterOperation*> Needed(const std::vector<RegisterOperation>& history) {
  std::unordered_set<std::uint64_t> seen;
  bool refused = false;
  for (const RegisterOperation& operation : history) {
    if (operation.kind == Kind::kRead && operation.fate == Fate::kDone)
      seen.insert(operation.value);
    if (operation.kind != Kind::kCompareAndSet) continue;
    seen.insert(operation.expected);
    refused = refused || operation.fate == Fate::kRefused;
  }
  std::vector<const RegisterOperation*> needed;
  for (const RegisterOperation& operation : history) {
    const bool idle =
        !refused && operation.fate == Fate::kUnknown && !seen.contains(operation.value);
    if (Counts(operation) && !idle) needed.push_back(&operation);
  }
  return needed;
}

/// A set of operations and the state after them.
struct Tried {
  std::vector<std::uint64_t> placed;  ///< A bit each.
  std::uint64_t state = 0;

  friend bool operator==(const Tried&, const Tried&) = default;
};

struct HashTried {
  std::size_t operator()(const Tried& tried) const {
    std::uint64_t hash = tried.state * 0x9E3779B97F4A7C15ULL;
    for (const std::uint64_t word : tried.placed) {
      hash = (hash ^ word) * 0xBF58476D1CE4E5B9ULL;
      hash ^= hash >> 29;
    }
    return static_cast<std::size_t>(hash);
  }
};

class Search {
 public:
  Search(const std::vector<RegisterOperation>& history, std::uint64_t initial)
      : operations_(Needed(history)), state_(initial) {
    tried_.placed.resize((operations_.size() + 63) / 64);
    longest_.resize(operations_.size(), false);
    MakeEvents();
  }

  LinearizabilityVerdict Run(std::uint64_t steps_max) {
    std::size_t at = next_[0];
    for (std::uint64_t steps = 0; next_[0] != kNone; ++steps) {
      if (steps >= steps_max) return {.violation = {}, .undecided = true};
      const Event& event = events_[at];
      if (!event.ends && Place(event.operation)) {
        at = next_[0];
      } else if (!event.ends) {
        at = next_[at];
      } else if (known_done_ == 0) {
        break;  // only unknown ones are left: they need never have happened
      } else if (stack_.empty()) {
        return {.violation = Tell(event.operation), .undecided = false};
      } else {
        at = TakeBack();
      }
    }
    return {};
  }

 private:
  /// In a doubly linked list, so that taking out and putting back cost nothing. Event 0 is its
  /// head.
  struct Event {
    std::uint64_t at = 0;
    bool ends = false;
    std::size_t operation = 0;
  };

  struct Step {
    std::size_t operation;
    std::uint64_t state_before;
  };

  void MakeEvents() {
    std::vector<Event> events;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const bool open = operations_[i]->fate == Fate::kUnknown;
      if (!open) ++known_done_;
      events.push_back({operations_[i]->begun, false, i});
      events.push_back({open ? UINT64_MAX : operations_[i]->ended, true, i});
    }
    // At the same moment beginnings come first: then they overlapped.
    std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
      return a.at != b.at ? a.at < b.at : a.ends < b.ends;
    });
    events_.push_back({});
    events_.insert(events_.end(), events.begin(), events.end());
    begin_of_.resize(operations_.size());
    end_of_.resize(operations_.size());
    for (std::size_t i = 0; i < events_.size(); ++i) {
      next_.push_back(i + 1 == events_.size() ? kNone : i + 1);
      previous_.push_back(i == 0 ? kNone : i - 1);
      if (i > 0) (events_[i].ends ? end_of_ : begin_of_)[events_[i].operation] = i;
    }
  }

  void TakeOut(std::size_t event) {
    next_[previous_[event]] = next_[event];
    if (next_[event] != kNone) previous_[next_[event]] = previous_[event];
  }
  void PutBack(std::size_t event) {
    next_[previous_[event]] = event;
    if (next_[event] != kNone) previous_[next_[event]] = event;
  }

  /// Lets it take effect next, unless it does not fit or that was tried before.
  bool Place(std::size_t operation) {
    std::uint64_t state = state_;
    if (!Fits(*operations_[operation], state)) return false;
    Flip(operation);
    tried_.state = state;
    if (!seen_.insert(tried_).second) {
      Flip(operation);
      return false;
    }
    stack_.push_back({operation, std::exchange(state_, state)});
    TakeOut(begin_of_[operation]);
    TakeOut(end_of_[operation]);
    if (operations_[operation]->fate != Fate::kUnknown) --known_done_;
    if (stack_.size() > longest_size_) {
      longest_size_ = stack_.size();
      longest_.assign(operations_.size(), false);
      for (const Step& step : stack_) longest_[step.operation] = true;
    }
    return true;
  }

  /// Gives the event to go on from.
  std::size_t TakeBack() {
    const Step step = stack_.back();
    stack_.pop_back();
    state_ = step.state_before;
    Flip(step.operation);
    if (operations_[step.operation]->fate != Fate::kUnknown) ++known_done_;
    PutBack(end_of_[step.operation]);
    PutBack(begin_of_[step.operation]);
    return next_[begin_of_[step.operation]];
  }

  void Flip(std::size_t operation) {
    tried_.placed[operation / 64] ^= std::uint64_t{1} << (operation % 64);
  }

  Violation Tell(std::size_t stuck) const {
    // What the furthest try could not place, from the first such end on.
    std::string story = "no order of these fits " + Describe(*operations_[stuck]) + "\n";
    std::size_t told = 0;
    for (std::size_t i = 0; i < operations_.size() && told < kToldMax; ++i) {
      if (longest_[i]) continue;
      story += "not placed: " + Describe(*operations_[i]) + "\n";
      ++told;
    }
    told = 0;
    for (std::size_t i = operations_.size(); i-- > 0 && told < kToldMax;) {
      if (!longest_[i]) continue;
      story += "placed: " + Describe(*operations_[i]) + "\n";
      ++told;
    }
    return {"not linearizable", std::move(story)};
  }

  static constexpr std::size_t kToldMax = 20;

  std::vector<const RegisterOperation*> operations_;
  std::vector<Event> events_;
  std::vector<std::size_t> next_;
  std::vector<std::size_t> previous_;
  std::vector<std::size_t> begin_of_;
  std::vector<std::size_t> end_of_;
  std::uint64_t state_;
  std::size_t known_done_ = 0;  ///< Not placed yet, and surely done.
  std::vector<Step> stack_;
  Tried tried_;
  std::unordered_set<Tried, HashTried> seen_;
  std::size_t longest_size_ = 0;
  std::vector<bool> longest_;  ///< Placed by the furthest try.
};

}  // namespace

LinearizabilityVerdict CheckLinearizable(const std::vector<RegisterOperation>& history,
                                         std::uint64_t initial, std::uint64_t steps_max) {
  return Search(history, initial).Run(steps_max);
}

}  // namespace bedrock::checker
