#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "tests/torture/torture.h"

namespace {

constexpr std::string_view kUsage =
    "bedrock_torture: drives databases from seeds, breaks their disks, and compares every answer.\n"
    "  --seed S       run seed S\n"
    "  --seeds N      run N seeds, and stop at the first that fails\n"
    "  --first F      the first of them (default 1)\n"
    "  --metamorphic  compare sets of options with each other instead of breaking things\n"
    "  --scratch DIR  where the metamorphic test keeps real files (default: below the temporary\n"
    "                 folder)\n"
    "Ends with 1 where a seed failed; what went wrong and the last steps are printed.\n";

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 0;
  bool metamorphic = false;
  std::string scratch;
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
    if (name == "--metamorphic") {
      arguments.metamorphic = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    const std::string text = argv[++i];
    if (name == "--scratch") {
      arguments.scratch = text;
      continue;
    }
    const auto value = ParseNumber(text);
    if (!value) return std::nullopt;
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
  if (arguments.scratch.empty()) {
    arguments.scratch = (std::filesystem::temp_directory_path() / "bedrock_torture").string();
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = Parse(argc, argv);
  if (!arguments) {
    std::cerr << kUsage;
    return EXIT_FAILURE;
  }
  bedrock::torture::TortureStats sum;
  for (std::uint64_t i = 0; i < arguments->seeds; ++i) {
    const std::uint64_t seed = arguments->first + i;
    bedrock::torture::TortureResult result;
    if (arguments->metamorphic) {
      // Each seed its own, so that what failed can be looked at.
      const std::string scratch = arguments->scratch + "/" + std::to_string(seed);
      std::filesystem::remove_all(scratch);
      std::filesystem::create_directories(arguments->scratch);
      result = bedrock::torture::Metamorphic(seed, scratch);
      if (result.failure.empty()) std::filesystem::remove_all(scratch);
    } else {
      result = bedrock::torture::Torture(seed);
    }
    if (!result.failure.empty()) {
      std::cout << result.failure << "failed at run " << i + 1 << "\n";
      return EXIT_FAILURE;
    }
    sum.Add(result.stats);
  }
  std::cout << arguments->seeds << " seeds passed: " << sum.ToString() << "\n";
  return EXIT_SUCCESS;
}
