#include "tests/sim/cluster/nemesis_plan.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <sstream>

#include "bedrock/result.h"
#include "common/base/status_macros.h"
#include "common/config/values.h"
#include "common/env/memory_file_system.h"
#include "storaged/snapshot/fetch.h"

namespace bedrock::sim {

namespace {

using Kind = NemesisAction::Kind;

constexpr std::string_view kHeader = "bedrock cluster simulation 1";
constexpr TimeUs kPauseUsMean = 150'000;
constexpr TimeUs kStallUsMean = 200'000;
constexpr TimeUs kFullUsMean = 300'000;
constexpr std::uint64_t kCrashPointCallsMax = 20;
/// The bytes that a full disk still takes.
constexpr std::uint64_t kFullDiskRoomMax = 20'000;
constexpr std::uint64_t kWallJumpMsMax = 30'000;
constexpr auto kFetchStageOpening =
    static_cast<std::uint64_t>(storage::SnapshotFetch::State::kOpening);
constexpr auto kFetchStageComplete =
    static_cast<std::uint64_t>(storage::SnapshotFetch::State::kComplete);

struct ActionText {
  std::string_view name;
  std::array<std::string_view, 3> fields;
};

constexpr std::array<ActionText, NemesisAction::kKinds> kActionTexts = {{
    {"cut", {"from_mask", "to_mask"}},
    {"heal", {"from_mask", "to_mask"}},
    {"heal_all", {}},
    {"kill", {"node", "program", "down_us"}},
    {"power_cut", {"node", "mode", "down_us"}},
    {"power_cut_all", {"mode", "down_us"}},
    {"crash_point", {"node", "disk", "calls"}},
    {"pause", {"node", "program", "us"}},
    {"stall", {"node", "disk", "us"}},
    {"full", {"node", "room", "us"}},
    {"fail_sync", {"node", "disk"}},
    {"transfer", {"to"}},
    {"wall_clock", {"node", "ms"}},
    {"reset", {"node", "peer"}},
    {"members", {"node", "change"}},
    {"crash_fetch", {"stage", "calls"}},
    {"join", {}},
    {"replace", {"node"}},
    {"restart", {"node", "program"}},
    {"rebuild", {"node", "down_us"}},
    {"rot", {"node", "disk", "draw"}},
    {"alter", {"node", "where"}},
}};

/// How often each kind is drawn in this run; in half of the runs a kind does not come at all.
using Weights = std::array<std::uint64_t, NemesisAction::kKinds>;

/// Of a total of some 60.
constexpr std::uint64_t kAltersOften = 40;

Weights DrawWeights(Random& random, const ClusterOptions& options) {
  constexpr Weights kMost = {10, 4, 8, 10, 6, 2, 8, 6, 3, 2, 3, 6, 2, 4, 6, 8, 6, 6, 6, 12, 12, 12};
  Weights weights{};
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights.at(i) = random.Chance(1, 2) ? 0 : random.Between(1, kMost.at(i));
  }
  // Who is healed in the end has to be a majority of whatever the members are then.
  const auto at = [&weights](Kind kind) -> std::uint64_t& {
    return weights.at(static_cast<std::size_t>(kind));
  };
  if (options.majority_only != 0) at(Kind::kMembers) = at(Kind::kJoin) = at(Kind::kReplace) = 0;
  if (options.spares == 0) at(Kind::kJoin) = 0;
  // Nobody may be missed while voters go at somebody's wish (SimOperator).
  if (random.Chance(1, 2)) {
    at(Kind::kMembers) = 0;
  } else {
    at(Kind::kReplace) = at(Kind::kRebuild) = at(Kind::kRot) = at(Kind::kAlter) = 0;
  }
  if (options.alters != 0) {
    at(Kind::kMembers) = 0;
    at(Kind::kAlter) = kAltersOften;
  }
  // Whatever is cut is healed now and then.
  at(Kind::kHealAll) = random.Between(1, 12);
  return weights;
}

Kind DrawKind(Random& random, const Weights& weights) {
  std::uint64_t total = 0;
  for (const std::uint64_t weight : weights) total += weight;
  std::uint64_t drawn = random.Below(total);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (drawn < weights.at(i)) return static_cast<Kind>(i);
    drawn -= weights.at(i);
  }
  return Kind::kHealAll;
}

