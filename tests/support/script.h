#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace bedrock::test {

/// One line of a script: the command's name, its plain arguments, its key=value arguments.
struct ScriptCommand {
  explicit ScriptCommand(const std::string& line) {
    std::istringstream words(line);
    words >> name;
    for (std::string word; words >> word;) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) {
        args.push_back(word);
      } else {
        named[word.substr(0, equals)] = word.substr(equals + 1);
      }
    }
  }

  std::uint64_t Number(std::size_t i) const { return std::stoull(args.at(i)); }
  std::uint64_t Named(const std::string& key, std::uint64_t fallback) const {
    const auto it = named.find(key);
    return it == named.end() ? fallback : std::stoull(it->second);
  }

  std::string name;
  std::vector<std::string> args;
  std::map<std::string, std::string> named;
};

/// The *.txt of a folder, sorted.
inline std::vector<std::filesystem::path> ScriptsIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> scripts;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() == ".txt") scripts.push_back(file.path());
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

/// What GoogleTest may call the test of a script.
inline std::string ScriptTestName(const std::filesystem::path& script) {
  std::string name = script.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// Calls `execute` with each line of `script` that says something: none that is empty or begins
/// with '#'. Ends with the first fatal failure.
template <typename Execute>
void ForEachLine(const std::string& script, Execute execute) {
  std::istringstream lines(script);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    execute(line);
    if (testing::Test::HasFatalFailure()) return;
  }
}

/// Holds what `run` makes of the script against what stands behind the script's "----".
/// BEDROCK_REWRITE in the environment writes that anew instead; it is reviewed as a diff.
template <typename Run>
void CheckScript(const std::filesystem::path& path, Run run) {
  constexpr std::string_view kSeparator = "----\n";
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string script = text.str().substr(0, text.str().find(kSeparator));
  const std::string output = run(script);
  if (std::getenv("BEDROCK_REWRITE") != nullptr) {
    std::ofstream(path) << script << kSeparator << output;
    return;
  }
  EXPECT_EQ(script + std::string(kSeparator) + output, text.str())
      << "BEDROCK_REWRITE=1 rewrites " << path;
}

}  // namespace bedrock::test
