// Measures Bedrock, LevelDB and RocksDB through one interface. README.md beside the folder says
// what each workload does and how to read the tables.
//
// Each set of workloads runs in a process of its own for each engine (this program again, with
// --child), so that memory and the state of one can't touch another; engines take turns within a
// round.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cxxopts.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/check.h"
#include "tests/bench/bedrock_bench/process_figures.h"
#include "tests/bench/bedrock_bench/report.h"
#include "tests/bench/bedrock_bench/result.h"
#include "tests/bench/bedrock_bench/store.h"
#include "tests/bench/bedrock_bench/workloads.h"

namespace bedrock::bench {
namespace {

constexpr const char* kSubject = "bedrock";

/// The command line.
struct Choice {
  std::vector<Engine> engines;
  std::vector<Settings> settings;
  std::vector<std::string> workloads;
  Scale scale;
  int rounds = 3;
  std::filesystem::path directory;
  std::string json;
  bool raise_priority = false;
};

std::string NameOf(Settings settings) {
  return settings == Settings::kEqual ? "equal" : "defaults";
}

[[noreturn]] void Usage(const std::string& problem) {
  std::cerr << "bedrock_bench: " << problem << " (--help lists the options)\n";
  std::exit(2);
}

/// Those of `all` that `names` lists, or all where it says "all".
template <typename Item, typename NameOfItem>
std::vector<Item> Choose(const std::vector<std::string>& names, const std::vector<Item>& all,
                         const char* what, NameOfItem name_of) {
  if (names.size() == 1 && names[0] == "all") return all;
  for (const std::string& name : names) {
    if (std::none_of(all.begin(), all.end(), [&](const Item& i) { return name_of(i) == name; })) {
      Usage("no such " + std::string(what) + ": " + name);
    }
  }
  std::vector<Item> chosen;
  for (const Item& item : all) {
    if (std::find(names.begin(), names.end(), name_of(item)) != names.end()) chosen.push_back(item);
  }
  return chosen;
}

std::vector<std::string> AllWorkloads() {
  std::vector<std::string> all;
  for (const WorkloadSet& set : WorkloadSets()) {
    for (const std::string& workload : set.workloads) {
      if (!workload.starts_with("load")) all.push_back(workload);
    }
  }
  return all;
}

Choice ParseOptions(const cxxopts::ParseResult& flags) {
  Choice choice;
  using Names = std::vector<std::string>;
  choice.engines = Choose(flags["engines"].as<Names>(), BuiltEngines(), "engine in this build",
                          [](const Engine& engine) { return engine.name; });
  choice.settings = Choose(flags["settings"].as<Names>(),
                           std::vector{Settings::kEqual, Settings::kDefaults}, "settings", NameOf);
  choice.workloads = Choose(flags["workloads"].as<Names>(), AllWorkloads(), "workload",
                            [](const std::string& name) { return name; });
  choice.scale.keys = flags["keys"].as<std::uint64_t>();
  choice.scale.reads = flags.count("reads") > 0
                           ? flags["reads"].as<std::uint64_t>()
                           : std::min<std::uint64_t>(choice.scale.keys, 1'000'000);
  choice.scale.value_bytes = flags["value-bytes"].as<std::size_t>();
  choice.scale.threads = flags["threads"].as<unsigned>();
  const std::string format = flags["key-format"].as<std::string>();
  if (format != "text" && format != "binary") Usage("no such key format: " + format);
  choice.scale.key_format = format == "text" ? KeyFormat::kText : KeyFormat::kBinary;
  choice.rounds = flags["rounds"].as<int>();
  choice.directory = flags["directory"].as<std::string>();
  choice.json = flags["json"].as<std::string>();
  choice.raise_priority = flags["raise-priority"].as<bool>();
  if (choice.scale.keys < 1000 || choice.scale.reads < 100 || choice.scale.threads < 1 ||
      choice.rounds < 1 || choice.scale.value_bytes > (std::size_t{1} << 20)) {
    Usage("at least 1,000 keys, 100 reads, a thread and a round; values of at most 1 MiB");
  }
  return choice;
}

// ---- The process that runs one set

/// Runs one set on one engine and writes a JSON line for each result.
int RunChild(const Choice& choice, const std::string& set_name, int round,
             const std::string& results_path) {
  if (choice.raise_priority) RaisePriority();
  const auto& sets = WorkloadSets();
  const auto set = std::find_if(sets.begin(), sets.end(),
                                [&](const WorkloadSet& s) { return s.name == set_name; });
  CHECK(set != sets.end() && choice.engines.size() == 1 && choice.settings.size() == 1);
  const StoreOptions options{.directory = (choice.directory / "database").string(),
                             .settings = choice.settings[0],
                             .variant = choice.engines[0].variant};
  Scale scale = choice.scale;
  scale.seed = static_cast<std::uint64_t>(round);
  std::ofstream results(results_path);
  RunSet(*set, choice.workloads, choice.engines[0], options, scale, [&](const Result& result) {
    Result numbered = result;
    numbered.round = round;
    results << nlohmann::json(numbered).dump() << std::endl;
  });
  return results ? 0 : 1;
}

// ---- The process that starts them

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ",") + word;
  return joined;
}

