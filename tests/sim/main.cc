#include <iostream>

#include "common/config/flags.h"
#include "tests/sim/sim_cluster.h"
#include "tests/support/seeds.h"

namespace bedrock::sim {
namespace {

int Main(int argc, char** argv) {
  test::Seeds seeds;
  bool trace = false;
  config::FlagSet flags("bedrock_sim",
                        "Runs clusters of raftd's core and log on a simulated network and disk. "
                        "Ends with 1 where a seed failed; its invariant, options and last events "
                        "are printed.");
  test::AddSeedFlags(flags, seeds);
  flags.Switch("trace", "Print every event.", trace);
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  return test::RunSeeds(seeds, [&](std::uint64_t seed) {
    auto result = RunSeed(seed, PrintTrace(trace));
    if (result.ok && seeds.count == 1) std::cout << "trace hash " << result.trace_hash << "\n";
    return result;
  });
}

}  // namespace
}  // namespace bedrock::sim

int main(int argc, char** argv) { return bedrock::sim::Main(argc, argv); }
