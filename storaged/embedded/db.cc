#include "bedrock/db.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "common/env/random.h"
#include "storaged/embedded/database.h"

namespace bedrock {

Result<std::unique_ptr<DB>> DB::Open(const std::string& directory, const Options& options) {
  RETURN_IF_ERROR(options.Validate());
  std::unique_ptr<embedded::LocalEnvironment> local;
  if (options.env == nullptr)
    local = std::make_unique<embedded::LocalEnvironment>(options.background_threads,
                                                         options.mapped_bytes_max);
  const Environment environment = local == nullptr ? *options.env : local->environment();
  // A simulation has to come out the same each time.
  const std::uint64_t seed =
      local == nullptr ? Random(environment.clock->WallMs()).Next() : SystemEntropy();
  auto core =
      std::make_shared<embedded::Core>(environment, directory, std::max<std::uint64_t>(seed, 1));
  if (Status status = core->Recover(options); !status.ok())
    return status.Prefixed("open " + directory);
  return std::unique_ptr<DB>(
      std::make_unique<embedded::Database>(std::move(local), std::move(core)));
}

Status DB::Get(std::string_view key, std::string* value, const ReadOptions& options) {
  PinnedValue pinned;
  RETURN_IF_ERROR(Get(key, &pinned, options));
  value->assign(pinned.value());
  return {};
}

ScanRange DB::Scan(Range bounds, const ReadOptions& options) {
  return ScanRange(NewIterator(options, bounds));
}

}  // namespace bedrock
