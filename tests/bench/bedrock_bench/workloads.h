#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/bedrock_bench/generators.h"
#include "tests/bench/bedrock_bench/result.h"
#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {

/// How much is done; the same for every engine.
struct Scale {
  std::uint64_t keys = 1'000'000;
  std::uint64_t reads = 1'000'000;
  std::size_t value_bytes = 100;
  unsigned threads = 1;
  std::uint64_t seed = 1;
  KeyFormat key_format = KeyFormat::kText;
};

/// Workloads that run one after the other on one database, which is empty at first, in a process of
/// its own.
struct WorkloadSet {
  std::string name;
  std::vector<std::string> workloads;
  bool large_values = false;
  Transactions transactions = Transactions::kNone;
};

/// All sets; their workloads in the order of the tables. One named "load_…" only prepares the next:
/// it can't be wanted.
const std::vector<WorkloadSet>& WorkloadSets();

/// Runs one set on an empty directory. Gives a result for each workload of `wanted`; what the
/// wanted ones need (loads) runs, too, and what nobody needs does not. `report` is called as soon
/// as a result is there.
void RunSet(const WorkloadSet& set, const std::vector<std::string>& wanted, const Engine& engine,
            const StoreOptions& options, const Scale& scale,
            const std::function<void(const Result&)>& report);

}  // namespace bedrock::bench
