// Runs tests/scripts/compaction/*.txt: a script draws a tree, and what the picker says of it is
// compared with what stands behind its "----". BEDROCK_REWRITE=1 in the environment writes that
// anew; it is reviewed as a diff. tests/scripts/compaction/README.md lists the commands.

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "storaged/engine/compaction/picker.h"
#include "tests/support/script.h"

namespace bedrock::engine {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

struct Command : test::ScriptCommand {
  using ScriptCommand::ScriptCommand;

  /// "8:100,9:5".
  std::vector<std::pair<std::uint64_t, std::uint64_t>> Pairs(const std::string& key) const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs;
    const auto it = named.find(key);
    if (it == named.end()) return pairs;
    std::istringstream text(it->second);
    for (std::string pair; std::getline(text, pair, ',');) {
      const std::size_t colon = pair.find(':');
      pairs.emplace_back(std::stoull(pair.substr(0, colon)), std::stoull(pair.substr(colon + 1)));
    }
    return pairs;
  }
};

/// "a..f" (f included), "a..f)" or "a..)" (no end).
void ParseRange(const std::string& text, TableMetadata& table) {
  const std::size_t dots = text.find("..");
  table.smallest = text.substr(0, dots);
  table.largest = text.substr(dots + 2);
  if (!table.largest.ends_with(')')) return;
  table.largest.pop_back();
  table.largest_kind =
      table.largest.empty() ? UpperBound::Kind::kUnbounded : UpperBound::Kind::kExcluded;
}

std::string RangeText(const KeyRange& range) {
  std::string text = std::string(range.begin) + ".." + std::string(range.end.key);
  if (range.end.kind != UpperBound::Kind::kIncluded) text += ")";
  return text;
}

class ScriptRunner {
 public:
  ScriptRunner() {
    options_ = {.memtable_bytes = 16 * kMiB, .table_bytes = 16 * kMiB, .level1_bytes = 64 * kMiB};
  }

  std::string Run(const std::string& script) {
    test::ForEachLine(script, [this](const std::string& line) { Execute(Command(line)); });
    return output_;
  }

 private:
  void Execute(const Command& command) {
    if (command.name.size() == 2 && command.name.front() == 'L') {
      AddTable(static_cast<std::uint32_t>(command.name.back() - '0'), command);
    } else if (command.name == "options") {
      SetOptions(command);
    } else if (command.name == "watermark") {
      watermark_ = Version(command.Number(0));
    } else if (command.name == "pin") {
      oldest_pin_ = Version(command.Number(0));
    } else if (command.name == "quarantine") {
      quarantined_.insert(FileNumber(command.Number(0)));
    } else if (command.name == "blob") {
      blobs_.push_back(
          {FileNumber(command.Number(0)), command.Named("bytes", 0), command.Named("live", 0)});
    } else if (command.name == "reads") {
      level0_read_bytes_ = command.Number(0) * kMiB;
    } else if (command.name == "cursor") {
      cursors_.at(command.Number(0)) = command.args.at(1);
    } else if (command.name == "manual") {
      TableMetadata range;
      ParseRange(command.args.at(0) + ")", range);
      manual_ = {range.smallest, range.largest, Version(command.Named("newest", 1000)),
                 FileNumber(command.Named("next", 1000))};
    } else {
      Ask(command);
    }
  }

  void Ask(const Command& command) {
    output_ += "> " + command.name;
    for (const std::string& arg : command.args) output_ += " " + arg;
    output_ += "\n";
    if (command.name == "pick" || command.name == "start") {
      const auto plan = Pick(Input());
      Show(plan);
      if (plan && command.name == "start") running_.push_back(*plan);
    } else if (command.name == "manual-work") {
      output_ += HasWork(Input(), *manual_) ? "yes\n" : "no\n";
    } else if (command.name == "shape") {
      ShowShape();
    } else if (command.name == "debt") {
      output_ += std::to_string(CompactionDebt(levels_, options_) / kMiB) + " MiB\n";
    } else if (command.name == "split") {
      const auto plan = Pick(Input());
      ASSERT_TRUE(plan.has_value());
      for (const OwnedRange& range : SplitRanges(levels_, *plan, command.Number(0))) {
        output_ += "  " + RangeText(HalfOpen(range.begin, range.end)) + "\n";
      }
    } else {
      FAIL() << "no command: " << command.name;
    }
  }

  PickerInput Input() const {
    return {.levels = &levels_,
            .options = options_,
            .watermark = watermark_,
            .oldest_pin = oldest_pin_,
            .running = running_,
            .quarantined = &quarantined_,
            .blobs = blobs_,
            .manual = manual_ ? &*manual_ : nullptr,
            .level0_read_bytes = level0_read_bytes_,
            .cursors = &cursors_};
  }

