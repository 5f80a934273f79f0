#include "tests/unit/raftd/core/trace.h"

#include <sstream>
#include <variant>
#include <vector>

namespace bedrock::raft {

namespace {

struct Text {
  std::ostringstream out;

  template <typename T>
  Text& operator<<(const T& value) {
    out << value;
    return *this;
  }
  template <typename Tag>
  Text& operator<<(StrongId<Tag> id) {
    out << id.value();
    return *this;
  }
};

std::string Node(NodeId id) { return FormatNodeId(id); }

std::string Entries(const std::vector<Entry>& entries) {
  std::string text = "[";
  for (const Entry& entry : entries) {
    if (text.size() > 1) text += " ";
    text += Describe(entry);
  }
  return text + "]";
}

const char* Describe(ReplicationState state) {
  switch (state) {
    case ReplicationState::kProbe:
      return "probe";
    case ReplicationState::kStream:
      return "stream";
    case ReplicationState::kSnapshot:
      return "snapshot";
  }
  return "?";
}

struct DescribeMessage {
  Text text;

  void operator()(const VoteRequest& m) {
    text << (m.pre_vote ? "pre-vote-request" : "vote-request") << " term=" << m.term
         << " last=" << m.last_term << ":" << m.last_index;
    if (m.hand_over) text << " hand-over";
  }
  void operator()(const VoteReply& m) {
    text << (m.pre_vote ? "pre-vote " : "vote ") << (m.granted ? "granted" : "refused")
         << " term=" << m.term;
  }
  void operator()(const AppendRequest& m) {
    text << "append term=" << m.term << " prev=" << m.prev_term << ":" << m.prev_index
         << " commit=" << m.commit << " round=" << m.read_round << " trim=" << m.trim << " "
         << Entries(m.entries);
  }
  void operator()(const AppendReply& m) {
    text << "append " << (m.accepted ? "accepted" : "refused") << " term=" << m.term
         << " index=" << m.index;
    if (!m.accepted) text << " hint=" << m.hint_term << ":" << m.hint_index;
    text << " round=" << m.read_round;
    Promise(m.promise_ms);
  }
  void operator()(const Heartbeat& m) {
    text << "heartbeat term=" << m.term << " commit=" << m.commit << " round=" << m.read_round
         << " trim=" << m.trim;
  }
  void operator()(const HeartbeatReply& m) {
    text << "heartbeat-reply term=" << m.term << " round=" << m.read_round;
    Promise(m.promise_ms);
  }
  void operator()(const ReadIndexRequest& m) { text << "read-request term=" << m.term; }
  void operator()(const ReadIndexReply& m) {
    text << "read-reply term=" << m.term << (m.granted ? " granted" : " refused")
         << " index=" << m.index << (m.leased ? " by-lease" : "");
  }
  void operator()(const TimeoutNow& m) {
    text << "timeout-now term=" << m.term << " last=" << m.last_index;
  }
  void operator()(const SnapshotOffer& m) {
    text << "snapshot-offer term=" << m.term << " index=" << m.index;
  }
  void operator()(const SnapshotOfferReply& m) {
    text << "snapshot-offer-reply term=" << m.term << " installing=" << m.installing;
  }
  void Promise(std::uint32_t ms) {
    if (ms > 0) text << " promise=" << ms << "ms";
  }
};

}  // namespace

std::string Describe(const Message& message) {
  DescribeMessage describe;
  std::visit(describe, message);
  return describe.text.out.str();
}

std::string Describe(const Entry& entry) {
  Text text;
  text << entry.term << ":" << entry.index << "=";
  if (entry.kind == EntryKind::kNoop) {
    text << "-";
  } else if (entry.kind == EntryKind::kMembership) {
    text << Describe(DecodeCheckedMembership(entry.payload.view()));
  } else if (entry.payload.size() > 16) {
    text << "<" << entry.payload.size() << " bytes>";
  } else {
    text << entry.payload.view();
  }
  return text.out.str();
}

std::string Describe(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre-candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "?";
}

std::string Describe(Refused reason) {
  switch (reason) {
    case Refused::kNotLeader:
      return "not leader";
    case Refused::kBusy:
      return "busy";
    case Refused::kMoving:
      return "moving";
    case Refused::kDiskFull:
      return "disk full";
    case Refused::kHalted:
      return "halted";
  }
  return "?";
}

std::string Describe(Transferring result) {
  switch (result) {
    case Transferring::kStarted:
      return "started";
    case Transferring::kNotLeader:
      return "not leader";
    case Transferring::kNotVoter:
      return "not a voter";
    case Transferring::kUnreachable:
      return "unreachable";
    case Transferring::kBusy:
      return "busy";
  }
  return "?";
}

std::string Describe(Reconfiguring result) {
  switch (result) {
    case Reconfiguring::kStarted:
      return "started";
    case Reconfiguring::kNothing:
      return "nothing to do";
    case Reconfiguring::kNotLeader:
      return "not leader";
    case Reconfiguring::kMoving:
      return "moving";
    case Reconfiguring::kBusy:
      return "busy";
    case Reconfiguring::kMemberExists:
      return "member exists";
    case Reconfiguring::kWasMember:
      return "was a member";
    case Reconfiguring::kNoMember:
      return "no member";
    case Reconfiguring::kInvalid:
      return "invalid";
    case Reconfiguring::kLosesQuorum:
      return "loses the quorum";
  }
  return "?";
}

std::string Describe(const Membership& membership) {
  Text text;
  const auto ids = [&text](const char* before, const std::vector<NodeId>& list) {
    if (list.empty()) return;
    text << before;
    for (std::size_t i = 0; i < list.size(); ++i) text << (i > 0 ? " " : "") << list[i];
  };
  ids("{", membership.voters);
  ids(" | ", membership.outgoing);
  text << "}";
  ids(" learners ", membership.learners);
  ids(" promoting ", membership.promoting);
  ids(" retiring ", membership.retiring);
  ids(" removed ", membership.removed);
  return text.out.str();
}

std::string Describe(const Output& output) {
  Text text;
  if (output.write) {
    const Write& write = *output.write;
    text << "  write " << write.seq;
    if (write.vote) text << " term=" << write.vote->term << " vote=" << Node(write.vote->candidate);
    if (write.reset_to) {
      text << " reset=" << write.reset_to->term << ":" << write.reset_to->index << " members "
           << write.reset_to->membership.index << "="
           << Describe(write.reset_to->membership.membership);
      if (write.reset_to->lost_up_to) text << " lost=" << write.reset_to->lost_up_to;
    }
    if (write.cut_from) text << " cut=" << *write.cut_from;
    if (!write.entries.empty()) text << " " << Entries(write.entries);
    text << "\n";
  }
  for (const Outgoing& m : output.now) {
    text << "  -> " << Node(m.to) << " " << Describe(m.message) << "\n";
  }
  for (const HeldMessage& m : output.held) {
    text << "  after write " << m.after << " -> " << Node(m.outgoing.to) << " "
         << Describe(m.outgoing.message) << "\n";
  }
  if (output.apply) {
    text << "  apply " << output.apply->first << ".." << output.apply->last << " "
         << Entries(output.apply->entries) << "\n";
  }
  for (const ReadReady& read : output.reads_ready) {
    text << "  read t" << read.ticket << " at " << read.index << (read.leased ? " by lease" : "")
         << "\n";
  }
  for (Ticket ticket : output.reads_failed) text << "  read t" << ticket << " failed\n";
  for (const Fetch& fetch : output.fetches) {
    text << "  fetch " << fetch.first << ".." << fetch.last << " for " << Node(fetch.follower)
         << "\n";
  }
  if (output.compact_up_to) text << "  compact " << output.compact_up_to << "\n";
  if (output.snapshot_wanted && output.snapshot_wanted->at_least) {
    text << "  wants a snapshot from " << output.snapshot_wanted->at_least << " on of "
         << Node(output.snapshot_wanted->from) << "\n";
  } else if (output.snapshot_wanted) {
    text << "  wants no snapshot any more\n";
  }
  if (output.membership_changed) text << "  has another membership\n";
  return text.out.str();
}

std::string Describe(const View& view) {
  Text text;
  text << Describe(view.role) << " term=" << view.term << " vote=" << Node(view.vote)
       << " leader=" << Node(view.leader) << " log=" << view.first_index << ".." << view.last_index
       << " durable=" << view.durable_index << " commit=" << view.commit
       << " applied=" << view.applied;
  if (view.refilling) text << " refilling";
  if (view.disk_stalled) text << " disk-stalled";
  if (view.room_low) text << " room-low";
  if (view.disk_full) text << " disk-full";
  if (view.lease_until > 0) text << " lease-until=" << view.lease_until;
  if (view.snapshot_wanted.at_least) {
    text << " wants-snapshot=" << view.snapshot_wanted.at_least << "@"
         << Node(view.snapshot_wanted.from);
  }
  if (view.handing_over_to) text << " hands-over-to=" << Node(view.handing_over_to);
  for (const MemberProgress& member : view.members) {
    text << "\n  " << Node(member.id) << " " << Describe(member.state) << " match=" << member.match
         << " next=" << member.next << " window=" << member.window_messages
         << (member.recently_active ? "" : " silent");
    if (member.installing) text << " installing=" << member.installing;
  }
  return text.out.str();
}

}  // namespace bedrock::raft
