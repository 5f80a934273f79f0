#include "tests/sim/cluster/check_watch.h"

#include <algorithm>
#include <iterator>

#include "proto/command.h"
#include "raftd/core/quorum.h"

namespace bedrock::sim {

using Kind = raft::StateCheck::Kind;

namespace {

std::string At(LogIndex index, std::string_view what) {
  return "index " + std::to_string(index.value()) + ": " + std::string(what);
}

}  // namespace

std::string CheckWatch::OnEntry(const raft::Entry& entry) {
  const auto check = proto::DecodeCheckState(entry.payload.view());
  if (entry.kind != raft::EntryKind::kCommand || !check.ok()) return {};
  if (check->from.empty()) ++pass_;
  Check& known = checks_[entry.index];
  known.pass = pass_;
  known.from = check->from;
  return FollowsOn(checks_.find(entry.index));
}

/// Whoever proposes a check goes on where the one before ended, or begins anew. A slice that is
/// left out would be part of no pass.
std::string CheckWatch::FollowsOn(std::map<LogIndex, Check>::const_iterator check) const {
  if (check == checks_.end() || check == checks_.begin() || check->second.from.empty()) return {};
  const auto& before = std::prev(check)->second.next;
  if (!before || *before == check->second.from) return {};
  return At(check->first, "leaves out a slice, or looks at one again");
}

void CheckWatch::OnFound(NodeId node, const raft::StateCheck& check) {
  std::vector<raft::StateCheck>& found = checks_[check.index].found[node];
  if (check.kind == Kind::kUnknown) return;
  if (std::find(found.begin(), found.end(), check) == found.end()) found.push_back(check);
}

std::string CheckWatch::OnRight(const raft::StateCheck& check) {
  std::optional<raft::StateCheck>& right = checks_[check.index].right;
  if (!right) right = check;
  return *right == check ? std::string() : At(check.index, "not what another one gave");
}

std::string CheckWatch::OnNext(LogIndex index, std::string_view next) {
  const auto check = checks_.find(index);
  if (check == checks_.end()) return At(index, "was applied by nobody");
  check->second.next = next;
  return FollowsOn(std::next(check));
}

std::string CheckWatch::OnDiffering(LogIndex index) const {
  const auto check = checks_.find(index);
  if (check == checks_.end()) return At(index, "is no check");
  std::optional<raft::StateCheck> first;
  for (const auto& [node, found] : check->second.found) {
    for (const raft::StateCheck& said : found) {
      if (said.kind == Kind::kDamaged || (first && said != *first)) return {};
      first = said;
    }
  }
  return At(index, "all gave the same");
}

bool CheckWatch::AgreedAt(const Check& check, const raft::Membership& members) const {
  const auto gave = [&](NodeId node, const raft::StateCheck& wanted) {
    const auto found = check.found.find(node);
    return found != check.found.end() &&
           std::find(found->second.begin(), found->second.end(), wanted) != found->second.end();
  };
  for (const auto& [node, found] : check.found) {
    for (const raft::StateCheck& wanted : found) {
      if (wanted.kind == Kind::kHash &&
          raft::HasQuorum(members, [&](NodeId voter) { return gave(voter, wanted); })) {
        return true;
      }
    }
  }
  return false;
}

std::string CheckWatch::OnOver(LogIndex differed, LogIndex agreed,
                               const raft::Membership& members) const {
  const auto first = checks_.find(differed);
  if (first == checks_.end()) return At(differed, "is no check");
  for (auto check = first; check != checks_.end() && check->first <= agreed; ++check) {
    // What a pass begins with speaks of the pass before, too; nothing behind it in its pass does.
    const bool holds = check == first ||
                       (check->second.pass == first->second.pass && !first->second.from.empty()) ||
                       (check->second.next && check->second.next->empty());
    if (holds && AgreedAt(check->second, members)) return {};
  }
  return At(differed, "nobody has looked at it again");
}

std::string CheckWatch::OnHeld(LogIndex differing, LogIndex agreed,
                               const raft::StateCheck& own) const {
  const auto check = checks_.find(agreed);
  const bool agrees = check != checks_.end() && own.kind == Kind::kHash && own.index == agreed &&
                      check->second.right == own;
  return agrees && differing < agreed ? At(differing, "though all of the state agrees") : "";
}

}  // namespace bedrock::sim
