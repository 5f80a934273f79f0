#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/command.h"

namespace bedrock::router {

inline constexpr std::uint64_t kBytesOfWrite = 64;  ///< Of a node of the maps, roughly.

/// What an interactive transaction has written and not committed, in its shortest form: ranges that
/// are deleted, disjoint and apart, and on top of them single keys that are put or deleted. How
/// often a key was written and in which order no longer shows. Pure; one thread.
class TransactionWrites {
 public:
  struct Known {
    bool written = false;                ///< Else the transaction says nothing about the key.
    const std::string* value = nullptr;  ///< Null: deleted. Until the next write.
  };

  void Put(std::string_view key, std::string_view value);
  void Delete(std::string_view key);
  void DeleteRange(std::string_view begin, std::string_view end);
  /// Does what an operation that writes does; kAdd counts as a put of `sum`.
  void Apply(const proto::Operation& operation, std::string_view sum);

  Known Find(std::string_view key) const;

  /// Appends what gives the same in [begin, end) (for a key: of that key), deleted ranges first.
  /// The views are of this, valid until the next write, and of `begin` and `end`.
  void AppendRange(std::string_view begin, std::string_view end,
                   std::vector<proto::Operation>* operations) const;
  void AppendKey(std::string_view key, std::vector<proto::Operation>* operations) const;

  using VisitRange = std::function<void(std::string_view begin, std::string_view end)>;
  /// Calls visit for each part of [begin, end) that this says nothing about, in order.
  void ForEachGap(std::string_view begin, std::string_view end, const VisitRange& visit) const;

  bool empty() const { return keys_.empty() && ranges_.empty(); }
  /// Operations that AppendRange of everything would give.
  std::size_t operations() const { return keys_.size() + ranges_.size(); }
  /// Of keys and values, and something for each.
  std::uint64_t bytes() const { return bytes_; }

 private:
  using Keys = std::map<std::string, std::optional<std::string>, std::less<>>;
  using Ranges = std::map<std::string, std::string, std::less<>>;  // begin -> end

  /// The range that ends behind `key` and begins first; it may begin behind `key`.
  Ranges::const_iterator FirstEndingAfter(std::string_view key) const;
  bool InRange(std::string_view key) const;
  void Set(std::string_view key, std::optional<std::string> value);
  void Erase(std::string_view key);
  void EraseKeys(std::string_view begin, std::string_view end);

  Keys keys_;
  Ranges ranges_;
  std::uint64_t bytes_ = 0;
};

}  // namespace bedrock::router
