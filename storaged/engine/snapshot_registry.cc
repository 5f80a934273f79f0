#include "storaged/engine/snapshot_registry.h"

#include <utility>

namespace bedrock::engine {

class SnapshotRegistry::Pin {
 public:
  Pin(std::shared_ptr<SnapshotRegistry> registry, Version version)
      : registry_(std::move(registry)), version_(version) {}
  ~Pin() { registry_->Remove(version_); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  std::shared_ptr<SnapshotRegistry> registry_;
  Version version_;
};

Snapshot SnapshotRegistry::Add(Version version, std::uint64_t now_ms) {
  Pins& pins = pins_[version];
  if (pins.count++ == 0) pins.since_ms = now_ms;
  return {version, std::make_shared<const Pin>(shared_from_this(), version)};
}

void SnapshotRegistry::Remove(Version version) {
  MutexLock lock(mutex_);
  const auto pins = pins_.find(version);
  if (--pins->second.count == 0) pins_.erase(pins);
}

std::vector<Version> SnapshotRegistry::PinnedBelow(Version watermark) const {
  std::vector<Version> pinned;
  for (const auto& [version, pins] : pins_) {
    if (version < watermark) pinned.push_back(version);
  }
  return pinned;
}

bool SnapshotRegistry::IsPinned(Version version) const {
  MutexLock lock(mutex_);
  return pins_.contains(version);
}

std::optional<SnapshotRegistry::Oldest> SnapshotRegistry::oldest() const {
  MutexLock lock(mutex_);
  if (pins_.empty()) return std::nullopt;
  return Oldest{pins_.begin()->first, pins_.begin()->second.since_ms};
}

}  // namespace bedrock::engine
