#include "tests/unit/raftd/core/lone_node.h"

#include "common/base/check.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {

LoneNode::LoneNode(Recovered recovered, const Limits& limits, std::uint64_t seed)
    : raft(NodeId(1), limits, std::move(recovered), seed) {
  raft.Tick(tick);
  Run();
}

LoneNode LoneNode::Fresh(std::size_t voters, const Limits& limits) {
  return LoneNode(LogOfTerms({}, 0, voters), limits);
}

LoneNode LoneNode::Leading(std::size_t voters, const Limits& limits) {
  LoneNode node = Fresh(voters, limits);
  node.BecomeLeader();
  for (std::uint64_t peer = 2; peer <= voters; ++peer) node.AcknowledgeAll(peer);
  return node;
}

void LoneNode::Tick(std::uint64_t ticks) {
  for (std::uint64_t i = 0; i < ticks; ++i) Jump(1);
}

void LoneNode::Jump(std::uint64_t ticks) {
  tick += ticks;
  raft.Tick(tick);
  Run();
}

void LoneNode::Receive(std::uint64_t from, Message message) {
  raft.Receive(NodeId(from), std::move(message));
  Run();
}

Proposed LoneNode::Propose(std::initializer_list<std::string_view> payloads, std::uint64_t time_ms,
                           FreesRoom frees_room) {
  std::vector<Bytes> bytes;
  for (std::string_view payload : payloads) bytes.push_back(Bytes::Copy(payload));
  const Proposed proposed = raft.Propose(bytes, time_ms, frees_room);
  Run();
  return proposed;
}

Transferring LoneNode::Transfer(std::uint64_t to) {
  const Transferring result = raft.Transfer(NodeId(to));
  Run();
  return result;
}

Reconfiguring LoneNode::Reconfigure(const Delta& delta) {
  const Reconfiguring result = raft.Reconfigure(delta);
  Run();
  return result;
}

void LoneNode::Read(std::uint64_t ticket) {
  raft.Read(Ticket(ticket));
  Run();
}

void LoneNode::RoomLow(bool low) {
  raft.RoomLow(low);
  Run();
}

void LoneNode::DiskFull(bool full) {
  raft.DiskFull(full);
  Run();
}

void LoneNode::Sync(std::optional<std::uint64_t> seq) {
  const WriteSeq up_to = seq ? WriteSeq(*seq) : writes.empty() ? WriteSeq() : writes.back().seq;
  CHECK(done <= up_to);
  done = up_to;
  raft.Durable(done);
  while (!held.empty() && held.front().after <= done) {
    sent.push_back(std::move(held.front().outgoing));
    held.pop_front();
  }
  Run();
}

void LoneNode::Run() {
  for (;;) {
    Output output = raft.Poll();
    if (output.empty()) break;
    if (output.write) writes.push_back(std::move(*output.write));
    for (Outgoing& outgoing : output.now) sent.push_back(std::move(outgoing));
    for (HeldMessage& message : output.held) held.push_back(std::move(message));
    for (const ReadReady& read : output.reads_ready) reads_ready.push_back(read);
    for (Ticket ticket : output.reads_failed) reads_failed.push_back(ticket);
    for (const Fetch& fetch : output.fetches) fetches.push_back(fetch);
    if (output.compact_up_to) compacted = output.compact_up_to;
    if (output.snapshot_wanted) wanted.push_back(*output.snapshot_wanted);
    if (output.apply) {
      const LogIndex last = output.apply->last;
      applied.push_back(std::move(*output.apply));
      if (report_applied) raft.Applied(last, last);
    }
  }
  if (sync && !writes.empty() && done < writes.back().seq) Sync();
}

std::uint64_t LoneNode::TickUntilCampaign() {
  for (std::uint64_t ticks = 1; ticks <= 1000; ++ticks) {
    Tick();
    if (view().role != Role::kFollower) return ticks;
  }
  CHECK_MSG(false, "it never runs for office");
  return 0;
}

