#include "common/config/flags.h"

#include <algorithm>
#include <cstdio>
#include <cxxopts.hpp>
#include <utility>

#include "common/config/values.h"

namespace bedrock::config {

namespace {

constexpr std::string_view kVersion = "0.1.0";
constexpr const char* kCheckConfig = "check-config";

void Print(std::FILE* stream, const std::string& text) { std::fputs(text.c_str(), stream); }

/// A value as a shell takes it back.
std::string ShellQuoted(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:,=+@[]*").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

class FlagSet::Impl {
 public:
  Impl(std::string program, std::string description)
      : program_(std::move(program)), description_(std::move(description)) {}

  void Group(std::string title) { group_ = std::move(title); }

  void Add(Custom flag) {
    groups_.push_back(group_);
    flags_.push_back(std::move(flag));
  }

  void Check(std::function<Status()> rule) { rules_.push_back(std::move(rule)); }

  std::optional<int> Parse(int argc, const char* const* argv) {
    // Found by hand first, so that also what cxxopts refuses is told as the answer to it.
    const bool checking = std::any_of(argv + 1, argv + argc, [](std::string_view argument) {
      return argument == "--check-config";
    });
    const int on_error = checking ? kExitInvalidConfig : kExitUsage;
    bool help = false;
    bool version = false;
    Status status = ParseArguments(argc, argv, help, version);
    if (help) {
      Print(stdout, HelpText());
      return kExitOk;
    }
    if (version) {
      Print(stdout, program_ + " " + std::string(kVersion) + "\n");
      return kExitOk;
    }
    for (const auto& rule : rules_) {
      if (status.ok()) status = rule();
    }
    if (!status.ok()) {
      Print(stderr,
            program_ + ": " + std::string(status.message()) + "\nTry '" + program_ + " --help'.\n");
      return on_error;
    }
    if (!checking) return std::nullopt;
    Print(stdout, EffectiveConfiguration());
    return kExitOk;
  }

  std::string HelpText() const { return BuildOptions().help(HelpGroups()); }

  std::string EffectiveConfiguration() const {
    std::string text;
    for (const Custom& flag : flags_) {
      for (const std::string& value : flag.print()) {
        text += "--" + flag.name + "=" + ShellQuoted(value) + "\n";
      }
    }
    return text;
  }

 private:
  cxxopts::Options BuildOptions() const {
    cxxopts::Options options(program_, description_);
    options.set_width(100);
    options.custom_help("[flags]");
    for (std::size_t i = 0; i < flags_.size(); ++i) {
      const Custom& flag = flags_[i];
      auto value = cxxopts::value<std::string>();
      if (flag.placeholder.empty()) value->implicit_value("true");
      options.add_option(groups_[i], "", flag.name, HelpOf(flag), value, flag.placeholder);
    }
    options.add_options("Other")("h,help", "Print this and exit.")("version",
                                                                   "Print the version and exit.")(
        kCheckConfig,
        "Check the flags, print the effective configuration, and exit: 0 fine, 1 not.");
    return options;
  }

  static std::string HelpOf(const Custom& flag) {
    std::string help = flag.help;
    if (flag.repeatable) return help + " May be repeated.";
    const std::vector<std::string> defaults = flag.print();
    if (!defaults.empty() && !defaults.front().empty() && defaults.front() != "false") {
      help += " (default: " + defaults.front() + ")";
    }
    return help;
  }

  std::vector<std::string> HelpGroups() const {
    std::vector<std::string> groups;
    for (const std::string& group : groups_) {
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
    }
    groups.emplace_back("Other");
    return groups;
  }

  Status ParseArguments(int argc, const char* const* argv, bool& help, bool& version) {
    try {
      cxxopts::Options options = BuildOptions();
      const cxxopts::ParseResult parsed = options.parse(argc, argv);
      help = parsed.count("help") > 0;
      version = parsed.count("version") > 0;
      if (help || version) return {};
      if (!parsed.unmatched().empty()) {
        return Status::InvalidArgument("unexpected argument '" + parsed.unmatched().front() + "'");
      }
      for (const cxxopts::KeyValue& argument : parsed.arguments()) {
        const Custom* flag = Find(argument.key());
        if (flag == nullptr) continue;
        if (!flag->repeatable && parsed.count(flag->name) > 1) {
          return Status::InvalidArgument("--" + flag->name + " is given more than once");
        }
        const Status status = flag->parse(argument.value());
        if (!status.ok()) return status.Prefixed("--" + flag->name);
      }
      return {};
    } catch (const cxxopts::exceptions::exception& error) {
      return Status::InvalidArgument(error.what());
    }
  }

  const Custom* Find(const std::string& name) const {
    const auto found = std::find_if(flags_.begin(), flags_.end(),
                                    [&](const Custom& flag) { return flag.name == name; });
    return found == flags_.end() ? nullptr : &*found;
  }

  std::string program_;
  std::string description_;
  std::string group_ = "Flags";
  std::vector<Custom> flags_;
  std::vector<std::string> groups_;  // of each flag
  std::vector<std::function<Status()>> rules_;
};

FlagSet::FlagSet(std::string program, std::string description)
    : impl_(std::make_unique<Impl>(std::move(program), std::move(description))) {}
FlagSet::~FlagSet() = default;

void FlagSet::Group(std::string title) { impl_->Group(std::move(title)); }
void FlagSet::Add(Custom flag) { impl_->Add(std::move(flag)); }
void FlagSet::Check(std::function<Status()> rule) { impl_->Check(std::move(rule)); }
std::optional<int> FlagSet::Parse(int argc, const char* const* argv) {
  return impl_->Parse(argc, argv);
}
std::string FlagSet::HelpText() const { return impl_->HelpText(); }
std::string FlagSet::EffectiveConfiguration() const { return impl_->EffectiveConfiguration(); }

namespace {

/// Stores a parsed value, or gives the status that says why there is none.
template <typename T>
Status Store(Result<T> parsed, T& value) {
  if (!parsed.ok()) return std::move(parsed).status();
  value = std::move(parsed).value();
  return {};
}

}  // namespace

void FlagSet::Text(const std::string& name, const std::string& help, std::string& value) {
  Add({.name = name,
       .placeholder = "TEXT",
       .help = help,
       .parse =
           [&value](std::string_view text) {
             value = text;
             return Status();
           },
       .print = [&value] { return std::vector{value}; }});
}

void FlagSet::TextList(const std::string& name, const std::string& help,
                       std::vector<std::string>& values) {
  Add({.name = name,
       .placeholder = "TEXT",
       .help = help,
       .repeatable = true,
       .parse =
           [&values](std::string_view text) {
             values.emplace_back(text);
             return Status();
           },
       .print = [&values] { return values; }});
}

void FlagSet::Number(const std::string& name, const std::string& help, std::uint64_t& value,
                     std::uint64_t low, std::uint64_t high) {
  Add({.name = name,
       .placeholder = "NUMBER",
       .help = help,
       .parse = [&value, low, high](
                    std::string_view text) { return Store(ParseNumber(text, low, high), value); },
       .print = [&value] { return std::vector{std::to_string(value)}; }});
}

void FlagSet::Duration(const std::string& name, const std::string& help, std::uint64_t& value_ms) {
  Add({.name = name,
       .placeholder = "TIME",
       .help = help,
       .parse = [&value_ms](std::string_view text) { return Store(ParseDuration(text), value_ms); },
       .print = [&value_ms] { return std::vector{FormatDuration(value_ms)}; }});
}

void FlagSet::ByteSize(const std::string& name, const std::string& help, std::uint64_t& value) {
  Add({.name = name,
       .placeholder = "BYTES",
       .help = help,
       .parse = [&value](std::string_view text) { return Store(ParseByteSize(text), value); },
       .print = [&value] { return std::vector{FormatByteSize(value)}; }});
}

void FlagSet::Switch(const std::string& name, const std::string& help, bool& value) {
  Add({.name = name,
       .help = help,
       .parse =
           [&value](std::string_view text) {
             if (text != "true" && text != "false") {
               return Status::InvalidArgument("not true or false: '" + std::string(text) + "'");
             }
             value = text == "true";
             return Status();
           },
       .print = [&value] { return std::vector<std::string>{value ? "true" : "false"}; }});
}

}  // namespace bedrock::config
