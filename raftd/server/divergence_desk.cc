#include "raftd/server/divergence_desk.h"

#include <algorithm>
#include <string>
#include <utility>

#include "proto/command.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {

namespace {

using proto::ErrorCode;

std::string_view WhatOf(const StateCheck& check) {
  return check.kind == StateCheck::Kind::kDamaged ? "a part of its state can't be read"
                                                  : "its hash is another one";
}

}  // namespace

// ---- Input

void DivergenceDesk::OnProgress(const proto::ApplyProgress& progress) {
  if (progress.health == ErrorCode::kDiverged) wrong_.reset();
  applied_ = progress.applied;
  if (!progress.state) return;
  const LogIndex before = state_.checks.empty() ? LogIndex() : state_.checks.back().index;
  state_ = *progress.state;
  told_state_ = true;
  // What was found before is not what these data say: they were rebuilt, or replayed from before.
  if (wrong_ && !Gave(*wrong_)) wrong_.reset();
  compare_ = true;
  const LogIndex now = state_.checks.empty() ? LogIndex() : state_.checks.back().index;
  if (now < before) settled_ = std::min(settled_, now);
  if (now == before) return;
  said_at_ms_.reset();
  look_at_ms_.reset();
}

void DivergenceDesk::OnChecks(NodeId from, const StateChecks& told) {
  const View view = core_.GetView();
  if (view.role != Role::kLeader || told.term != view.term || view.term != term_) return;
  if (!IsMember(core_.membership(), from)) return;
  const std::size_t count = std::min(told.checks.size(), kStateChecksMax);
  for (std::size_t i = told.checks.size() - count; i < told.checks.size(); ++i) {
    // Nothing that anybody could have applied.
    if (told.checks[i].index > view.last_index) continue;
    ledger_.Add(from, told.checks[i]);
    compare_ = true;
  }
  look_at_ms_.reset();
}

void DivergenceDesk::OnVerdict(NodeId from, const StateVerdict& verdict) {
  const View view = core_.GetView();
  if (verdict.term != view.term || from != view.leader || !Gave(verdict.check)) return;
  settled_ = std::max(settled_, verdict.check.index);
  if (verdict.kind != StateVerdict::Kind::kDiverged) return;
  wrong_ = verdict.check;
  ordered_at_ms_.reset();
  look_at_ms_.reset();
}

bool DivergenceDesk::Gave(const StateCheck& check) const {
  return check.kind != StateCheck::Kind::kUnknown &&
         std::find(state_.checks.begin(), state_.checks.end(), check) != state_.checks.end();
}

// ---- Output

void DivergenceDesk::Step(const Situation& situation) {
  if (look_at_ms_ && situation.now_ms < *look_at_ms_) return;
  look_at_ms_ = situation.now_ms + kLookMs;
  const View view = core_.GetView();
  Follow(view, situation);
  if (view.role == Role::kLeader) {
    Compare(view, situation.now_ms);
    WatchDiffering(situation.now_ms);
    Propose(view, situation);
  } else {
    Tell(view, situation.now_ms);
  }
  Quarantine(situation.now_ms);
}

void DivergenceDesk::Follow(const View& view, const Situation& situation) {
  if (view.term == term_ && view.leader == leader_) return;
  term_ = view.term;
  leader_ = view.leader;
  ledger_.Clear();
  compare_ = true;
  differing_ = LogIndex();
  differing_since_ms_.reset();
  proposed_at_ms_ = situation.now_ms;
  proposed_ = pass_first_ = settled_ = LogIndex();
  begin_ = view.last_index;
  said_at_ms_.reset();
}

void DivergenceDesk::Compare(const View& view, std::uint64_t now_ms) {
  if (!std::exchange(compare_, false)) return;
  // One that is quarantined has been judged.
  if (!state_.diverged_at) TellLedgerOfOwn(view);
  for (const CheckLedger::Finding& finding : ledger_.Judge(core_.membership())) {
    Judge(view, finding, now_ms);
  }
}

void DivergenceDesk::TellLedgerOfOwn(const View& view) {
  for (const StateCheck& check : state_.checks) ledger_.Add(view.id, check);
  if (state_.checks.empty()) return;
  const StateCheck& newest = state_.checks.back();
  if (state_.next.empty()) {
    ledger_.Cover(newest, LogIndex());
  } else if (newest.index == proposed_) {
    // Where a pass began that others led, only the log knows.
    ledger_.Cover(newest, pass_since_);
  }
}