/// Runs this program again for one set, engine and settings. Gives its results.
std::vector<Result> RunInChild(const Choice& choice, const WorkloadSet& set, const Engine& engine,
                               Settings settings, int round) {
  const std::filesystem::path folder = choice.directory / "bedrock_bench_data";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string results_path = (folder / "results.jsonl").string();
  std::vector<std::string> arguments = {
      "bedrock_bench",
      "--child",
      set.name,
      "--round",
      std::to_string(round),
      "--results",
      results_path,
      "--engines",
      engine.name,
      "--settings",
      NameOf(settings),
      "--workloads",
      Join(choice.workloads),
      "--keys",
      std::to_string(choice.scale.keys),
      "--reads",
      std::to_string(choice.scale.reads),
      "--value-bytes",
      std::to_string(choice.scale.value_bytes),
      "--threads",
      std::to_string(choice.scale.threads),
      "--key-format",
      choice.scale.key_format == KeyFormat::kText ? "text" : "binary",
      "--directory",
      folder.string()};
  if (choice.raise_priority) arguments.push_back("--raise-priority");
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  sync();  // what earlier runs left to be written is not this one's
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  int outcome = 0;
  CHECK(waitpid(child, &outcome, 0) == child);
  if (outcome != 0) {
    std::cerr << engine.name << " failed in set " << set.name << ", settings " << NameOf(settings)
              << "; its files are left in " << folder << "\n";
    std::exit(1);
  }
  std::vector<Result> results;
  std::ifstream file(results_path);
  for (std::string line; std::getline(file, line);) {
    results.push_back(nlohmann::json::parse(line).get<Result>());
  }
  std::filesystem::remove_all(folder);
  return results;
}

bool TakesPart(const Engine& engine, const WorkloadSet& set, Settings settings) {
  if (settings == Settings::kDefaults && !engine.in_defaults) return false;
  if (set.transactions != Transactions::kNone && !engine.has_transactions) return false;
  return set.large_values || !engine.large_values_only;
}

bool IsWanted(const WorkloadSet& set, const std::vector<std::string>& workloads) {
  return std::any_of(set.workloads.begin(), set.workloads.end(), [&](const std::string& name) {
    return std::find(workloads.begin(), workloads.end(), name) != workloads.end();
  });
}

std::string FirstLine(const char* path, const std::string& prefix) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(prefix)) return line;
  }
  return "";
}

nlohmann::json AboutTheRun(const Choice& choice) {
  nlohmann::json engines = nlohmann::json::object();
  for (const Engine& engine : choice.engines) engines[engine.name] = engine.version;
  return {{"type", "run"},
          {"engines", engines},
          {"keys", choice.scale.keys},
          {"reads", choice.scale.reads},
          {"value_bytes", choice.scale.value_bytes},
          {"threads", choice.scale.threads},
          {"rounds", choice.rounds},
          {"cpu", FirstLine("/proc/cpuinfo", "model name")},
          {"kernel", FirstLine("/proc/version", "")},
#ifdef NDEBUG
          {"build", "release"}
#else
          {"build", "debug"}
#endif
  };
}

void WriteLine(std::ofstream* file, const char* type, const Result& result) {
  nlohmann::json line(result);
  line["type"] = type;
  *file << line.dump() << std::endl;
}

