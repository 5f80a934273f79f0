#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bedrock::checker {

/// One step of a transaction over lists of numbers that only grow.
struct Operation {
  enum class Kind : std::uint8_t { kAppend, kRead };

  static Operation Append(std::string key, std::uint64_t element) {
    return {Kind::kAppend, std::move(key), element, {}};
  }
  static Operation Read(std::string key, std::vector<std::uint64_t> seen) {
    return {Kind::kRead, std::move(key), 0, std::move(seen)};
  }

  Kind kind;
  std::string key;
  std::uint64_t element;            ///< Of an append; no two of a key alike.
  std::vector<std::uint64_t> seen;  ///< By a read: the whole list.
};

/// A transaction as its client saw it.
struct Transaction {
  enum class Fate : std::uint8_t {
    kCommitted,
    kAborted,  ///< Surely without effect.
    kUnknown,  ///< Nobody told: it may have taken effect, or may do so at any later time.
  };

  std::string name;
  Fate fate = Fate::kCommitted;
  /// Moments in the one order of events that the test keeps: before its first step was asked for,
  /// and after its last was answered. `ended` of an unknown one says nothing.
  std::uint64_t begun = 0;
  std::uint64_t ended = 0;
  std::vector<Operation> operations = {};
};

using History = std::vector<Transaction>;

}  // namespace bedrock::checker
