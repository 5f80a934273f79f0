#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/env/environment.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/random.h"
#include "raftd/core/membership.h"
#include "raftd/log/raft_log.h"
#include "tests/unit/raftd/log/log_fixture.h"

namespace bedrock::raft {

/// What a log should hold: a vector.
struct LogModel {
  std::vector<Entry> entries;  ///< From index 1 on.
  Vote vote;
  LogIndex commit;  ///< Nothing up to here is ever cut.
  LogIndex base;  ///< Of the newest reset: entries up to here stand for nothing, but for its term.
  MembershipChange base_membership{LogIndex(), ThreeVoters()};

  LogIndex last_index() const { return LogIndex(entries.size()); }
  Term last_term() const { return entries.empty() ? Term() : entries.back().term; }

  void Apply(const Write& write) {
    if (write.vote) vote = *write.vote;
    if (write.reset_to) {
      base = commit = write.reset_to->index;
      base_membership = write.reset_to->membership;
      entries.assign(base.value(), Entry());
      entries.back().term = write.reset_to->term;
    }
    if (write.cut_from) entries.resize(write.cut_from->value() - 1);
    entries.insert(entries.end(), write.entries.begin(), write.entries.end());
    commit = std::max(commit, write.commit_hint);
  }

  /// The newest configuration that can't be cut any more.
  MembershipChange CommittedMembership() const {
    MembershipChange newest = base_membership;
    for (std::size_t i = base.value(); i < commit.value(); ++i) {
      if (entries[i].kind != EntryKind::kMembership) continue;
      newest = {entries[i].index, DecodeCheckedMembership(entries[i].payload.view())};
    }
    return newest;
  }
};

inline Membership RandomMembership(Random& random) {
  Membership membership;
  for (std::uint64_t id = 1; id < 9; ++id) {
    if (id == 1 || random.Chance(1, 2)) {
      membership.voters.emplace_back(id);
    } else if (random.Chance(1, 2)) {
      membership.learners.emplace_back(id);
      membership.addresses.push_back({NodeId(id), std::string(random.Below(200), 'x')});
    }
  }
  return membership;
}

/// A snapshot that may take the place of `model`'s log.
inline LogReset RandomReset(Random& random, const LogModel& model, Term term_max) {
  LogReset reset;
  reset.index = LogIndex(random.Between(model.commit.value() + 1,
                                        std::max(model.last_index(), model.commit).value() + 8));
  reset.term = Term(random.Between(1, term_max.value()));
  reset.membership = model.CommittedMembership();
  if (random.Chance(1, 2)) {
    reset.membership = {LogIndex(random.Between(model.commit.value() + 1, reset.index.value())),
                        RandomMembership(random)};
  }
  return reset;
}

/// Any write that may follow `model`.
inline Write RandomWrite(Random& random, const LogModel& model, WriteSeq seq) {
  Write write;
  write.seq = seq;
  Vote vote = model.vote;
  if (random.Chance(1, 4) || !vote.term) {
    if (vote.candidate || random.Chance(1, 2) || !vote.term) {
      vote = {vote.term + random.Between(1, 2), NodeId(random.Below(4))};
    } else {
      vote.candidate = NodeId(random.Between(1, 3));
    }
    write.vote = vote;
  }
  LogIndex last = model.last_index();
  Term term = model.last_term();
  if (random.Chance(1, 15)) {
    write.reset_to = RandomReset(random, model, vote.term);
    last = write.reset_to->index;
    term = write.reset_to->term;
  } else if (random.Chance(1, 5)) {
    write.cut_from = LogIndex(random.Between(model.commit.value() + 1, last.value() + 1));
    last = write.cut_from->Prev();
    term = last ? model.entries[last.value() - 1].term : Term();
  }
  for (std::uint64_t n = random.Below(7); n > 0; --n) {
    term = Term(random.Between(term.value(), vote.term.value()));
    if (term == Term()) term = Term(1);
    last = last.Next();
    Entry entry;
    entry.index = last;
    entry.term = term;
    entry.kind = static_cast<EntryKind>(random.Below(3));
    entry.time_ms = random.Below(1'000'000);
    const std::size_t size = random.Chance(1, 20) ? random.Below(9000) : random.Below(300);
    entry.payload = Bytes(std::string(size, static_cast<char>('a' + random.Below(26))));
    if (entry.kind == EntryKind::kMembership) {
      entry.payload = Bytes(EncodeMembership(RandomMembership(random)));
    }
    write.entries.push_back(std::move(entry));
  }
  const LogIndex commit = write.reset_to ? write.reset_to->index : model.commit;
  if (random.Chance(1, 3))
    write.commit_hint = LogIndex(random.Between(commit.value(), last.value()));
  return write;
}

/// Drives a log and a model with the same random operations. It knows which states a crash may
/// leave: what the last successful Sync covered, and every later submit.
class LogDriver {
 public:
  LogDriver(FileSystem& files, std::string directory) : files_(files), directory_(directory) {}

  /// Opens the log and checks that it is in one of the possible states.
  Status Open() {
    log_.reset();
    executor_.Clear();
    seq_ = WriteSeq();
    auto opened =
        RaftLog::Open({&files_, &clock_, &executor_}, SmallOptions(directory_), ThreeVoters());
    if (!opened.ok()) return opened.status();
    log_ = std::move(opened).value();
    Verify();
    return Status::Ok();
  }
  /// The process ends.
  void Close() { log_.reset(); }

