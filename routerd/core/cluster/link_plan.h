#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/base/ids.h"
#include "routerd/core/base/types.h"

namespace bedrock::router {

/// Which links are open: those to the daemons of every node that takes part, and for a while to
/// those of nodes that left, so that the answers they still owe arrive.
///
/// Pure; one thread.
class LinkPlan {
 public:
  static constexpr std::uint64_t kLingerMs = 2000;

  explicit LinkPlan(NodeId self) : self_(self) {}

  /// `members` take part from now on. Says what opens, moves and closes.
  void Follow(const std::vector<MemberSeed>& members, std::uint64_t now_ms, Effects* effects);
  /// Closes what has lingered long enough.
  void Advance(std::uint64_t now_ms, Effects* effects);

 private:
  struct Node {
    MemberSeed seed;
    std::uint64_t close_ms = 0;  // 0: it takes part
  };

  /// From one set of endpoints to another; an empty one is none.
  void Change(NodeId node, const MemberSeed& from, const MemberSeed& to, Effects* effects) const;

  const NodeId self_;
  std::map<NodeId, Node> nodes_;
  std::uint64_t next_close_ms_ = UINT64_MAX;
};

}  // namespace bedrock::router
