#include "bedrock/stats.h"

#include <initializer_list>
#include <utility>

namespace bedrock {
namespace {

constexpr EngineState kStates[] = {EngineState::kHealthy, EngineState::kDegraded,
                                   EngineState::kNoSpace, EngineState::kReadOnly,
                                   EngineState::kFailed};

/// Writes the text exposition format, version 0.0.4: one HELP and TYPE for each name, then its
/// samples.
class Exposition {
 public:
  void Gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    Head(name, help, "gauge");
    Sample(name, {}, value);
  }
  void Counter(std::string_view name, std::string_view help, std::uint64_t value) {
    Head(name, help, "counter");
    Sample(name, {}, value);
  }
  void Head(std::string_view name, std::string_view help, std::string_view type) {
    for (const auto& [word, text] : {std::pair{"HELP", help}, std::pair{"TYPE", type}}) {
      text_.append("# ").append(word).append(" bedrock_").append(name).append(" ");
      text_.append(text).append("\n");
    }
  }
  /// `labels` is what stands between the braces.
  void Sample(std::string_view name, std::string_view labels, std::uint64_t value) {
    text_.append("bedrock_").append(name);
    if (!labels.empty()) text_.append("{").append(labels).append("}");
    text_.append(" ").append(std::to_string(value)).append("\n");
  }

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

using Level = EngineStats::Level;

void ExposeLevels(const std::vector<Level>& levels, Exposition& out) {
  const auto each = [&](std::string_view name, std::string_view help, std::string_view type,
                        auto value_of) {
    out.Head(name, help, type);
    for (std::size_t i = 0; i < levels.size(); ++i)
      out.Sample(name, "level=\"" + std::to_string(i) + "\"", value_of(levels[i]));
  };
  if (levels.empty()) return;
  each("level_files", "Tables of each level.", "gauge",
       [](const Level& level) { return std::uint64_t{level.files}; });
  each("level_bytes", "Bytes of each level's tables.", "gauge",
       [](const Level& level) { return level.bytes; });
  each("level_target_bytes", "What each level should hold at most; 0: no target.", "gauge",
       [](const Level& level) { return level.target_bytes; });
  each("level_written_bytes_total", "Written into each level by flushes and compactions.",
       "counter", [](const Level& level) { return level.written_bytes; });
  each("level_read_bytes_total", "Read out of each level by compactions.", "counter",
       [](const Level& level) { return level.read_bytes; });
}

}  // namespace

std::string_view EngineStateName(EngineState state) {
  switch (state) {
    case EngineState::kHealthy:
      return "healthy";
    case EngineState::kDegraded:
      return "degraded";
    case EngineState::kNoSpace:
      return "no_space";
    case EngineState::kReadOnly:
      return "read_only";
    case EngineState::kFailed:
      return "failed";
  }
  return "unknown";
}

std::string EngineStats::ToPrometheus() const {
  Exposition out;
  out.Head("state", "1 for the state the engine is in, 0 for the others.", "gauge");
  for (const EngineState each : kStates) {
    out.Sample("state", "state=\"" + std::string(EngineStateName(each)) + "\"",
               each == state ? 1 : 0);
  }
  out.Gauge("newest_version", "The last committed version.", newest.value());
  out.Gauge("durable_version", "Everything up to here is in tables.", durable.value());
  out.Gauge("watermark_version", "Versions below it may have vanished.", watermark.value());
  out.Gauge("oldest_pin_version", "The oldest version that a snapshot holds; 0: none.",
            oldest_pin.value());
  out.Gauge("oldest_pin_milliseconds", "How long the oldest pin has been held.", oldest_pin_ms);
  ExposeLevels(levels, out);
  out.Gauge("blob_files", "Files of large values.", blob_files);
  out.Gauge("blob_bytes", "Bytes of the files of large values.", blob_bytes);
  out.Gauge("blob_live_bytes", "Bytes of large values that tables refer to.", blob_live_bytes);
  out.Gauge("quarantined_files", "Tables set aside because they are damaged.", quarantined_files);
  out.Gauge("memtables", "Memtables, those that wait for their flush included.", memtables);
  out.Gauge("memtable_bytes", "Memory of all memtables.", memtable_bytes);
  out.Gauge("block_cache_bytes", "Memory of cached blocks.", block_cache_bytes);
  out.Gauge("table_memory_bytes", "Memory of the indexes and filters of open tables.",
            table_memory_bytes);
  out.Gauge("compaction_debt_bytes", "What has to be rewritten until the levels are in shape.",
            compaction_debt_bytes);
  out.Counter("commits_total", "Commits.", commits);
  out.Counter("user_bytes_total", "Keys and values that were written.", user_bytes);
  out.Counter("log_bytes_total", "Written to the write-ahead log.", log_bytes);
  out.Counter("log_syncs_total", "Syncs of the write-ahead log.", log_syncs);
  out.Counter("flushes_total", "Memtables written to tables.", flushes);
  out.Counter("compactions_total", "Compactions.", compactions);
  out.Counter("moves_total", "Tables that went down a level as they are.", moves);
  out.Counter("delayed_writes_total", "Writes that were made to wait.", delayed_writes);
  out.Counter("delay_microseconds_total", "How long writes were made to wait.", delay_us);
  out.Counter("gets_total", "Lookups of single keys.", gets);
  out.Counter("filter_skips_total", "Tables that a filter spared a lookup.", filter_skips);
  out.Counter("block_cache_hits_total", "Blocks found in memory.", block_cache_hits);
  out.Counter("block_cache_misses_total", "Blocks read from files.", block_cache_misses);
  return out.Take();
}

}  // namespace bedrock