int RunAll(const Choice& choice) {
  std::ofstream json(choice.json.empty() ? "/dev/null" : choice.json);
  json << AboutTheRun(choice).dump() << std::endl;
  std::cout << AboutTheRun(choice).dump(2) << std::endl;
  std::vector<Result> results;
  for (int round = 1; round <= choice.rounds; ++round) {
    for (const Settings settings : choice.settings) {
      for (const WorkloadSet& set : WorkloadSets()) {
        if (!IsWanted(set, choice.workloads)) continue;
        for (std::size_t i = 0; i < choice.engines.size(); ++i) {
          // Each round another engine comes first.
          const std::size_t turn =
              (i + static_cast<std::size_t>(round) - 1) % choice.engines.size();
          const Engine& engine = choice.engines[turn];
          if (!TakesPart(engine, set, settings)) continue;
          for (const Result& result : RunInChild(choice, set, engine, settings, round)) {
            results.push_back(result);
            WriteLine(&json, "result", result);
            std::fprintf(stderr, "round %d %-8s %-12s %-22s %12.0f ops/s\n", round,
                         result.settings.c_str(), result.engine.c_str(), result.workload.c_str(),
                         result.ops_per_s);
          }
        }
      }
    }
  }
  // Tables list engines and workloads in one order, whoever came first.
  const std::vector<std::string> order = AllWorkloads();
  const auto rank = [&](const Result& result) {
    const auto engine =
        std::find_if(choice.engines.begin(), choice.engines.end(),
                     [&](const Engine& candidate) { return candidate.name == result.engine; });
    return std::pair(std::find(order.begin(), order.end(), result.workload), engine);
  };
  std::stable_sort(results.begin(), results.end(),
                   [&](const Result& a, const Result& b) { return rank(a) < rank(b); });
  const std::vector<Result> medians = Medians(results);
  for (const Result& median : medians) WriteLine(&json, "median", median);
  std::vector<std::string> mapped;
  for (const Engine& engine : choice.engines) {
    if (engine.maps_tables) mapped.push_back(engine.name);
  }
  for (const Settings settings : choice.settings) {
    std::cout << "\n" << MarkdownTables(medians, NameOf(settings), kSubject, mapped);
  }
  const std::vector<std::string> disagreements = Disagreements(results);
  for (const std::string& sentence : disagreements) std::cerr << "WRONG: " << sentence << "\n";
  return disagreements.empty() ? 0 : 1;
}

int Main(int argc, char** argv) {
  using Names = std::vector<std::string>;
  cxxopts::Options options("bedrock_bench", "Measures embedded key-value engines.");
  options.add_options()                                                                           //
      ("engines", "which, separated by commas", cxxopts::value<Names>()->default_value("all"))    //
      ("settings", "equal, defaults", cxxopts::value<Names>()->default_value("all"))              //
      ("workloads", "which, separated by commas", cxxopts::value<Names>()->default_value("all"))  //
      ("keys", "how many", cxxopts::value<std::uint64_t>()->default_value("1000000"))             //
      ("reads", "operations of reading workloads; default: keys, at most 1,000,000",
       cxxopts::value<std::uint64_t>())                                                        //
      ("value-bytes", "size of a value", cxxopts::value<std::size_t>()->default_value("100"))  //
      ("rounds", "medians are of so many", cxxopts::value<int>()->default_value("3"))          //
      ("threads", "readers at the same time", cxxopts::value<unsigned>()->default_value("1"))  //
      ("key-format", "text or binary", cxxopts::value<std::string>()->default_value("text"))   //
      ("directory", "where databases are made, in a folder bedrock_bench_data",
       cxxopts::value<std::string>()->default_value("."))  //
      ("json", "file for one line of JSON a result",
       cxxopts::value<std::string>()->default_value(""))                        //
      ("raise-priority", "before everybody else on this machine (needs root)")  //
      ("list", "print engines and workloads")("help", "print this");
  options.add_options("internal")("child", "", cxxopts::value<std::string>())(
      "round", "", cxxopts::value<int>())("results", "", cxxopts::value<std::string>());
  try {
    const auto flags = options.parse(argc, argv);
    if (flags.count("help") > 0) {
      std::cout << options.help({""});
      return 0;
    }
    if (flags.count("list") > 0) {
      for (const Engine& engine : BuiltEngines()) {
        std::cout << engine.name << ": " << engine.version << "\n";
      }
      std::cout << Join(AllWorkloads()) << "\n";
      return 0;
    }
    const Choice choice = ParseOptions(flags);
    if (flags.count("child") > 0) {
      return RunChild(choice, flags["child"].as<std::string>(), flags["round"].as<int>(),
                      flags["results"].as<std::string>());
    }
    return RunAll(choice);
  } catch (const cxxopts::exceptions::exception& problem) {
    Usage(problem.what());
  }
}

}  // namespace
}  // namespace bedrock::bench

int main(int argc, char** argv) {
  try {
    return bedrock::bench::Main(argc, argv);
  } catch (const std::exception& problem) {
    std::cerr << "bedrock_bench: " << problem.what() << "\n";
    return 1;
  }
}