  /// One random operation. An error is the log's.
  Status Step(Random& random) {
    const std::uint64_t kind = random.Below(100);
    if (kind < 55) return Submit(random);
    if (kind < 80) return Sync();
    if (kind < 86) return log_->SyncIdle();
    if (kind < 91) return Compact(random);
    if (kind < 96) executor_.RunOne();
    if (kind >= 96) executor_.RunAll();
    return Read(random);
  }

  Status Sync() {
    RETURN_IF_ERROR(log_->Sync().status());
    states_ = {states_.back()};
    return Status::Ok();
  }

  RaftLog& log() { return *log_; }
  const LogModel& model() const { return states_.back(); }
  bool is_open() const { return log_ != nullptr; }

 private:
  Status Submit(Random& random) {
    const Write write = RandomWrite(random, states_.back(), seq_.Next());
    if (write.cut_from && *write.cut_from <= dropped_up_to_) return Status::Ok();
    // It may come into effect though the call fails.
    if (write.reset_to) dropped_up_to_ = std::max(dropped_up_to_, write.reset_to->index);
    states_.push_back(states_.back());
    states_.back().Apply(write);
    RETURN_IF_ERROR(log_->Submit(write));
    seq_ = write.seq;
    if (write.reset_to) states_ = {states_.back()};
    return Status::Ok();
  }

  Status Compact(Random& random) {
    // The core names only what every state that may come back has committed.
    const LogIndex safe = states_.front().commit;
    if (!safe) return Status::Ok();
    const LogIndex index(random.Between(1, safe.value()));
    dropped_up_to_ = std::max(dropped_up_to_, index);
    return log_->Compact(index);
  }

  Status Read(Random& random) {
    const LogModel& model = states_.back();
    const std::uint64_t low = dropped_up_to_.value() + 1;
    if (low > model.last_index().value()) return Status::Ok();
    const LogIndex first(random.Between(low, model.last_index().value()));
    const LogIndex last(random.Between(first.value(), model.last_index().value()));
    ASSIGN_OR_RETURN(const auto entries, log_->Read(first, last, random.Below(3000)));
    EXPECT_GE(entries.size(), 1U);
    for (std::size_t i = 0; i < entries.size(); ++i)
      EXPECT_EQ(entries[i], model.entries[first.value() - 1 + i]);
    return Status::Ok();
  }

  bool Matches(const LogModel& state) {
    const Recovered& found = log_->recovered();
    if (found.vote != state.vote || found.last_index != state.last_index()) return false;
    if (found.prev_index < state.base) return false;
    if (found.prev_index == found.last_index) return true;
    auto entries = log_->Read(found.prev_index.Next(), found.last_index, std::size_t{1} << 30);
    EXPECT_TRUE(entries.ok()) << entries.status().ToString();
    return entries.ok() &&
           std::equal(entries->begin(), entries->end(),
                      state.entries.begin() + static_cast<std::ptrdiff_t>(found.prev_index.value()),
                      state.entries.end());
  }

  void Verify() {
    const Recovered& found = log_->recovered();
    EXPECT_FALSE(found.health.damaged.has_value());
    EXPECT_FALSE(found.health.lost_up_to);
    EXPECT_LE(found.prev_index, dropped_up_to_);
    const auto state = std::find_if(states_.rbegin(), states_.rend(),
                                    [this](const LogModel& s) { return Matches(s); });
    ASSERT_NE(state, states_.rend())
        << "no state that may have survived has last index " << found.last_index.value()
        << " and vote " << found.vote.term.value() << "/" << found.vote.candidate.value();
    EXPECT_LE(found.commit_hint, std::max(state->commit, dropped_up_to_));
    if (found.prev_index) {
      EXPECT_EQ(found.prev_term, state->entries[found.prev_index.value() - 1].term);
    }
    std::vector<TermRun> terms;
    for (std::size_t i = found.prev_index.value(); i < state->entries.size(); ++i) {
      const Entry& entry = state->entries[i];
      if (terms.empty() || terms.back().term != entry.term)
        terms.push_back({entry.index, entry.term});
    }
    EXPECT_EQ(found.terms, terms);
    if (!terms.empty()) {
      EXPECT_EQ(found.last_time_ms, state->entries.back().time_ms);
    }
    VerifyMemberships(*state);
    states_ = {LogModel(*state)};
  }

  /// All there ever were, or the newest of those that were dropped and all behind it.
  void VerifyMemberships(const LogModel& state) {
    const Recovered& found = log_->recovered();
    MembershipChange base = state.base_membership;
    std::vector<MembershipChange> changes;
    for (const Entry& entry : state.entries) {
      if (entry.index <= state.base || entry.kind != EntryKind::kMembership) continue;
      const MembershipChange change{entry.index, DecodeCheckedMembership(entry.payload.view())};
      if (change.index <= found.membership_index) {
        base = change;
      } else {
        changes.push_back(change);
      }
    }
    EXPECT_EQ(found.membership_index, base.index);
    EXPECT_EQ(found.membership, base.membership);
    EXPECT_EQ(found.membership_changes, changes);
    EXPECT_LE(found.membership_index, dropped_up_to_);
  }

  FileSystem& files_;
  const std::string directory_;
  ManualClock clock_;
  ManualExecutor executor_;
  std::unique_ptr<RaftLog> log_;
  WriteSeq seq_;
  std::vector<LogModel> states_{LogModel()};
  LogIndex dropped_up_to_;
};

}  // namespace bedrock::raft
