#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/status.h"

namespace bedrock::config {

inline constexpr int kExitOk = 0;
inline constexpr int kExitInvalidConfig = 1;  ///< --check-config found something wrong.
inline constexpr int kExitUsage = 2;          ///< Unknown flags and values that can't be used.

/// A program's command line: each flag is bound to a variable that holds its default before Parse
/// and its value after it. Brings --help, --version and --check-config. Built on cxxopts, whose
/// exceptions end here.
///
///   FlagSet flags("raftd", "Orders the cluster's writes.");
///   flags.Duration("tick-ms", "Time between two ticks of the core.", options.tick_ms);
///   flags.Check([&] { return options.Validate(); });
///   if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;
///
/// Lives only in main; one thread. The bound variables outlive it.
class FlagSet {
 public:
  FlagSet(std::string program, std::string description);
  ~FlagSet();
  FlagSet(const FlagSet&) = delete;
  FlagSet& operator=(const FlagSet&) = delete;

  /// Flags declared from here on stand under this heading of --help.
  void Group(std::string title);

  void Text(const std::string& name, const std::string& help, std::string& value);
  /// May be given several times; each occurrence is one element, commas and all.
  void TextList(const std::string& name, const std::string& help, std::vector<std::string>& values);
  void Number(const std::string& name, const std::string& help, std::uint64_t& value,
              std::uint64_t low = 0, std::uint64_t high = UINT64_MAX);
  void Duration(const std::string& name, const std::string& help, std::uint64_t& value_ms);
  void ByteSize(const std::string& name, const std::string& help, std::uint64_t& value);
  /// --name, --name=true, --name=false.
  void Switch(const std::string& name, const std::string& help, bool& value);
  /// For types of one's own. `parse` may be called several times where `repeatable`; `print` gives
  /// the value as the flag would be written.
  struct Custom {
    std::string name;
    std::string placeholder;  ///< What --help shows after the name: "ADDRESS".
    std::string help;
    bool repeatable = false;
    std::function<Status(std::string_view)> parse;
    std::function<std::vector<std::string>()> print;
  };
  void Add(Custom flag);

  /// A rule over several flags; runs after parsing, in order.
  void Check(std::function<Status()> rule);

  /// Fills the variables. Gives the code with which the process has to end now: --help, --version
  /// and --check-config were asked for, or something is wrong (said on stderr, with the flag's
  /// name). None: go on.
  std::optional<int> Parse(int argc, const char* const* argv);

  std::string HelpText() const;
  /// Every flag with its value, a line each, as it could be given again.
  std::string EffectiveConfiguration() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedrock::config