void LoneNode::BecomeCandidate() {
  TickUntilCampaign();
  const Term next = term().Next();
  const std::vector<NodeId> voters = AllMembers(raft.membership());
  for (NodeId voter : voters) {
    if (view().role != Role::kPreCandidate) break;
    if (voter != NodeId(1)) Receive(voter.value(), VoteReply{PreVote::kYes, next, true});
  }
  CHECK(view().role == Role::kCandidate);
}

void LoneNode::BecomeLeader() {
  BecomeCandidate();
  const std::vector<NodeId> voters = AllMembers(raft.membership());
  for (NodeId voter : voters) {
    if (view().role != Role::kCandidate) break;
    if (voter != NodeId(1)) Receive(voter.value(), VoteReply{PreVote::kNo, term(), true});
  }
  CHECK(view().role == Role::kLeader);
}

void LoneNode::AcknowledgeAll(std::uint64_t follower) {
  Receive(follower, Accepted(term(), view().last_index.value()));
}

void LoneNode::TickAnswered() {
  Tick();
  for (const std::uint64_t peer : {2U, 3U}) {
    Receive(peer, HeartbeatReply{term(), 0});
    AcknowledgeAll(peer);
  }
}

Membership Voters(std::size_t count) {
  Membership membership;
  for (std::uint64_t id = 1; id <= count; ++id) membership.voters.emplace_back(id);
  return membership;
}

Recovered LogOfTerms(std::initializer_list<std::uint64_t> terms, std::uint64_t term,
                     std::size_t voters) {
  Recovered recovered;
  recovered.vote.term = Term(term);
  recovered.membership = Voters(voters);
  for (std::uint64_t t : terms) {
    recovered.last_index = recovered.last_index.Next();
    if (recovered.terms.empty() || recovered.terms.back().term != Term(t)) {
      recovered.terms.push_back({recovered.last_index, Term(t)});
    }
  }
  return recovered;
}

Entry MakeEntry(std::uint64_t term, std::uint64_t index, std::string_view payload) {
  return {.index = LogIndex(index),
          .term = Term(term),
          .kind = EntryKind::kCommand,
          .time_ms = 0,
          .payload = Bytes::Copy(payload)};
}

AppendRequest MakeAppend(std::uint64_t term, std::uint64_t prev_term, std::uint64_t prev_index,
                         std::initializer_list<std::uint64_t> terms, std::uint64_t commit) {
  AppendRequest request{.term = Term(term),
                        .prev_index = LogIndex(prev_index),
                        .prev_term = Term(prev_term),
                        .commit = LogIndex(commit),
                        .read_round = 0,
                        .trim = {},
                        .entries = {}};
  for (std::uint64_t t : terms) request.entries.push_back(MakeEntry(t, ++prev_index));
  return request;
}

AppendReply Accepted(Term term, std::uint64_t index, std::uint64_t round) {
  return {.term = term,
          .accepted = true,
          .index = LogIndex(index),
          .hint_index = {},
          .hint_term = {},
          .read_round = round};
}

AppendReply RefusedAt(Term term, std::uint64_t index, std::uint64_t hint_term,
                      std::uint64_t hint_index) {
  return {.term = term,
          .accepted = false,
          .index = LogIndex(index),
          .hint_index = LogIndex(hint_index),
          .hint_term = Term(hint_term),
          .read_round = 0};
}

VoteRequest AskVote(std::uint64_t term, std::uint64_t last_term, std::uint64_t last_index) {
  return {PreVote::kNo, Term(term), LogIndex(last_index), Term(last_term)};
}

VoteRequest AskPreVote(std::uint64_t term, std::uint64_t last_term, std::uint64_t last_index) {
  return {PreVote::kYes, Term(term), LogIndex(last_index), Term(last_term)};
}

std::vector<std::uint64_t> TermsOf(const Raft& raft) {
  std::vector<std::uint64_t> terms;
  const View view = raft.GetView();
  for (LogIndex i = view.first_index; i <= view.last_index; i = i.Next()) {
    terms.push_back(raft.TermAt(i)->value());
  }
  return terms;
}

}  // namespace bedrock::raft
