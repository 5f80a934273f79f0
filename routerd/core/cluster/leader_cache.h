#pragma once

#include <cstdint>

#include "common/base/ids.h"
#include "proto/client_messages.h"

namespace bedrock::router {

/// Who leads, as far as a router can know: from what raftds say of themselves and of others, and
/// from their refusals. Never authoritative: a wrong belief costs a retry, not safety.
///
/// - Whoever leads a higher term replaces everything that was known of lower ones.
/// - Within a term there is one leader; who was seen to lead it and then says it does not has
///   stepped down for the rest of that term, and what others still say of it is old news.
/// - A higher term that nobody is known to lead hides who led before, once: most likely it will be
///   led in a moment. But whoever stands in it may have died, or reach no other node, before
///   anybody heard of it, and then the old leader leads on. So that counts again as soon as it says
///   once more that it leads; where only others say so, `silence_ms` later.
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
  /// `from` is in `term` and knows of nobody who leads it.
  void LearnOfNone(NodeId from, Term term, std::uint64_t now_ms);

  std::uint64_t silence_ms_;
  Leader led_;            // the highest term that somebody was said to lead, and who does
  bool deposed_ = false;  // who led it stepped down
  std::uint64_t confirmed_ms_ = 0;
  Term claimed_;  // the highest term that was heard of with nobody to lead it
  std::uint64_t claimed_ms_ = 0;
  bool hidden_ = false;  // led_, by the claim
};

}  // namespace bedrock::router
