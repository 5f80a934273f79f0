#include "raftd/server/check_ledger.h"

#include <algorithm>
#include <utility>

#include "raftd/core/quorum.h"

namespace bedrock::raft {

namespace {

using Kind = StateCheck::Kind;

}  // namespace

void CheckLedger::Add(NodeId member, const StateCheck& check) {
  if (entries_.size() == kEntriesMax && !entries_.contains(check.index)) {
    if (check.index < entries_.begin()->first) return;
    Forget();
  }
  entries_[check.index].said[member] = {.check = check, .judged = false};
}

void CheckLedger::Forget() {
  const auto oldest = entries_.begin();
  const Standing standing = oldest->second.standing;
  if (standing == Standing::kDiffers || standing == Standing::kSplit) {
    if (!forgotten_.last) forgotten_.first = oldest->first;
    forgotten_.last = std::max(forgotten_.last, oldest->first);
  }
  entries_.erase(oldest);
}

void CheckLedger::Cover(const StateCheck& check, LogIndex since) {
  const auto found = entries_.find(check.index);
  if (found == entries_.end()) return;
  found->second.covering = check;
  found->second.covers_since = since;
}

void CheckLedger::Clear() { *this = CheckLedger(); }

std::vector<CheckLedger::Finding> CheckLedger::Judge(const Membership& membership) {
  std::vector<Finding> findings;
  for (auto& [index, entry] : entries_) {
    std::erase_if(entry.said, [&](const auto& said) { return !IsMember(membership, said.first); });
    if (const auto right = RightOf(entry, membership)) {
      agreed_ = std::max(agreed_, index);
      JudgeEntry(entry, *right, findings);
      const bool covers =
          entry.covering && entry.covering->kind == Kind::kHash && entry.covering->hash == *right;
      Settle(covers ? std::min(entry.covers_since, index) : index, index);
    } else if (entry.standing != Standing::kSettled && index > settled_) {
      entry.standing = std::max(entry.standing, StandingOf(entry, membership));
    }
  }
  NoteDifferences();
  return findings;
}

bool CheckLedger::Has(const Entry& entry, NodeId member, std::uint64_t hash) {
  const auto said = entry.said.find(member);
  return said != entry.said.end() && said->second.check.kind == Kind::kHash &&
         said->second.check.hash == hash;
}

std::optional<std::uint64_t> CheckLedger::RightOf(const Entry& entry,
                                                  const Membership& membership) {
  for (const auto& [member, said] : entry.said) {
    if (said.check.kind != Kind::kHash) continue;
    const std::uint64_t hash = said.check.hash;
    if (HasQuorum(membership, [&](NodeId voter) { return Has(entry, voter, hash); })) return hash;
  }
  return std::nullopt;
}

/// REQUIRES: no hash has a quorum.
CheckLedger::Standing CheckLedger::StandingOf(const Entry& entry, const Membership& membership) {
  const auto may_speak = [&](NodeId voter) {
    const auto said = entry.said.find(voter);
    return said == entry.said.end() || said->second.check.kind == Kind::kUnknown;
  };
  std::optional<StateCheck> first;
  bool differ = false;
  bool open = membership.voters.empty() || HasQuorum(membership, may_speak);
  for (const auto& [member, said] : entry.said) {
    if (said.check.kind == Kind::kUnknown) continue;
    if (first && said.check != *first) differ = true;
    first = said.check;
    // Damage needs no second one to be wrong, but a quorum that holds what is right.
    if (said.check.kind == Kind::kDamaged) differ = true;
    if (said.check.kind != Kind::kHash) continue;
    const std::uint64_t hash = said.check.hash;
    open = open || HasQuorum(membership, [&](NodeId voter) {
             return may_speak(voter) || Has(entry, voter, hash);
           });
  }
  if (!differ) return Standing::kOpen;
  return open ? Standing::kDiffers : Standing::kSplit;
}

void CheckLedger::JudgeEntry(Entry& entry, std::uint64_t right, std::vector<Finding>& findings) {
  for (auto& [member, said] : entry.said) {
    if (said.judged || said.check.kind == Kind::kUnknown) continue;
    said.judged = true;
    const bool agrees = Has(entry, member, right);
    findings.push_back(
        {.member = member,
         .check = said.check,
         .verdict = agrees ? StateVerdict::Kind::kAgreed : StateVerdict::Kind::kDiverged});
  }
}

/// For good: what comes late of one that was rebuilt meanwhile is no new difference.
void CheckLedger::Settle(LogIndex since, LogIndex last) {
  const auto end = entries_.upper_bound(last);
  for (auto it = entries_.lower_bound(since); it != end; ++it) {
    it->second.standing = Standing::kSettled;
  }
  if (since <= forgotten_.first && forgotten_.last <= last) forgotten_ = {};
  if (!since) settled_ = std::max(settled_, last);
}

void CheckLedger::NoteDifferences() {
  differing_ = forgotten_.last;
  split_ = false;
  for (const auto& [index, entry] : entries_) {
    if (entry.standing != Standing::kDiffers && entry.standing != Standing::kSplit) continue;
    differing_ = std::max(differing_, index);
    split_ = split_ || entry.standing == Standing::kSplit;
  }
}

}  // namespace bedrock::raft
