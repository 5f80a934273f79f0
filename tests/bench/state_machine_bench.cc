// What a command costs in the state machine, on an engine in memory that never flushes: items are
// log entries. The entries are made beforehand; 16-byte keys in random order, values of 100 bytes.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "proto/command.h"
#include "storaged/core/state_machine.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {
namespace {

constexpr std::uint64_t kEntries = 100'000;

/// A replica with nothing in it.
class Replica {
 public:
  Replica() {
    engine::EngineOptions options;
    options.directory = "storage";
    options.memtable_bytes = 256 * kMiB;
    auto engine = engine::Engine::Open(
        {.file_system = &file_system_, .clock = &clock_, .executor = &executor_}, options);
    CHECK_MSG(engine.ok(), engine.status().ToString());
    engine_ = std::move(engine).value();
    auto machine = StateMachine::Open(*engine_);
    CHECK_MSG(machine.ok(), machine.status().ToString());
    machine_ = std::move(machine).value();
  }
  StateMachine& machine() { return *machine_; }

 private:
  MemoryFileSystem file_system_;
  ManualClock clock_;
  ManualExecutor executor_{Random(1)};
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<StateMachine> machine_;
};

raft::Entry EntryOf(std::uint64_t index, const proto::Command& command) {
  raft::Entry entry;
  entry.index = LogIndex(index);
  entry.term = Term(1);
  entry.kind = raft::EntryKind::kCommand;
  entry.time_ms = 1'700'000'000'000 + index / 10;
  entry.payload = Bytes(proto::EncodeCommand(command));
  return entry;
}

std::string KeyOf(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(16 - digits.size(), '0') + digits;
}

/// One command an entry, made by `fill`, from one session with a thousand replies outstanding.
template <typename Fill>
std::vector<raft::Entry> MakeLog(Fill fill) {
  Random random(7);
  std::vector<raft::Entry> log;
  log.reserve(kEntries);
  for (std::uint64_t index = 1; index <= kEntries; ++index) {
    proto::Command command;
    command.session = SessionId(7);
    command.sequence = index;
    command.low_water = index > 1'000 ? index - 1'000 : 1;
    const std::string key = KeyOf(random.Below(kEntries));
    fill(command, key);
    log.push_back(EntryOf(index, command));
  }
  return log;
}

void Apply(benchmark::State& state, const std::vector<raft::Entry>& log) {
  for (auto _ : state) {
    state.PauseTiming();
    auto replica = std::make_unique<Replica>();
    state.ResumeTiming();
    for (const auto& entry : log) {
      auto result = replica->machine().Apply(entry);
      CHECK_MSG(result.ok(), result.status().ToString());
      CHECK(result->code == proto::ErrorCode::kOk);
    }
    state.PauseTiming();
    replica.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEntries));
}

const std::string kValue(100, 'v');

void BM_Put(benchmark::State& state) {
  Apply(state, MakeLog([](proto::Command& command, std::string_view key) {
          command.operations.push_back({proto::Operation::Kind::kPut, key, kValue});
        }));
}
BENCHMARK(BM_Put)->Unit(benchmark::kMillisecond);

raft::Entry CheckAt(std::uint64_t index, std::uint32_t bytes) {
  raft::Entry entry = EntryOf(index, {});
  entry.payload = Bytes(proto::EncodeCheckState({.from = {}, .bytes_max = bytes}));
  return entry;
}

/// The same where a check of the state has begun the chain of hashes.
void BM_PutComparedByHashes(benchmark::State& state) {
  std::vector<raft::Entry> log = MakeLog([](proto::Command& command, std::string_view key) {
    command.operations.push_back({proto::Operation::Kind::kPut, key, kValue});
  });
  log.front() = CheckAt(1, 1);
  Apply(state, log);
}
BENCHMARK(BM_PutComparedByHashes)->Unit(benchmark::kMillisecond);

/// A check of a slice of so many bytes.
void BM_Check(benchmark::State& state) {
  Replica replica;
  std::uint64_t index = 0;
  for (const raft::Entry& entry : MakeLog([](proto::Command&command, std::string_view key) {
         command.operations.push_back({proto::Operation::Kind::kPut, key, kValue});
       })) {
    CHECK(replica.machine().Apply(entry).ok());
    ++index;
  }
  for (auto _ : state) {
    CHECK(
        replica.machine().Apply(CheckAt(++index, static_cast<std::uint32_t>(state.range(0)))).ok());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(BM_Check)->Arg(512 * 1024)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace bedrock::storage

BENCHMARK_MAIN();
