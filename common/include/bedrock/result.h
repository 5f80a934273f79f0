#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "bedrock/status.h"

namespace bedrock {

namespace internal {
/// Prints the status and aborts: somebody took the value of a failed Result.
[[noreturn]] void DieOnBadResultAccess(const Status& status);
}  // namespace internal

/// A value, or the Status that says why there is none. Shaped like std::expected, so that it can
/// become it.
///
/// REQUIRES: value(), operator* and operator-> only when ok(); otherwise the process ends with the
/// status printed.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit, so that `return value;` works
  /// REQUIRES: !status.ok().
  Result(Status status)
      : status_(std::move(status)) {  // NOLINT: implicit, so that `return status;` works
    if (status_.ok()) internal::DieOnBadResultAccess(status_);
  }

  bool ok() const { return value_.has_value(); }
  /// Ok where there is a value.
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }
  /// For callers that do not want the value: `Status s = db->Put(key, value);`.
  operator Status() const& { return status_; }
  operator Status() && { return std::move(status_); }

  T& value() & {
    RequireValue();
    return *value_;
  }
  const T& value() const& {
    RequireValue();
    return *value_;
  }
  T&& value() && {
    RequireValue();
    return *std::move(value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// The value, or `fallback` where there is none.
  template <typename U>
  T value_or(U&& fallback) const& {
    return value_.has_value() ? *value_ : static_cast<T>(std::forward<U>(fallback));
  }

 private:
  void RequireValue() const {
    if (!value_.has_value()) internal::DieOnBadResultAccess(status_);
  }

  std::optional<T> value_;
  Status status_;
};

}  // namespace bedrock
