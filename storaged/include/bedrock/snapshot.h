#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "bedrock/version.h"

namespace bedrock {

/// Holds the state at one version readable for as long as it, or a copy of it, lives: what was
/// overwritten or deleted since then takes space meanwhile. A value, cheap to copy; any thread. May
/// outlive the database.
class Snapshot {
 public:
  Version version() const { return version_; }

  /// For the engine: `pin` is let go when the last copy is destroyed.
  Snapshot(Version version, std::shared_ptr<const void> pin)
      : version_(version), pin_(std::move(pin)) {}

 private:
  Version version_;
  std::shared_ptr<const void> pin_;
};

/// A snapshot or none; also takes a pointer, null for none. Holds a copy.
class OptionalSnapshot : public std::optional<Snapshot> {
 public:
  using std::optional<Snapshot>::optional;
  OptionalSnapshot(const Snapshot* snapshot) {  // NOLINT: implicit, for `options.snapshot = &it`
    if (snapshot != nullptr) emplace(*snapshot);
  }
};

}  // namespace bedrock
