#pragma once

namespace bedrock {

/// A yes or no that says at the call what it decides: `using Overwrite = TypedBool<struct
/// OverwriteTag>;` and then `Overwrite::kYes`. Tests like a bool in conditions; never converts from
/// one by itself.
template <typename Tag>
class TypedBool {
 public:
  static const TypedBool kNo;
  static const TypedBool kYes;

  constexpr explicit TypedBool(bool value) : value_(value) {}
  constexpr explicit operator bool() const { return value_; }
  constexpr bool operator!() const { return !value_; }
  constexpr bool operator==(const TypedBool&) const = default;

 private:
  bool value_;
};

template <typename Tag>
inline constexpr TypedBool<Tag> TypedBool<Tag>::kNo{false};
template <typename Tag>
inline constexpr TypedBool<Tag> TypedBool<Tag>::kYes{true};

}  // namespace bedrock
