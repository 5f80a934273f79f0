#pragma once

#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/command.h"

namespace bedrock::router {

/// What storaged's state machine promises, in the fewest words: every version of a small store, and
/// commands that are certified and executed, or evaluated at a version. Each (session, sequence) is
/// executed once.
class FakeStore {
 public:
  struct Entry {
    std::string value;
    Version version;

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  using State = std::map<std::string, Entry, std::less<>>;

  explicit FakeStore(std::uint64_t first = 100) : first_(first), states_(1) {}

  Version newest() const { return Version(first_ + states_.size() - 1); }
  const State& At(Version version) const { return states_.at(version.value() - first_); }
  const State& Now() const { return states_.back(); }

  /// As storaged's Query; `at` is not later than newest().
  proto::CommandResult Evaluate(const proto::Command& command, Version at) const {
    State state = At(at);
    return Run(command.operations, Version(), &state);
  }

  /// An entry of the log.
  proto::CommandResult Execute(const proto::Command& command) {
    const auto id = std::pair(command.session.value(), command.sequence);
    states_.push_back(states_.back());
    if (const auto kept = replies_.find(id); kept != replies_.end()) return kept->second;
    proto::CommandResult result;
    State state = states_.back();
    if (const auto key = Changed(command)) {
      result.code = proto::ErrorCode::kTransactionConflict;
      result.key = *key;
    } else {
      result = Run(command.operations, newest(), &state);
    }
    result.version = newest();
    if (result.code == proto::ErrorCode::kOk) Take(std::move(state));
    return replies_[id] = result;
  }
  /// A plain put of somebody else.
  Version Put(const std::string& key, const std::string& value) {
    states_.push_back(states_.back());
    State state = states_.back();
    state[key] = {value, newest()};
    Take(std::move(state));
    return newest();
  }

 private:
  using Operation = proto::Operation;

  void Take(State state) {
    for (const auto& [key, entry] : states_[states_.size() - 2]) {
      const auto found = state.find(key);
      if (found == state.end() || found->second.version != entry.version) changed_[key] = newest();
    }
    for (const auto& [key, entry] : state) {
      if (entry.version == newest()) changed_[key] = newest();
    }
    states_.back() = std::move(state);
  }

  std::optional<std::string> Changed(const proto::Command& command) const {
    for (const proto::Read& read : command.reads) {
      const Version at = read.at ? read.at : command.read_version;
      for (const auto& [key, version] : changed_) {
        const bool in = read.kind == proto::Read::Kind::kKey
                            ? key == read.key
                            : key >= read.key && (read.end.empty() || key < read.end);
        if (in && version > at) return key;
      }
    }
    return std::nullopt;
  }

  static proto::CommandResult Run(const std::vector<Operation>& operations, Version as,
                                  State* state) {
    proto::CommandResult result;
    for (const Operation& operation : operations) {
      result.results.push_back(RunOne(operation, as, state, &result));
      if (result.code != proto::ErrorCode::kOk) {
        result.failed_operation = static_cast<std::uint32_t>(result.results.size() - 1);
        result.results.clear();
        break;
      }
    }
    // What this command wrote reads as version 0; in the store it has the command's own.
    for (auto& [key, entry] : *state) {
      if (!entry.version) entry.version = as;
    }
    return result;
  }

  static proto::OperationResult RunOne(const Operation& operation, Version as, State* state,
                                       proto::CommandResult* result) {
    proto::OperationResult gave;
    const std::string key(operation.key);
    static_cast<void>(as);
    switch (operation.kind) {
      case Operation::Kind::kPut:
        (*state)[key] = {std::string(operation.value), Version()};
        break;
      case Operation::Kind::kDelete:
        state->erase(key);
        break;
      case Operation::Kind::kGet:
        if (const auto found = state->find(key); found != state->end()) {
          gave.found = true;
          gave.value = found->second.value;
          gave.version = found->second.version;
        }
        break;
      case Operation::Kind::kAdd:
        Add(operation, state, &gave, result);
        break;
      case Operation::Kind::kDeleteRange:
        for (auto item = state->lower_bound(key);
             item != state->end() && (operation.value.empty() || item->first < operation.value);) {
          item = state->erase(item);
          ++gave.count;
        }
        break;
      case Operation::Kind::kScan:
        Scan(operation, *state, &gave);
        break;
      case Operation::Kind::kDropHistory:
        break;
    }
    return gave;
  }

  static void Add(const Operation& operation, State* state, proto::OperationResult* gave,
                  proto::CommandResult* result) {
    std::int64_t number = 0;
    const auto found = state->find(operation.key);
    if (found != state->end()) {
      const std::string& text = found->second.value;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size()) {
        result->code = proto::ErrorCode::kInvalidArgument;
        result->key = operation.key;
        return;
      }
    }
    gave->value = std::to_string(number + operation.delta);
    (*state)[std::string(operation.key)] = {gave->value, Version()};
  }

  static void Scan(const Operation& operation, const State& state, proto::OperationResult* gave) {
    std::vector<proto::Item> all;
    for (const auto& [key, entry] : state) {
      if (key < operation.key || (!operation.value.empty() && key >= operation.value)) continue;
      all.push_back({key, entry.value, entry.version});
    }
    if (operation.scan.reverse) all = {all.rbegin(), all.rend()};
    const std::size_t most = operation.scan.items_max == 0 ? all.size() : operation.scan.items_max;
    if (all.size() > most) {
      gave->more = true;
      // Forward the first key that was not given, in reverse the last that was.
      gave->next = operation.scan.reverse ? all[most - 1].key : all[most].key;
      all.resize(most);
    }
    gave->count = all.size();
    gave->items = std::move(all);
  }

  std::uint64_t first_;
  std::vector<State> states_;  // by version
  std::map<std::string, Version> changed_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, proto::CommandResult> replies_;
};

}  // namespace bedrock::router