std::uint64_t AnyMask(Random& random, std::uint64_t nodes) {
  const std::uint64_t all = (std::uint64_t{1} << nodes) - 1;
  if (random.Chance(1, 2)) return std::uint64_t{1} << random.Below(nodes);
  return random.Next() & all;
}

void DrawCut(Random& random, std::uint64_t nodes, NemesisPlan& plan, NemesisAction action) {
  const std::uint64_t all = (std::uint64_t{1} << nodes) - 1;
  action.a = AnyMask(random, nodes);
  action.b = all & ~action.a;
  const bool one_link = random.Chance(1, 4);
  if (one_link) action.b = std::uint64_t{1} << random.Below(nodes);
  const std::uint64_t shape = random.Below(3);
  if (shape == 0) std::swap(action.a, action.b);
  plan.push_back(action);
  if (shape == 2) {
    std::swap(action.a, action.b);
    plan.push_back(action);
  }
}

NemesisAction DrawAction(Random& random, const ClusterOptions& options, Kind kind, TimeUs down) {
  using CrashMode = MemoryFileSystem::CrashMode;
  NemesisAction action{.kind = kind};
  // Leaders are worth more attention than their number gets.
  action.a = random.Chance(1, 3) ? 0 : 1 + random.Below(options.machines());
  const std::uint64_t mode = static_cast<std::uint64_t>(
      random.Chance(1, 2)
          ? CrashMode::kRandom
          : (random.Chance(1, 2) ? CrashMode::kLoseUnsynced : CrashMode::kKeepUnsynced));
  switch (kind) {
    case Kind::kCut:
    case Kind::kHeal:
      action.a = AnyMask(random, options.machines());
      action.b = AnyMask(random, options.machines());
      break;
    case Kind::kHealAll:
      action.a = 0;
      break;
    case Kind::kKill:
      action.b = random.Below(3);
      action.c = down;
      break;
    case Kind::kPowerCut:
      action.b = mode;
      action.c = down;
      break;
    case Kind::kPowerCutAll:
      action.a = mode;
      action.b = down;
      break;
    case Kind::kCrashPoint:
      action.b = random.Below(2);
      action.c = random.Between(1, kCrashPointCallsMax);
      break;
    case Kind::kPause:
      action.b = random.Below(4);
      action.c = DrawExponential(random, kPauseUsMean);
      break;
    case Kind::kStall:
      action.b = random.Below(2);
      action.c = DrawExponential(random, kStallUsMean);
      break;
    case Kind::kFull:
      action.b = random.Below(kFullDiskRoomMax);
      action.c = DrawExponential(random, kFullUsMean);
      break;
    case Kind::kFailSync:
      action.b = random.Below(2);
      break;
    case Kind::kTransfer:
      break;
    case Kind::kWallClock:
      action.b = random.Below(kWallJumpMsMax);
      break;
    case Kind::kReset:
      action.b = 1 + random.Below(options.machines());
      break;
    case Kind::kMembers:
      // Mostly back and forth; who was removed never comes again.
      action.b = random.Chance(1, 8) ? 3 : random.Between(1, 2);
      break;
    case Kind::kCrashFetch:
      // Mostly while it becomes the node's data.
      action.a = random.Chance(1, 2) ? kFetchStageComplete
                                     : random.Between(kFetchStageOpening, kFetchStageComplete);
      action.b = random.Between(1, kCrashPointCallsMax);
      break;
    case Kind::kJoin:
      action.a = 0;
      break;
    case Kind::kReplace:
      break;
    case Kind::kAlter:
      action.b = static_cast<std::uint64_t>(random.Chance(1, 2) ? Alteration::kInEngine
                                                                : Alteration::kInCommand);
      break;
    case Kind::kRestart:
      action.b = random.Chance(2, 3) ? kAllPrograms : random.Below(kAllPrograms);
      break;
    case Kind::kRebuild:
      action.b = down;
      break;
    case Kind::kRot:
      action.b = kStorageDisk;
      action.c = random.Next() >> 1U;
      break;
  }
  return action;
}

}  // namespace

