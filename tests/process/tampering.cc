#include "tests/process/tampering.h"

#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "bedrock/write_batch.h"
#include "common/base/status_macros.h"
#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/thread_executor.h"
#include "storaged/engine/engine.h"

namespace bedrock::test {
namespace {

/// What an engine holds, by the version that wrote it.
using Content = std::map<std::uint64_t, std::vector<std::pair<std::string, std::string>>>;

Result<Content> ReadAll(const engine::Engine& engine) {
  Content content;
  const auto walk = engine.NewIterator({}, {});
  for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
    content[walk->version().value()].emplace_back(walk->key(), walk->value());
  }
  RETURN_IF_ERROR(walk->status());
  return content;
}

/// Executes it again, entry by entry.
Status Rebuild(engine::Engine& engine, const Content& content, engine::AppliedMark mark,
               const std::string& client_state) {
  for (std::uint64_t index = 1; index <= mark.index.value(); ++index) {
    WriteBatch batch;
    if (const auto entry = content.find(index); entry != content.end()) {
      for (const auto& [key, value] : entry->second) batch.Put(key, value);
    }
    RETURN_IF_ERROR(engine.Apply(batch, {.index = LogIndex(index), .term = mark.term}));
  }
  std::promise<void> durable;
  bool done = false;
  engine.OnProgress([&] {
    if (!std::exchange(done, engine.durable_applied() == mark) && done) durable.set_value();
  });
  engine.StartFlush(client_state);
  durable.get_future().wait();
  return Status::Ok();
}

}  // namespace

Status ChangeAtRest(const std::string& folder, std::string_view user_key, std::string_view value) {
  PosixFileSystem file_system;
  PosixClock clock;
  const std::string changed_folder = folder + ".tampered";
  {
    ThreadExecutor executor(1);
    const Environment environment{
        .file_system = &file_system, .clock = &clock, .executor = &executor};
    ASSIGN_OR_RETURN(const auto before, engine::Engine::Open(environment, {.directory = folder}));
    ASSIGN_OR_RETURN(Content content, ReadAll(*before));
    bool found = false;
    for (auto& [version, items] : content) {
      for (auto& [key, held] : items) {
        if (key != "u" + std::string(user_key)) continue;
        held = value;
        found = true;
      }
    }
    if (!found) return Status::NotFound("no such key: " + std::string(user_key));
    ASSIGN_OR_RETURN(const auto after,
                     engine::Engine::Open(environment, {.directory = changed_folder}));
    RETURN_IF_ERROR(Rebuild(*after, content, before->durable_applied(), before->client_state()));
  }
  std::filesystem::remove_all(folder);
  std::filesystem::rename(changed_folder, folder);
  return Status::Ok();
}

}  // namespace bedrock::test
