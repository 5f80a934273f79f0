#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "proto/command.h"

namespace bedrock::router {

/// What an interactive transaction has read and at which versions, for its commit to be certified
/// against: keys, and ranges as disjoint parts, each at the version at which it was read first.
/// What was read again is not kept twice: had it changed in between, the commit would have to fail
/// anyway. So no read may be of an older version than one before it. Pure; one thread.
class ReadSet {
 public:
  void AddKey(std::string_view key, Version at);
  /// [begin, end); an empty end is unbounded. REQUIRES: the range has keys.
  void AddRange(std::string_view begin, std::string_view end, Version at);

  /// The views are of this. Reads at `usual` leave their version out.
  void AppendTo(Version usual, std::vector<proto::Read>* reads) const;

  bool empty() const { return keys_.empty() && ranges_.empty(); }
  std::size_t size() const { return keys_.size() + ranges_.size(); }
  /// Of keys and ends, and something for each.
  std::uint64_t bytes() const { return bytes_; }
  /// Whether there are reads at different versions.
  bool mixed() const { return oldest_ != newest_; }
  /// 0 where there are no reads.
  Version newest() const { return newest_; }

 private:
  struct Part {
    std::string end;
    Version at;
  };
  using Ranges = std::map<std::string, Part, std::less<>>;  // by begin

  void AddPart(std::string_view begin, std::string_view end, Version at);
  void Note(Version at);

  std::map<std::string, Version, std::less<>> keys_;
  Ranges ranges_;
  std::uint64_t bytes_ = 0;
  Version oldest_;
  Version newest_;
};

}  // namespace bedrock::router
