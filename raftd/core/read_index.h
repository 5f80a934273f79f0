#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "common/env/random.h"
#include "raftd/core/raft.h"

namespace bedrock::raft {

/// Who asked the leader for a read index: a reader of its own, or a follower for a batch of its
/// own.
struct Reader {
  NodeId follower;           ///< None: a local reader.
  std::uint64_t number = 0;  ///< The ticket's or the request's.
};

/// A read index that may be given out.
struct ConfirmedRead {
  Reader reader;
  LogIndex index;
};

/// The leader's side of ReadIndex (thesis 6.4). A read's index is the commit index when it came; it
/// is given out when a quorum has confirmed, in a round started after that, that this node still
/// led. One counter numbers the rounds and no id of a caller's ever does (R51).
///
/// Reads that come before the first commit of the term wait for it: until then the leader does not
/// know what is committed (R50).
class LeaderReads {
 public:
  explicit LeaderReads(std::size_t pending_max) : pending_max_(pending_max) {}

  /// `commit`: the commit index, if one of the leader's own term is committed. False where too many
  /// wait already.
  bool Add(Reader reader, std::optional<LogIndex> commit);
  /// The first commit of the term, and whatever it is by now.
  void TermCommitted(LogIndex commit);
  /// The newest round that was sent; confirmations of higher ones are nonsense.
  std::uint64_t sent() const { return sent_; }
  /// Reads wait for a round that was not sent yet.
  bool RoundWanted() const { return !open_.empty() && open_.back().round > sent_; }
  /// No round is under way, so the next one may start without waiting for the heartbeat.
  bool Idle() const { return sent_ == confirmed_; }
  void StartRound() { ++sent_; }
  /// A quorum confirmed everything up to `round`.
  std::vector<ConfirmedRead> Confirm(std::uint64_t round);
  /// Nobody else leads now, so all reads that have an index may have it.
  std::vector<ConfirmedRead> ConfirmAll();
  /// Gives up all reads (R52).
  std::vector<Reader> TakeAll();

 private:
  struct Open {
    Reader reader;
    LogIndex index;
    std::uint64_t round;  ///< The first one that was sent after the read came.
  };

  std::size_t pending_max_;
  std::uint64_t sent_ = 0;
  std::uint64_t confirmed_ = 0;
  std::deque<Open> open_;        ///< Rounds and indexes never decrease.
  std::vector<Reader> waiting_;  ///< For the first commit of the term.
};

/// The follower's side: gathers readers into one request to the leader at a time, and asks again
/// under a new number where no answer comes, also for those who came meanwhile. An answer to an
/// attempt serves the readers who had come when it was sent, and no others (R51).
class FollowerReads {
 public:
  /// False where too many wait already.
  bool Add(Ticket ticket, std::size_t pending_max);
  bool empty() const { return waiting_.empty() && asked_.empty(); }
  /// The number for a request that is due at `now`: a new batch, or a new attempt where the last
  /// one is `retry_ticks` old. Numbers are random, so that no answer to an earlier life of this
  /// node can fit.
  std::optional<std::uint64_t> Due(std::uint64_t now, std::uint64_t retry_ticks, Random& random);
  /// The link broke: the next attempt is due at once.
  void RetryNow() { retry_now_ = true; }
  /// Those that `number` asked for and nobody has answered; none where it is none of ours.
  std::vector<Ticket> Answered(std::uint64_t number);
  /// Gives up all readers (R52).
  std::vector<Ticket> TakeAll();

 private:
  static constexpr std::size_t kAttemptsMax = 16;

  struct Attempt {
    std::uint64_t number;
    std::size_t readers;  ///< It asks for the first so many of asked_.
  };

  std::vector<Ticket> waiting_;
  std::vector<Ticket> asked_;      ///< In the order of their coming.
  std::vector<Attempt> attempts_;  ///< Readers never decrease; the oldest are dropped.
  std::uint64_t asked_at_ = 0;
  bool retry_now_ = false;
};

}  // namespace bedrock::raft
