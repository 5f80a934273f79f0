#include "tests/sim/cluster/histories.h"

#include "tests/checker/serializability.h"

namespace bedrock::sim {

namespace {

std::string JudgeCounter(const std::string& key, const Histories::Counter& counter) {
  if (!counter.last) return "";
  const auto done = static_cast<std::int64_t>(counter.answered.size());
  const auto most = done + static_cast<std::int64_t>(counter.unknown);
  if (*counter.last >= done && *counter.last <= most) return "";
  return "each add counts once: " + key + " is " + std::to_string(*counter.last) + " after " +
         std::to_string(done) + " acknowledged adds and " + std::to_string(counter.unknown) +
         " of unknown fate";
}

}  // namespace

std::string Histories::Judge(std::uint64_t& undecided) const {
  for (const auto& [key, counter] : counters) {
    if (std::string wrong = JudgeCounter(key, counter); !wrong.empty()) return wrong;
  }
  for (const auto& [key, operations] : registers) {
    const checker::LinearizabilityVerdict verdict = checker::CheckLinearizable(operations);
    if (verdict.undecided) ++undecided;
    if (verdict.violation) {
      return "each key is linearizable: " + key + "\n" + verdict.violation->story;
    }
  }
  if (const auto violation = checker::FindViolation(lists)) {
    return "transactions are strictly serializable: " + violation->kind + "\n" + violation->story;
  }
  return "";
}

}  // namespace bedrock::sim
