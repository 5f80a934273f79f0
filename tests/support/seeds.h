#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/status.h"
#include "common/config/flags.h"
#include "common/config/values.h"

namespace bedrock::test {

/// Seeds that follow one another.
struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t count = 0;
};

/// Declares --seed, or --seeds and --first, one of which has to be given. `seeds` outlives `flags`.
inline void AddSeedFlags(config::FlagSet& flags, Seeds& seeds) {
  flags.Add({.name = "seed",
             .placeholder = "S",
             .help = "Run seed S alone.",
             .parse =
                 [&seeds](std::string_view text) {
                   const auto seed = config::ParseNumber(text, 0, UINT64_MAX);
                   if (seed.ok()) seeds = {.first = *seed, .count = 1};
                   return seed.status();
                 },
             .print = [] { return std::vector<std::string>(); }});
  flags.Number("seeds", "Run so many seeds, and stop at the first that fails.", seeds.count);
  flags.Number("first", "The first of them.", seeds.first);
  flags.Check([&seeds] {
    return seeds.count > 0 ? Status() : Status::InvalidArgument("give --seed or --seeds");
  });
}

/// Runs the seeds in order until one fails, which `run(seed)` says by a `failure` that is not
/// empty, and prints that, or what all together did: the sum of their `stats`. Gives the code with
/// which the process ends.
template <typename Run>
int RunSeeds(const Seeds& seeds, Run run) {
  decltype(run(seeds.first).stats) sum;
  for (std::uint64_t i = 0; i < seeds.count; ++i) {
    const auto result = run(seeds.first + i);
    if (!result.failure.empty()) {
      std::cout << result.failure << "failed at run " << i + 1 << "\n";
      return EXIT_FAILURE;
    }
    sum.Add(result.stats);
  }
  std::cout << seeds.count << " seeds passed: " << sum.ToString() << "\n";
  return EXIT_SUCCESS;
}

}  // namespace bedrock::test
