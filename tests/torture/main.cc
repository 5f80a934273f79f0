#include <filesystem>
#include <string>

#include "common/config/flags.h"
#include "tests/support/seeds.h"
#include "tests/torture/torture.h"

namespace bedrock::torture {
namespace {

/// Each seed has a folder of its own, which stays where it failed: it can be looked at.
TortureResult RunMetamorphic(std::uint64_t seed, const std::string& scratch) {
  const std::string own = scratch + "/" + std::to_string(seed);
  std::filesystem::remove_all(own);
  std::filesystem::create_directories(scratch);
  TortureResult result = Metamorphic(seed, own);
  if (result.failure.empty()) std::filesystem::remove_all(own);
  return result;
}

int Main(int argc, char** argv) {
  test::Seeds seeds;
  bool metamorphic = false;
  std::string scratch = (std::filesystem::temp_directory_path() / "bedrock_torture").string();
  config::FlagSet flags("bedrock_torture",
                        "Drives databases from seeds, breaks their disks, and compares every "
                        "answer. Ends with 1 where a seed failed; what went wrong and the last "
                        "steps are printed.");
  test::AddSeedFlags(flags, seeds);
  flags.Switch("metamorphic", "Compare sets of options with each other; nothing breaks.",
               metamorphic);
  flags.Text("scratch", "Where the metamorphic test keeps real files.", scratch);
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  return test::RunSeeds(seeds, [&](std::uint64_t seed) {
    return metamorphic ? RunMetamorphic(seed, scratch) : Torture(seed);
  });
}

}  // namespace
}  // namespace bedrock::torture

int main(int argc, char** argv) { return bedrock::torture::Main(argc, argv); }
