#pragma once

#include <cstdint>

#include "common/base/ids.h"
#include "proto/client_messages.h"

namespace bedrock::router {

/// Who leads, as far as a router can know: from what raftds say of themselves and of others, and
/// from their refusals. Never authoritative: a wrong belief costs a retry, not safety.
///
/// - A higher term replaces everything that was known of lower ones.
/// - Within a term there is one leader; who was seen to lead it and then says it does not has
///   stepped down for the rest of that term, and what others still say of it is old news.
/// - A belief that nobody has confirmed for `silence_ms` is none.
///
/// Pure; one thread.
class LeaderCache {
 public:
  struct Leader {
    NodeId node;  ///< None: unknown.
    Term term;

    friend bool operator==(const Leader&, const Leader&) = default;
  };

  explicit LeaderCache(std::uint64_t silence_ms) : silence_ms_(silence_ms) {}

  void OnStatus(const proto::RaftStatus& status, std::uint64_t now_ms);
  /// `from` said that it does not lead, and who does as far as it knows.
  void OnRefused(NodeId from, NodeId hint, Term term, std::uint64_t now_ms);

  Leader leader(std::uint64_t now_ms) const;

 private:
  /// `from` claims that `leader` (none: it knows of none) leads `term`.
  void Learn(NodeId from, NodeId leader, Term term, std::uint64_t now_ms);

  std::uint64_t silence_ms_;
  Leader leader_;
  bool deposed_ = false;  // leader_.term had a leader, who stepped down
  std::uint64_t confirmed_ms_ = 0;
};

}  // namespace bedrock::router