NemesisPlan DrawPlan(const ClusterOptions& options) {
  Random random = Random(options.seed).Fork(kClusterPlanStream);
  const Weights weights = DrawWeights(random, options);
  constexpr std::array<TimeUs, 4> kMeans = {40'000, 150'000, 500'000, 2'000'000};
  constexpr std::array<TimeUs, 3> kDownMeans = {10'000, 100'000, 600'000};
  const TimeUs mean = kMeans.at(random.Below(kMeans.size()));
  const TimeUs down_mean = kDownMeans.at(random.Below(kDownMeans.size()));
  NemesisPlan plan;
  for (TimeUs at = DrawExponential(random, mean); at < options.duration_us;
       at += DrawExponential(random, mean) + 1) {
    const Kind kind = DrawKind(random, weights);
    NemesisAction action = DrawAction(random, options, kind, DrawExponential(random, down_mean));
    action.at = at;
    if (kind == Kind::kCut) {
      DrawCut(random, options.machines(), plan, action);
    } else {
      plan.push_back(action);
    }
  }
  return plan;
}

std::string_view NameOf(Kind kind) { return kActionTexts.at(static_cast<std::size_t>(kind)).name; }

std::string NemesisAction::ToString() const {
  std::ostringstream out;
  const ActionText& text = kActionTexts.at(static_cast<std::size_t>(kind));
  out << "action " << at << ' ' << text.name;
  const std::array<std::uint64_t, 3> values = {a, b, c};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!text.fields.at(i).empty()) out << ' ' << text.fields.at(i) << '=' << values.at(i);
  }
  return out.str();
}

std::optional<NemesisAction> ParseAction(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  NemesisAction action;
  if (!(words >> word >> action.at) || word != "action" || !(words >> word)) return std::nullopt;
  const auto text = std::find_if(kActionTexts.begin(), kActionTexts.end(),
                                 [&](const ActionText& known) { return known.name == word; });
  if (text == kActionTexts.end()) return std::nullopt;
  action.kind = static_cast<Kind>(text - kActionTexts.begin());
  const std::array<std::uint64_t*, 3> values = {&action.a, &action.b, &action.c};
  while (words >> word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return std::nullopt;
    const auto field = std::find(text->fields.begin(), text->fields.end(), word.substr(0, equals));
    const auto value = config::ParseNumber(word.substr(equals + 1), 0, UINT64_MAX);
    if (field == text->fields.end() || !value.ok()) return std::nullopt;
    *values.at(static_cast<std::size_t>(field - text->fields.begin())) = *value;
  }
  return action;
}

std::string ClusterScript::ToString() const {
  std::string text(kHeader);
  text += "\nseed " + std::to_string(options.seed) + "\n" + options.ToString();
  for (const NemesisAction& action : plan) text += action.ToString() + "\n";
  return text;
}

Result<ClusterScript> ClusterScript::Parse(std::string_view text) {
  std::istringstream lines{std::string(text)};
  std::string line;
  const auto wrong = [&line] { return Status::InvalidArgument("not understood: " + line); };
  if (!std::getline(lines, line) || line != kHeader) return wrong();
  ClusterScript script;
  while (std::getline(lines, line)) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    std::string word;
    std::string name;
    std::uint64_t value = 0;
    words >> word;
    if (word == "seed") {
      if (!(words >> script.options.seed)) return wrong();
    } else if (word == "option") {
      if (!(words >> name >> value)) return wrong();
      RETURN_IF_ERROR(script.options.Set(name, value));
    } else {
      const std::optional<NemesisAction> action = ParseAction(line);
      if (!action.has_value()) return wrong();
      script.plan.push_back(*action);
    }
  }
  if (script.options.nodes == 0 || script.options.nodes > 32 || script.options.spares > 31 ||
      script.options.machines() > 32) {
    return Status::InvalidArgument("from 1 to 32 nodes");
  }
  const Status limits = raft::ValidateLimits(script.options.RaftLimits());
  if (!limits.ok()) return limits;
  return script;
}

}  // namespace bedrock::sim
