#include "raftd/server/check_ledger.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "raftd/core/quorum.h"

namespace bedrock::raft {

namespace {

using Kind = StateCheck::Kind;

}  // namespace

void CheckLedger::Add(NodeId member, const StateCheck& check) {
  if (entries_.size() == kEntriesMax && !entries_.contains(check.index)) {
    if (check.index < entries_.begin()->first) return;
    entries_.erase(entries_.begin());
  }
  entries_[check.index][member] = {.check = check, .judged = false};
}

void CheckLedger::Clear() { *this = CheckLedger(); }

std::vector<CheckLedger::Finding> CheckLedger::Judge(const Membership& membership) {
  std::vector<Finding> findings;
  differing_ = LogIndex();
  for (auto& [index, entry] : entries_) {
    std::erase_if(entry, [&](const auto& said) { return !IsMember(membership, said.first); });
    const auto has = [&answers = entry](NodeId member, std::uint64_t hash) {
      const auto said = answers.find(member);
      return said != answers.end() && said->second.check.kind == Kind::kHash &&
             said->second.check.hash == hash;
    };
    std::optional<std::uint64_t> right;
    std::optional<StateCheck> first;
    bool differ = false;
    for (const auto& [member, said] : entry) {
      if (said.check.kind == Kind::kUnknown) continue;
      if (first && said.check != *first) differ = true;
      first = said.check;
      // Damage needs no second one to be wrong, but a quorum that holds what is right.
      if (said.check.kind == Kind::kDamaged) differ = true;
      if (said.check.kind != Kind::kHash) continue;
      const std::uint64_t hash = said.check.hash;
      if (HasQuorum(membership, [&](NodeId voter) { return has(voter, hash); })) right = hash;
    }
    if (!right) {
      if (differ) differing_ = index;
      continue;
    }
    agreed_ = std::max(agreed_, index);
    for (auto& [member, said] : entry) {
      if (said.judged || said.check.kind == Kind::kUnknown) continue;
      said.judged = true;
      const bool agrees = has(member, *right);
      findings.push_back(
          {.member = member,
           .check = said.check,
           .verdict = agrees ? StateVerdict::Kind::kAgreed : StateVerdict::Kind::kDiverged});
    }
  }
  if (differing_ < agreed_) differing_ = LogIndex();
  return findings;
}

}  // namespace bedrock::raft
