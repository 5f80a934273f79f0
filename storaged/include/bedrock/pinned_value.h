#pragma once

#include <string_view>
#include <utility>

#include "bedrock/version.h"

namespace bedrock {

/// A value that was read, where it lies: it holds the block or memtable that it is a part of, so
/// nothing was copied. Movable; holds memory of the database until it is reset or destroyed. May be
/// used from any thread, by one at a time, and may outlive the database.
class PinnedValue {
 public:
  PinnedValue() = default;
  PinnedValue(PinnedValue&& other) noexcept { *this = std::move(other); }
  PinnedValue& operator=(PinnedValue&& other) noexcept {
    if (this != &other) {
      Reset();
      std::swap(value_, other.value_);
      std::swap(version_, other.version_);
      std::swap(held_, other.held_);
      std::swap(release_, other.release_);
    }
    return *this;
  }
  PinnedValue(const PinnedValue&) = delete;
  PinnedValue& operator=(const PinnedValue&) = delete;
  ~PinnedValue() { Reset(); }

  std::string_view value() const { return value_; }
  Version version() const { return version_; }  ///< Of the commit that wrote it.

  /// Empty again; lets go of what it held.
  void Reset() {
    if (release_ != nullptr) release_(held_);
    value_ = {};
    version_ = {};
    held_ = nullptr;
    release_ = nullptr;
  }

  /// For the engine: `value` stays readable until release(held) is called, which happens once.
  void Pin(std::string_view value, Version version, void* held, void (*release)(void* held)) {
    Reset();
    value_ = value;
    version_ = version;
    held_ = held;
    release_ = release;
  }

 private:
  std::string_view value_;
  Version version_;
  void* held_ = nullptr;
  void (*release_)(void*) = nullptr;
};

}  // namespace bedrock