  void SetOptions(const Command& command) {
    options_.level0_files_trigger = static_cast<std::uint32_t>(command.Named("trigger", 4));
    options_.level0_files_stop = static_cast<std::uint32_t>(command.Named("stop", 24));
    options_.memtable_bytes = command.Named("memtable", 16) * kMiB;
    options_.table_bytes = command.Named("table", 16) * kMiB;
    options_.level1_bytes = command.Named("level1", 64) * kMiB;
    const auto compression = command.named.find("compression");
    if (compression != command.named.end()) {
      options_.compression =
          compression->second == "none" ? bedrock::Compression::kNone : bedrock::Compression::kLz4;
    }
  }

  void AddTable(std::uint32_t level, const Command& command) {
    TableMetadata table;
    table.number = FileNumber(command.Number(0));
    ParseRange(command.args.at(1), table);
    table.size = command.Named("size", 16) * kMiB;
    table.raw_bytes = command.Named("raw", command.Named("size", 16)) * kMiB;
    // Deeper is older; on level 0 the larger number is newer.
    const std::uint64_t version = level == 0 ? 100 + command.Number(0) : 10 * (kLevelsMax - level);
    table.version_min = Version(command.Named("from", version));
    table.version_max = Version(command.Named("to", version));
    table.entries = command.Named("entries", 100'000);
    table.tombstones = command.Named("tombstones", 0);
    table.range_tombstones = command.Named("ranges", 0);
    table.data_blocks = 4000;
    table.dense_blocks = command.Named("dense", 0);
    for (const auto& [when, mib] : command.Pairs("garbage")) {
      table.garbage.push_back({Version(when), mib * kMiB});
    }
    for (const auto& [file, mib] : command.Pairs("blobs")) {
      table.blob_references.push_back({FileNumber(file), mib * kMiB});
    }
    levels_[level].push_back(table);
  }

  void Show(const std::optional<CompactionPlan>& plan) {
    if (!plan) {
      output_ += "nothing\n";
      return;
    }
    output_ += std::string(ReasonName(plan->reason)) + (plan->move ? ": move" : ": merge");
    std::optional<std::uint32_t> level;
    for (const CompactionPlan::Input& input : plan->inputs) {
      if (level != input.level) output_ += " L" + std::to_string(input.level);
      level = input.level;
      output_ += " " + std::to_string(input.number.value());
    }
    output_ += " -> L" + std::to_string(plan->output_level) + "\n  " + RangeText(plan->range()) +
               ", " + std::to_string(plan->input_bytes / kMiB) + " MiB";
    if (plan->move) {
      output_ += "\n";
      return;
    }
    if (plan->compression != bedrock::Compression::kNone) output_ += ", compressed";
    if (!plan->grandparents.empty()) {
      output_ += ", over";
      for (const auto& one : plan->grandparents) output_ += " " + one.smallest;
    }
    if (!plan->relocate_from.empty()) {
      output_ += ", out of blob files";
      for (const FileNumber one : plan->relocate_from) output_ += " " + std::to_string(one.value());
    }
    output_ += ", older below:";
    for (char key = 'a'; key <= 'z'; ++key) {
      if (plan->below.Contains(std::string_view(&key, 1))) output_ += key;
    }
    output_ += "\n";
  }

  void ShowShape() {
    const LevelShape shape = ShapeOf(levels_, options_);
    output_ += "base " + std::to_string(shape.base) + ", targets";
    for (std::uint32_t level = shape.base; level < kLevelsMax; ++level) {
      output_ += " " + std::to_string(shape.target_bytes[level] / kMiB);
    }
    output_ += " MiB, compressed from " + std::to_string(shape.compressed_from) + "\n";
  }

  Levels levels_ = Levels(kLevelsMax);
  CompactionOptions options_;
  Version watermark_;
  std::optional<Version> oldest_pin_;
  std::set<FileNumber> quarantined_;
  std::vector<BlobFileUse> blobs_;
  std::vector<CompactionPlan> running_;
  std::optional<ManualCompaction> manual_;
  std::uint64_t level0_read_bytes_ = 0;
  std::array<std::string, kLevelsMax> cursors_;
  std::string output_;
};

class PickerScriptTest : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(PickerScriptTest, PicksAsWritten) {
  test::CheckScript(GetParam(),
                    [](const std::string& script) { return ScriptRunner().Run(script); });
}

INSTANTIATE_TEST_SUITE_P(Scripts, PickerScriptTest,
                         testing::ValuesIn(test::ScriptsIn(BEDROCK_COMPACTION_SCRIPTS)),
                         [](const auto& script) { return test::ScriptTestName(script.param); });

}  // namespace
}  // namespace bedrock::engine
