#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/flags.h"
#include "tests/sim/cluster/cluster_sim.h"
#include "tests/sim/cluster/minimise.h"
#include "tests/sim/cluster/run_apart.h"
#include "tests/support/seeds.h"

namespace bedrock::sim {
namespace {

constexpr std::uint64_t kMinimiseRunsMax = 400;

struct Wishes {
  test::Seeds seeds;
  bool trace = false;
  bool minimise = false;
  std::string replay;  ///< A file; empty: seeds.
  std::string save;    ///< The same.
};

/// Only what failed and where it stands: the script goes to a file.
void Save(const Wishes& wishes, const ClusterScript& script) {
  if (wishes.save.empty()) return;
  std::ofstream(wishes.save) << script.ToString();
  std::cout << "saved in " << wishes.save << "\n";
}

ClusterResult RunScripted(const Wishes& wishes, const ClusterScript& script) {
  // What becomes of a run that a CHECK ends must be heard of where it is to be kept.
  const bool apart = !wishes.trace && (wishes.minimise || !wishes.save.empty());
  ClusterResult result = apart ? RunApart(script) : RunCluster(script, PrintTrace(wishes.trace));
  if (result.ok) return result;
  if (!wishes.minimise) {
    Save(wishes, script);
    return result;
  }
  std::cout << "fails by: " << result.invariant << "\nmaking it smaller…\n";
  Minimised least = Minimise(script, kMinimiseRunsMax, RunApart);
  std::cout << "after " << least.runs << " runs: " << script.plan.size() << " actions became "
            << least.script.plan.size() << ", " << script.options.nodes << " nodes "
            << least.script.options.nodes << "\n";
  Save(wishes, least.script);
  return std::move(least.result);
}

int Replay(const Wishes& wishes) {
  std::ifstream file(wishes.replay);
  std::stringstream text;
  text << file.rdbuf();
  const auto script = ClusterScript::Parse(text.str());
  if (!file || !script.ok()) {
    std::cerr << wishes.replay << ": " << script.status().ToString() << "\n";
    return config::kExitUsage;
  }
  const ClusterResult result = RunScripted(wishes, *script);
  std::cout << (result.ok ? "passed: " + result.stats.ToString() : result.failure)
            << "\ntrace hash " << result.trace_hash << "\n";
  return result.ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Main(int argc, char** argv) {
  Wishes wishes;
  config::FlagSet flags("bedrock_cluster_sim",
                        "Runs whole clusters, clients included, on a simulated network, disks and "
                        "clocks. Ends with 1 where a seed failed; its invariant, script and last "
                        "events are printed.");
  test::AddSeedFlags(flags, wishes.seeds);
  flags.Switch("trace", "Print every event.", wishes.trace);
  flags.Switch("minimise", "Make what fails smaller before it is printed.", wishes.minimise);
  flags.Text("save", "Write the script of what fails to this file, for --replay.", wishes.save);
  flags.Add({.name = "replay",
             .placeholder = "FILE",
             .help = "Run what --save has written, instead of seeds.",
             .parse =
                 [&wishes](std::string_view text) {
                   wishes.replay = text;
                   wishes.seeds = {.first = 0, .count = 1};
                   return Status::Ok();
                 },
             .print = [] { return std::vector<std::string>(); }});
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  if (!wishes.replay.empty()) return Replay(wishes);
  return test::RunSeeds(wishes.seeds, [&](std::uint64_t seed) {
    ClusterResult result = RunScripted(wishes, DrawScript(seed));
    if (wishes.seeds.count == 1) std::cout << "trace hash " << result.trace_hash << "\n";
    return result;
  });
}

}  // namespace
}  // namespace bedrock::sim

int main(int argc, char** argv) { return bedrock::sim::Main(argc, argv); }
