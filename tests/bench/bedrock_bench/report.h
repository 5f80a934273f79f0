#pragma once

#include <string>
#include <vector>

#include "tests/bench/bedrock_bench/result.h"
#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {

/// Field by field the medians of all rounds, for each settings, engine and workload; in the order
/// in which they first appear.
std::vector<Result> Medians(const std::vector<Result>& results);

/// Sentences about engines that read something else than the others in the same round; empty where
/// all agree.
std::vector<std::string> Disagreements(const std::vector<Result>& results);

/// The tables of one settings, as Markdown: what each engine does a second, with the ratio of
/// `subject` to the best of the others, then durations, then what it costs.
std::string MarkdownTables(const std::vector<Result>& medians, const std::string& settings,
                           const std::string& subject);

}  // namespace bedrock::bench
