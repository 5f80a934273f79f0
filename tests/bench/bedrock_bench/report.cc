#include "tests/bench/bedrock_bench/report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <functional>
#include <map>
#include <tuple>

namespace bedrock::bench {
namespace {

constexpr double kGoal = 1.3;

[[gnu::format(printf, 1, 2)]] std::string Print(const char* format, ...) {
  char text[128];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  return text;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string Count(double n) {
  if (n >= 999'500) return Print("%.2fM", n * 1e-6);
  if (n >= 9'995) return Print("%.0fk", n * 1e-3);
  if (n >= 999.5) return Print("%.1fk", n * 1e-3);
  return Print(n >= 10 ? "%.0f" : "%.2g", n);
}

std::string Duration(double ns) {
  if (ns >= 999.5e6) return Print("%.2f s", ns * 1e-9);
  if (ns >= 9.995e6) return Print("%.0f ms", ns * 1e-6);
  if (ns >= 999.5e3) return Print("%.1f ms", ns * 1e-6);
  if (ns >= 9.995e3) return Print("%.0f us", ns * 1e-3);
  if (ns >= 999.5) return Print("%.1f us", ns * 1e-3);
  return Print("%.0f ns", ns);
}

std::string MegaBytes(double bytes) { return Print("%.0f", bytes * 1e-6); }

/// How a ratio reads: the goal is reached, at least even, or behind.
std::string Ratio(double ratio) {
  if (ratio >= kGoal) return Print("**%.2f**", ratio);
  return Print(ratio >= 1 ? "%.2f" : "%.2f (behind)", ratio);
}

/// The results of one settings by workload and engine.
class Grid {
 public:
  Grid(const std::vector<Result>& medians, const std::string& settings) {
    for (const Result& result : medians) {
      if (result.settings != settings) continue;
      AddOnce(&engines_, result.engine);
      AddOnce(&workloads_, result.workload);
      cells_[{result.workload, result.engine}] = &result;
    }
  }
  const std::vector<std::string>& engines() const { return engines_; }
  const std::vector<std::string>& workloads() const { return workloads_; }
  const Result* At(const std::string& workload, const std::string& engine) const {
    const auto found = cells_.find({workload, engine});
    return found == cells_.end() ? nullptr : found->second;
  }

 private:
  static void AddOnce(std::vector<std::string>* names, const std::string& name) {
    if (std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
  }
  std::vector<std::string> engines_;
  std::vector<std::string> workloads_;
  std::map<std::pair<std::string, std::string>, const Result*> cells_;
};

std::vector<std::string> Without(const std::vector<std::string>& names,
                                 const std::vector<std::string>& without) {
  std::vector<std::string> rest;
  for (const std::string& name : names) {
    if (std::find(without.begin(), without.end(), name) == without.end()) rest.push_back(name);
  }
  return rest;
}

/// Empty where the engine, or all of the others, did not run the workload.
std::string RatioToBest(const Grid& grid, const std::string& workload, const std::string& engine,
                        const std::vector<std::string>& others) {
  const Result* own = grid.At(workload, engine);
  double best = 0;
  for (const std::string& other : others) {
    if (const Result* result = grid.At(workload, other)) best = std::max(best, result->ops_per_s);
  }
  return own == nullptr || best == 0 ? std::string() : Ratio(own->ops_per_s / best);
}

template <typename Cell>
std::string Table(const Grid& grid, const std::vector<std::string>& extra_columns, Cell cell,
                  const std::function<std::vector<std::string>(const std::string&)>& extra) {
  std::string table = "| workload |";
  std::string rule = "| --- |";
  for (const std::string& engine : grid.engines()) table += " " + engine + " |", rule += " ---: |";
  for (const std::string& column : extra_columns) table += " " + column + " |", rule += " ---: |";
  table += "\n" + rule + "\n";
  for (const std::string& workload : grid.workloads()) {
    table += "| " + workload + " |";
    for (const std::string& engine : grid.engines()) {
      const Result* result = grid.At(workload, engine);
      table += " " + (result == nullptr ? std::string() : cell(*result)) + " |";
    }
    for (const std::string& column : extra(workload)) table += " " + column + " |";
    table += "\n";
  }
  return table;
}

std::string SpeedCell(const Result& result) {
  std::string text = Count(result.ops_per_s);
  if (result.writer_ops_per_s > 0) text += " (" + Count(result.writer_ops_per_s) + ")";
  if (result.aborts_per_op > 0) text += Print(" [%.2g%%]", result.aborts_per_op * 100);
  return text;
}

std::string DurationCell(const Result& result) {
  return Duration(result.p50_ns) + ", " + Duration(result.p99_ns) + ", " + Duration(result.p999_ns);
}

std::string CostCell(const Result& result) {
  std::string text = Print("%.2f us, ", result.cpu_us_per_op) + MegaBytes(result.peak_rss_bytes) +
                     ", " + MegaBytes(result.space_bytes) + "/" + MegaBytes(result.log_bytes);
  if (result.user_bytes > 0) {
    text += Print(", %.1fx, %.1f s", result.write_bytes / result.user_bytes, result.settle_seconds);
  }
  return text;
}

}  // namespace

std::vector<Result> Medians(const std::vector<Result>& results) {
  std::vector<std::vector<const Result*>> groups;
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> at;
  for (const Result& result : results) {
    const auto [where, is_new] =
        at.try_emplace({result.settings, result.engine, result.workload}, groups.size());
    if (is_new) groups.emplace_back();
    groups[where->second].push_back(&result);
  }
  constexpr double Result::*kFields[] = {
      &Result::seconds,          &Result::ops_per_s,     &Result::p50_ns,
      &Result::p99_ns,           &Result::p999_ns,       &Result::max_ns,
      &Result::writer_ops_per_s, &Result::aborts_per_op, &Result::cpu_us_per_op,
      &Result::peak_rss_bytes,   &Result::user_bytes,    &Result::write_bytes,
      &Result::settle_seconds,   &Result::space_bytes,   &Result::log_bytes,
      &Result::steal_cpus,       &Result::foreign_cpus};
  std::vector<Result> medians;
  for (const auto& group : groups) {
    Result median = *group.front();
    median.round = 0;
    for (const auto field : kFields) {
      std::vector<double> values;
      values.reserve(group.size());
      for (const Result* result : group) values.push_back(result->*field);
      median.*field = Median(std::move(values));
    }
    medians.push_back(median);
  }
  return medians;
}

std::vector<std::string> Disagreements(const std::vector<Result>& results) {
  std::vector<std::string> sentences;
  std::map<std::tuple<std::string, std::string, int>, const Result*> first;
  for (const Result& result : results) {
    if (!result.comparable) continue;
    const auto [where, is_new] =
        first.try_emplace({result.settings, result.workload, result.round}, &result);
    const Result& other = *where->second;
    if (is_new || (other.entries == result.entries && other.digest == result.digest)) continue;
    sentences.push_back(result.workload + ", " + result.settings + ", round " +
                        std::to_string(result.round) + ": " + result.engine + " read " +
                        std::to_string(result.entries) + " entries (digest " +
                        std::to_string(result.digest) + "), " + other.engine + " " +
                        std::to_string(other.entries) + " (" + std::to_string(other.digest) + ")");
  }
  return sentences;
}

std::string MarkdownTables(const std::vector<Result>& medians, const std::string& settings,
                           const std::string& subject, const std::vector<std::string>& mapped) {
  const Grid grid(medians, settings);
  // The subject and its variants, each beside the others.
  std::vector<std::string> own;
  std::vector<std::string> others;
  for (const std::string& engine : grid.engines()) {
    (engine == subject || engine.starts_with(subject + "_") ? own : others).push_back(engine);
  }
  const std::vector<std::string> unmapped = Without(others, mapped);
  const bool compares_memory =
      unmapped.size() < others.size() && Without({subject}, mapped).size() == 1;
  const auto ratio = [&](const std::string& workload) {
    std::vector<std::string> ratios;
    ratios.reserve(own.size() + 1);
    for (const std::string& engine : own) {
      ratios.push_back(RatioToBest(grid, workload, engine, others));
    }
    if (compares_memory) ratios.push_back(RatioToBest(grid, workload, subject, unmapped));
    return ratios;
  };
  std::vector<std::string> ratio_names;
  ratio_names.reserve(own.size() + 1);
  for (const std::string& engine : own) ratio_names.push_back(engine + " to the best other");
  if (compares_memory) ratio_names.push_back(subject + " to the best other that maps nothing");
  const auto noise = [&](const std::string& workload) -> std::vector<std::string> {
    double most = 0;
    for (const std::string& engine : grid.engines()) {
      if (const Result* result = grid.At(workload, engine)) {
        most = std::max(most, result->foreign_cpus + result->steal_cpus);
      }
    }
    return {Print("%.2f", most)};
  };
  return "Operations a second, " + settings +
         " settings (in brackets: the writer beside; in square ones: transactions that had to be "
         "tried again):\n\n" +
         Table(grid, ratio_names, SpeedCell, ratio) +
         "\np50, p99, p99.9 of an operation; CPUs that others used meanwhile, at most:\n\n" +
         Table(grid, {"foreign CPUs"}, DurationCell, noise) +
         "\nCPU an operation (background work included), peak RSS in MB, MB on disk/of that logs, "
         "for "
         "writes: bytes written to files for each byte of the user, time to come to rest:\n\n" +
         Table(grid, {}, CostCell, [](const std::string&) { return std::vector<std::string>(); });
}

}  // namespace bedrock::bench
