#pragma once

#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace bedrock::embedded {

/// What commits will write that have got their versions and are not visible yet: the earlier ones
/// of a group that waits for its sync. A value; one thread. Views the changes it was given.
class PendingWrites {
 public:
  /// Takes in the changes of one commit (bedrock/write_batch.h).
  void Add(std::string_view changes);
  void Clear();

  /// Whether any of them changes `key`.
  bool Touch(std::string_view key) const;
  /// Whether any of them changes a key in [begin, end); an empty `end` is unbounded.
  bool TouchRange(std::string_view begin, std::string_view end) const;

 private:
  std::set<std::string_view> keys_;
  std::vector<std::pair<std::string_view, std::string_view>> deleted_ranges_;
};

}  // namespace bedrock::embedded
