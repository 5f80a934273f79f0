#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/raft.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

/// A message to `to`, of one kind.
template <typename T>
struct To {
  std::uint64_t to;
  T message;
};

/// Node 1 of a cluster whose other members are played by the test: it says what they send and looks
/// at what node 1 does. Writes are done at once unless `sync` is off.
class LoneNode {
 public:
  explicit LoneNode(Recovered recovered, const Limits& limits = {}, std::uint64_t seed = 1);
  /// A new node of a cluster of `voters`.
  static LoneNode Fresh(std::size_t voters = 3, const Limits& limits = {});
  /// Node 1 leads the others of `voters`, all of which hold its whole log. What it has sent until
  /// then can still be taken.
  static LoneNode Leading(std::size_t voters, const Limits& limits);

  void Tick(std::uint64_t ticks = 1);
  void Jump(std::uint64_t ticks);
  void Receive(std::uint64_t from, Message message);
  Proposed Propose(std::initializer_list<std::string_view> payloads, std::uint64_t time_ms = 0,
                   FreesRoom frees_room = FreesRoom::kNo);
  Transferring Transfer(std::uint64_t to);
  Reconfiguring Reconfigure(const Delta& delta);
  void Read(std::uint64_t ticket);
  void RoomLow(bool low);
  void DiskFull(bool full);
  /// Writes up to `seq` are done; all of them by default.
  void Sync(std::optional<std::uint64_t> seq = {});
  /// Carries out what the core wants.
  void Run();
  /// Ticks until the node asks for pre-votes; how many ticks that took.
  std::uint64_t TickUntilCampaign();
  /// From a follower to a candidate whom a pre-vote majority waved through.
  void BecomeCandidate();
  /// From a follower to a leader whose first entry is neither acknowledged nor committed.
  void BecomeLeader();
  /// The follower acknowledges all of the leader's log.
  void AcknowledgeAll(std::uint64_t follower);
  /// A tick in which nodes 2 and 3 answer the leader's heartbeat and acknowledge its whole log.
  void TickAnswered();

  View view() const { return raft.GetView(); }
  Term term() const { return view().term; }

  /// What was sent of one kind since it was last taken.
  template <typename T>
  std::vector<To<T>> Take() {
    std::vector<To<T>> taken;
    std::vector<Outgoing> rest;
    for (Outgoing& outgoing : sent) {
      if (auto* message = std::get_if<T>(&outgoing.message)) {
        taken.push_back({outgoing.to.value(), std::move(*message)});
      } else {
        rest.push_back(std::move(outgoing));
      }
    }
    sent = std::move(rest);
    return taken;
  }
  /// As Take, of the messages to one node.
  template <typename T>
  std::vector<T> TakeTo(std::uint64_t to) {
    std::vector<T> taken;
    for (To<T>& m : Take<T>()) {
      if (m.to == to) taken.push_back(std::move(m.message));
    }
    return taken;
  }

  Raft raft;
  bool sync = true;
  std::vector<Outgoing> sent;
  std::deque<HeldMessage> held;
  std::vector<Write> writes;  ///< All there ever were.
  WriteSeq done;
  std::vector<ApplyRange> applied;
  bool report_applied = true;
  std::vector<ReadReady> reads_ready;
  std::vector<Ticket> reads_failed;
  std::vector<Fetch> fetches;
  LogIndex compacted;
  std::vector<SnapshotWanted> wanted;  ///< All there ever were.
  std::uint64_t tick = 100;            ///< Ticks do not start at 0.
};

// Short forms of what tests write often.

Membership Voters(std::size_t count);
/// A log of the given terms, from index 1 on, and the promise of `term`.
Recovered LogOfTerms(std::initializer_list<std::uint64_t> terms, std::uint64_t term,
                     std::size_t voters = 3);
Entry MakeEntry(std::uint64_t term, std::uint64_t index, std::string_view payload = "x");
/// An append whose entries have the given terms.
AppendRequest MakeAppend(std::uint64_t term, std::uint64_t prev_term, std::uint64_t prev_index,
                         std::initializer_list<std::uint64_t> terms, std::uint64_t commit = 0);
AppendReply Accepted(Term term, std::uint64_t index, std::uint64_t round = 0);
AppendReply RefusedAt(Term term, std::uint64_t index, std::uint64_t hint_term,
                      std::uint64_t hint_index);
VoteRequest AskVote(std::uint64_t term, std::uint64_t last_term, std::uint64_t last_index);
VoteRequest AskPreVote(std::uint64_t term, std::uint64_t last_term, std::uint64_t last_index);
/// The terms of the node's whole log.
std::vector<std::uint64_t> TermsOf(const Raft& raft);

}  // namespace bedrock::raft
