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
/// `subject` to the best of the others, then durations, then what it costs. Where some of the
/// others are among `mapped`, the engines that map their tables into memory beside their caches,
/// the subject, if it is none of them, is also compared with the rest: with the same memory.
std::string MarkdownTables(const std::vector<Result>& medians, const std::string& settings,
                           const std::string& subject, const std::vector<std::string>& mapped = {});

}  // namespace bedrock::bench
