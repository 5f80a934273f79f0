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

/// History says nothing of what is held now.
bool OnlyDropsHistory(const raft::Entry& entry) {
  const auto command = proto::DecodeCommand(entry.payload.view());
  return command.ok() &&
         std::all_of(command->operations.begin(), command->operations.end(),
                     [](const proto::Operation& operation) {
                       return operation.kind == proto::Operation::Kind::kDropHistory;
                     });
}

}  // namespace

std::string CheckWatch::OnEntry(const raft::Entry& entry) {
  if (entry.kind != raft::EntryKind::kCommand) return {};
  const auto check = proto::DecodeCheckState(entry.payload.view());
  if (!check.ok()) {
    if (!OnlyDropsHistory(entry)) {
      written_ = entry.index;
      ++writes_;
    }
    return {};
  }
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

std::string CheckWatch::OnFound(NodeId node, const raft::StateCheck& check) {
  Check& known = checks_[check.index];
  const auto otherwise = did_otherwise_.find(node);
  if (otherwise != did_otherwise_.end() && otherwise->second < check.index) {
    did_otherwise_.erase(otherwise);
    if (check.kind == Kind::kHash) known.wrong.push_back(check);
  }
  std::vector<raft::StateCheck>& found = known.found[node];
  if (check.kind == Kind::kUnknown) return {};
  if (std::find(found.begin(), found.end(), check) == found.end()) found.push_back(check);
  return Overlooked(known);
}

/// Who is right may be known before or after.
std::string CheckWatch::Overlooked(const Check& check) {
  const auto& wrong = check.wrong;
  const bool seen =
      !check.right || std::find(wrong.begin(), wrong.end(), *check.right) == wrong.end();
  return seen ? std::string() : At(check.right->index, "the same after something else was done");
}

void CheckWatch::OnRecovered(NodeId node, LogIndex index) {
  const auto otherwise = did_otherwise_.find(node);
  if (otherwise != did_otherwise_.end() && index < otherwise->second)
    did_otherwise_.erase(otherwise);
}

std::string CheckWatch::OnRight(const raft::StateCheck& check) {
  Check& known = checks_[check.index];
  if (!known.right) known.right = check;
  return *known.right == check ? Overlooked(known) : At(check.index, "not what another one gave");
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

bool CheckWatch::LookedAtAll() const {
  std::uint64_t since = pass_ + 1;  // the first pass that began after the last write
  for (auto check = checks_.upper_bound(written_); check != checks_.end(); ++check) {
    if (check->second.from.empty()) since = std::min(since, check->second.pass);
    const auto& next = check->second.next;
    if (check->second.pass >= since && next && next->empty()) return true;
  }
  return false;
}

}  // namespace bedrock::sim