void DivergenceDesk::Judge(const View& view, const CheckLedger::Finding& finding,
                           std::uint64_t now_ms) {
  const bool wrong = finding.verdict == StateVerdict::Kind::kDiverged;
  if (wrong) {
    if (const auto repeats = wrong_limit_.Admit(now_ms)) {
      log::Error("a replica differs from the majority: it has to be rebuilt",
                 {{"node", finding.member},
                  {"index", finding.check.index},
                  {"what", WhatOf(finding.check)},
                  {"repeats", *repeats}});
    }
  }
  if (finding.member != view.id) {
    peers_.Send(finding.member,
                StateVerdict{.term = view.term, .kind = finding.verdict, .check = finding.check});
  } else if (wrong && !wrong_) {
    wrong_ = finding.check;
    ordered_at_ms_.reset();
  }
}

void DivergenceDesk::WatchDiffering(std::uint64_t now_ms) {
  if (!ledger_.differing()) {
    if (differing_) {
      log::Info("replicas agree again, or a majority does",
                {{"differed", differing_}, {"agreed", ledger_.agreed()}});
    }
    differing_ = LogIndex();
    differing_since_ms_.reset();
    return;
  }
  if (!differing_since_ms_) differing_since_ms_ = now_ms;
  if (!differing_ && !ledger_.split() && now_ms - *differing_since_ms_ < kDifferMs) return;
  if (!differing_) {
    log::Error("replicas differ, and no majority says which one is right",
               {{"index", ledger_.differing()}});
  }
  differing_ = ledger_.differing();
}

void DivergenceDesk::Propose(const View& view, const Situation& situation) {
  if (pace_.check_ms == 0 || !told_state_ || situation.storage_health != ErrorCode::kOk ||
      view.handing_over_to || situation.now_ms - proposed_at_ms_ < pace_.check_ms) {
    return;
  }
  // A check of an earlier leader's that is not applied yet may end the pass, or begin one, and the
  // slices would not follow on each other.
  if (applied_ < begin_) return;
  const LogIndex checked = state_.checks.empty() ? LogIndex() : state_.checks.back().index;
  if (checked < proposed_) return;  // it is on its way
  const bool pass_goes_on = !state_.next.empty();
  // What was proposed in an earlier term stands before this leader's first pass, or nowhere.
  const bool written_behind =
      situation.written.term == view.term && situation.written.index > pass_first_;
  // The first pass of all, or one of which a slice could not be read, gives no hash.
  const bool compared =
      !state_.checks.empty() && state_.checks.back().kind != StateCheck::Kind::kUnknown;
  const bool all_was_seen = pass_first_ && !written_behind && compared;
  if (!pass_goes_on && all_was_seen && !ledger_.differing()) return;
  const Bytes payload(
      proto::EncodeCheckState({.from = state_.next.view(), .bytes_max = pace_.slice_bytes}));
  proposed_at_ms_ = situation.now_ms;
  const Proposed proposed = core_.Propose({&payload, 1}, situation.wall_ms);
  if (proposed.refused) return;
  if (!pass_goes_on) {
    pass_first_ = proposed.first;
    // What a pass begins with tells of the pass before, too, which is not in the hashes behind it.
    pass_since_ = proposed.first.Next();
  } else if (!proposed_) {
    pass_since_ = proposed.first;
  }
  proposed_ = proposed.first;
}

void DivergenceDesk::Tell(const View& view, std::uint64_t now_ms) {
  if (!view.leader || state_.checks.empty() || state_.diverged_at) return;
  const StateCheck& newest = state_.checks.back();
  if (newest.index <= settled_ || newest.kind == StateCheck::Kind::kUnknown) return;
  if (said_at_ms_ && now_ms - *said_at_ms_ < kRepeatMs) return;
  said_at_ms_ = now_ms;
  StateChecks told{.term = view.term, .checks = {}};
  for (const StateCheck& check : state_.checks) {
    if (check.index > settled_) told.checks.push_back(check);
  }
  peers_.Send(view.leader, told);
}

void DivergenceDesk::Quarantine(std::uint64_t now_ms) {
  if (!wrong_) return;
  if (ordered_at_ms_ && now_ms - *ordered_at_ms_ < kRepeatMs) return;
  if (!ordered_at_ms_) {
    log::Error("this node's state differs from the others': it is quarantined",
               {{"index", wrong_->index}, {"what", WhatOf(*wrong_)}});
  }
  ordered_at_ms_ = now_ms;
  last_request_ = last_request_.Next();
  frames_.ToStorage(last_request_, proto::Quarantine{*wrong_});
}

}  // namespace bedrock::raft
