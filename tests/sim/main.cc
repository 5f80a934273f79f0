#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/sim_cluster.h"

namespace {

constexpr std::string_view kUsage =
    "bedrock_sim: runs clusters of raftd's core and log on a simulated network and disk.\n"
    "  --seed S             run seed S\n"
    "  --seeds N            run N seeds, and stop at the first that fails\n"
    "  --first F            the first of them (default 1)\n"
    "  --trace              print every event\n"
    "Ends with 1 where a seed failed; its invariant, options and last events are printed.\n";

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 0;
  bool trace = false;
};

std::optional<std::uint64_t> ParseNumber(const std::string& text) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--trace") {
      arguments.trace = true;
      continue;
    }
    const auto value = i + 1 < argc ? ParseNumber(argv[++i]) : std::nullopt;
    if (!value.has_value()) return std::nullopt;
    if (name == "--seed") {
      arguments.first = *value;
      arguments.seeds = 1;
    } else if (name == "--seeds") {
      arguments.seeds = *value;
    } else if (name == "--first") {
      arguments.first = *value;
    } else {
      return std::nullopt;
    }
  }
  if (arguments.seeds == 0) return std::nullopt;
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = Parse(argc, argv);
  if (!arguments.has_value()) {
    std::cerr << kUsage;
    return EXIT_FAILURE;
  }
  bedrock::sim::SimStats sum;
  for (std::uint64_t i = 0; i < arguments->seeds; ++i) {
    const auto result =
        bedrock::sim::RunSeed(arguments->first + i, bedrock::sim::PrintTrace(arguments->trace));
    if (!result.ok) {
      std::cout << result.failure << "failed at run " << i + 1 << "\n";
      return EXIT_FAILURE;
    }
    sum.Add(result.stats);
    if (arguments->seeds == 1) std::cout << "trace hash " << result.trace_hash << "\n";
  }
  std::cout << arguments->seeds << " seeds passed: " << sum.ToString() << "\n";
  return EXIT_SUCCESS;
}
