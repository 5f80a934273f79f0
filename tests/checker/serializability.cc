#include "tests/checker/serializability.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace bedrock::checker {
namespace {

using Fate = Transaction::Fate;
using List = std::vector<std::uint64_t>;
using Node = std::size_t;  ///< A transaction's place in the history.

enum class Why : std::uint8_t { kWrite, kRead, kAnti, kRealTime };

struct Edge {
  Node from;
  Node to;
  Why why;
  std::string key = {};
  std::uint64_t element = 0;  ///< The later append, or the one that was read.
};

std::string Printed(const List& list) {
  std::string text = "[";
  for (const std::uint64_t element : list)
    text += (text.size() > 1 ? " " : "") + std::to_string(element);
  return text + "]";
}

bool IsPrefix(const List& part, const List& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

/// What a transaction saw of a key that others have written.
struct ExternalRead {
  Node reader;
  List seen;
};

/// All that is known of one key.
struct KeyHistory {
  std::map<std::uint64_t, Node> writers;
  std::vector<ExternalRead> reads;
  List order;  ///< The longest that was seen; all others are its prefixes.
};

class Analysis {
 public:
  explicit Analysis(const History& history) : history_(history), counts_(history.size()) {}

  std::optional<Violation> Run() {
    std::optional<Violation> violation = TakeWriters();
    if (!violation) violation = TakeReads();
    if (!violation) violation = OrderKeys();
    if (violation) return violation;
    edges_.resize(history_.size());
    for (const auto& [key, known] : keys_) AddEdges(key, known);
    // Without the clock first: what is wrong without it is wrong in more ways.
    violation = DescribeCycle(ShortestCycle());
    if (violation) return violation;
    AddRealTime();
    return DescribeCycle(ShortestCycle());
  }

 private:
  std::string NameOf(Node node) const { return history_[node].name; }

  std::optional<Violation> TakeWriters() {
    for (Node node = 0; node < history_.size(); ++node) {
      for (const Operation& operation : history_[node].operations) {
        if (operation.kind != Operation::Kind::kAppend) continue;
        if (!keys_[operation.key].writers.emplace(operation.element, node).second)
          return Violation{"malformed history", std::to_string(operation.element) +
                                                    " was appended twice to " + operation.key};
      }
    }
    return std::nullopt;
  }

  /// Committed ones count, and of the unknown ones those that somebody who counts has seen.
  std::optional<Violation> TakeReads() {
    std::deque<Node> counted;
    for (Node node = 0; node < history_.size(); ++node) {
      counts_[node] = history_[node].fate == Fate::kCommitted;
      if (counts_[node]) counted.push_back(node);
    }
    for (; !counted.empty(); counted.pop_front()) {
      const Node node = counted.front();
      if (std::optional<Violation> violation = TakeReadsOf(node)) return violation;
      for (const Operation& operation : history_[node].operations) {
        for (const std::uint64_t element : operation.seen) {
          const auto writer = keys_[operation.key].writers.find(element);
          if (writer == keys_[operation.key].writers.end())
            return Violation{"unwritten read", NameOf(node) + " read " + std::to_string(element) +
                                                   " of " + operation.key +
                                                   ", which nobody appended"};
          if (history_[writer->second].fate == Fate::kAborted)
            return Violation{"aborted read", NameOf(node) + " read " + std::to_string(element) +
                                                 " of " + operation.key + ", which " +
                                                 NameOf(writer->second) +
                                                 " appended, which was aborted"};
          if (counts_[writer->second]) continue;
          counts_[writer->second] = true;
          counted.push_back(writer->second);
        }
      }
    }
    return std::nullopt;
  }

  std::optional<Violation> TakeReadsOf(Node node) {
    struct State {
      std::optional<List> external;
      List own;
    };
    std::map<std::string, State> states;
    for (const Operation& operation : history_[node].operations) {
      State& state = states[operation.key];
      if (operation.kind == Operation::Kind::kAppend) {
        state.own.push_back(operation.element);
        continue;
      }
      const List& seen = operation.seen;
      const std::size_t others = seen.size() - std::min(seen.size(), state.own.size());
      const auto middle = seen.begin() + static_cast<std::ptrdiff_t>(others);
      const List external(seen.begin(), middle);
      const bool right = List(middle, seen.end()) == state.own &&
                         (!state.external.has_value() || *state.external == external);
      if (!right) {
        const std::string before = state.external ? Printed(*state.external) + " before" : "it";
        return Violation{"internal", NameOf(node) + " read " + Printed(seen) + " of " +
                                         operation.key + " where it had read " + before +
                                         " and appended " + Printed(state.own)};
      }
      state.external = external;
    }
    for (auto& [key, state] : states) {
      if (state.external) keys_[key].reads.push_back({node, *std::move(state.external)});
    }
    return std::nullopt;
  }

  std::optional<Violation> OrderKeys() {
    for (auto& [key, known] : keys_) {
      const ExternalRead* longest = nullptr;
      for (const ExternalRead& read : known.reads) {
        if (longest == nullptr || read.seen.size() > longest->seen.size()) longest = &read;
      }
      if (longest == nullptr) continue;
      known.order = longest->seen;
      for (const ExternalRead& read : known.reads) {
        if (!IsPrefix(read.seen, known.order))
          return Violation{"incompatible orders",
                           NameOf(read.reader) + " read " + Printed(read.seen) + " of " + key +
                               ", but " + NameOf(longest->reader) + " " + Printed(known.order)};
      }
      if (std::optional<Violation> violation = CheckOrder(key, known)) return violation;
    }
    return std::nullopt;
  }

  /// No element twice; those of one transaction in the order it appended them.
  std::optional<Violation> CheckOrder(const std::string& key, const KeyHistory& known) const {
    std::map<std::uint64_t, std::size_t> places;
    for (std::size_t i = 0; i < known.order.size(); ++i) {
      if (!places.emplace(known.order[i], i).second)
        return Violation{"incompatible orders",
                         Printed(known.order) + " was read of " + key + ", with an element twice"};
    }
    for (Node node = 0; node < history_.size(); ++node) {
      std::size_t last = 0;
      bool missing = false;
      for (const Operation& operation : history_[node].operations) {
        if (operation.kind != Operation::Kind::kAppend || operation.key != key) continue;
        const auto place = places.find(operation.element);
        if (place == places.end()) {
          missing = true;
        } else if (missing || place->second < last) {
          return Violation{"incompatible orders", Printed(known.order) + " was read of " + key +
                                                      ", not in the order of " + NameOf(node)};
        } else {
          last = place->second;
        }
      }
    }
    return std::nullopt;
  }

  void Add(Edge edge) {
    if (edge.from != edge.to) edges_[edge.from].push_back(std::move(edge));
  }

  void AddEdges(const std::string& key, const KeyHistory& known) {
    const auto writer = [&](std::size_t i) { return known.writers.at(known.order[i]); };
    for (std::size_t i = 1; i < known.order.size(); ++i)
      Add({writer(i - 1), writer(i), Why::kWrite, key, known.order[i]});
    // What nobody has seen comes after all that somebody has.
    std::vector<std::pair<std::uint64_t, Node>> unseen;
    const std::set<std::uint64_t> seen(known.order.begin(), known.order.end());
    for (const auto& [element, node] : known.writers) {
      if (counts_[node] && !seen.contains(element)) unseen.emplace_back(element, node);
    }
    for (const auto& [element, node] : unseen) {
      if (!known.order.empty())
        Add({writer(known.order.size() - 1), node, Why::kWrite, key, element});
    }
    for (const ExternalRead& read : known.reads) {
      const std::size_t n = read.seen.size();
      if (n > 0) Add({writer(n - 1), read.reader, Why::kRead, key, known.order[n - 1]});
      if (n < known.order.size()) {
        // Its own appends come first of those it has not read, and bring no one between.
        std::size_t next = n;
        while (next < known.order.size() && writer(next) == read.reader) ++next;
        if (next < known.order.size())
          Add({read.reader, writer(next), Why::kAnti, key, known.order[next]});
        if (next < known.order.size()) continue;
      }
      for (const auto& [element, node] : unseen) Add({read.reader, node, Why::kAnti, key, element});
    }
  }

  /// Each that began after another one had ended; of those only such that no third lies between.
  void AddRealTime() {
    struct Event {
      std::uint64_t at;
      bool ends;  ///< At the same moment: after all that begin.
      Node node;
      bool operator<(const Event& other) const {
        return std::tie(at, ends, node) < std::tie(other.at, other.ends, other.node);
      }
    };
    std::vector<Event> events;
    for (Node node = 0; node < history_.size(); ++node) {
      if (!counts_[node]) continue;
      events.push_back({history_[node].begun, false, node});
      if (history_[node].fate == Fate::kCommitted)
        events.push_back({history_[node].ended, true, node});
    }
    std::sort(events.begin(), events.end());
    std::set<Node> ended;  // and nobody who began after them has
    std::map<Node, std::set<Node>> before;
    for (const Event& event : events) {
      if (!event.ends) {
        before[event.node] = ended;
        for (const Node node : ended) Add({node, event.node, Why::kRealTime});
      } else {
        for (const Node node : before[event.node]) ended.erase(node);
        ended.insert(event.node);
      }
    }
  }

  // ---- Cycles

  /// Those from which a cycle can be reached, and from cycles to them.
  std::vector<Node> Entangled() const {
    std::vector<std::size_t> in(edges_.size(), 0);
    for (const auto& edges : edges_) {
      for (const Edge& edge : edges) ++in[edge.to];
    }
    std::vector<Node> free;
    std::vector<bool> gone(edges_.size(), false);
    for (Node node = 0; node < edges_.size(); ++node) {
      if (in[node] == 0) free.push_back(node);
    }
    while (!free.empty()) {
      const Node node = free.back();
      free.pop_back();
      gone[node] = true;
      for (const Edge& edge : edges_[node]) {
        if (--in[edge.to] == 0) free.push_back(edge.to);
      }
    }
    std::vector<Node> left;
    for (Node node = 0; node < edges_.size(); ++node) {
      if (!gone[node]) left.push_back(node);
    }
    return left;
  }

  /// From `start` back to it, the shortest way; empty: there is none.
  std::vector<Edge> CycleThrough(Node start, std::size_t shorter_than) const {
    std::map<Node, const Edge*> reached_by;
    std::deque<std::pair<Node, std::size_t>> next = {{start, 0}};
    while (!next.empty()) {
      const auto [node, steps] = next.front();
      next.pop_front();
      if (steps + 1 >= shorter_than) return {};
      for (const Edge& edge : edges_[node]) {
        if (!reached_by.emplace(edge.to, &edge).second) continue;
        if (edge.to != start) {
          next.emplace_back(edge.to, steps + 1);
          continue;
        }
        std::vector<Edge> cycle;
        for (const Edge* at = &edge;; at = reached_by.at(at->from)) {
          cycle.push_back(*at);
          if (at->from == start) break;
        }
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
    }
    return {};
  }

  std::vector<Edge> ShortestCycle() const {
    constexpr std::size_t kStartsMax = 500;  // to be short is a kindness, not a duty
    std::vector<Edge> shortest;
    std::size_t starts = 0;
    for (const Node node : Entangled()) {
      if (!shortest.empty() && ++starts > kStartsMax) break;
      const std::size_t bound = shortest.empty() ? edges_.size() + 2 : shortest.size();
      std::vector<Edge> cycle = CycleThrough(node, bound);
      if (!cycle.empty()) shortest = std::move(cycle);
    }
    return shortest;
  }

  std::optional<Violation> DescribeCycle(const std::vector<Edge>& cycle) const {
    if (cycle.empty()) return std::nullopt;
    const auto count = [&](Why why) {
      return std::count_if(cycle.begin(), cycle.end(),
                           [&](const Edge& edge) { return edge.why == why; });
    };
    Violation violation;
    if (count(Why::kAnti) > 1) {
      violation.kind = "G2";
    } else if (count(Why::kAnti) == 1) {
      violation.kind = "G-single";
    } else {
      violation.kind = count(Why::kRead) > 0 ? "G1c" : "G0";
    }
    if (count(Why::kRealTime) > 0) violation.kind += "-realtime";
    for (const Edge& edge : cycle) violation.story += Describe(edge) + "\n";
    return violation;
  }

  std::string Describe(const Edge& edge) const {
    const std::string from = NameOf(edge.from);
    const std::string to = NameOf(edge.to);
    const std::string element = std::to_string(edge.element);
    switch (edge.why) {
      case Why::kWrite:
        return from + " before " + to + ": it appended to " + edge.key + " before " + element;
      case Why::kRead:
        return from + " before " + to + ": its " + element + " of " + edge.key + " was read there";
      case Why::kAnti:
        return from + " before " + to + ": it read " + edge.key + " without " + element;
      case Why::kRealTime:
        break;
    }
    return from + " before " + to + ": it had ended when that one began";
  }

  const History& history_;
  std::vector<bool> counts_;
  std::map<std::string, KeyHistory> keys_;
  std::vector<std::vector<Edge>> edges_;
};

}  // namespace

std::optional<Violation> FindViolation(const History& history) { return Analysis(history).Run(); }

}  // namespace bedrock::checker
