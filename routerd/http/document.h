#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/errors.h"
#include "routerd/http/format.h"

namespace bedrock::router {

inline constexpr std::size_t kDocumentDepthMax = 8;
inline constexpr std::size_t kDocumentMembersMax = 16;      ///< Of one object.
inline constexpr std::size_t kDocumentValuesMax = 300'000;  ///< In all.

/// A value of a JSON or msgpack document.
struct Value {
  enum class Type : std::uint8_t {
    kNull,
    kBoolean,
    kUnsigned,
    kNegative,  ///< A whole number below 0; `number` holds its two's complement.
    kFraction,  ///< Any other number; its value is not kept, nothing here takes one.
    kText,
    kBytes,  ///< msgpack's bin.
    kArray,
    kObject,
  };
  Type type = Type::kNull;
  bool boolean = false;
  std::uint32_t end = 0;  ///< The position behind this value and all that is in it.
  std::uint64_t number = 0;
  std::string name;  ///< Of an object's member.
  std::string text;  ///< kText, kBytes.
};

/// A request's document, read by nlohmann's parsers: its values in the order of the text, so that a
/// container's first element stands right behind it, and the next behind the end of that.
///
/// Strict where JSON leaves it open: a name stands once in an object, and a text is UTF-8. Depth,
/// members and values are counted as they come, before anything is kept for them.
class Document {
 public:
  /// invalid_argument with the place for what is malformed; transaction_too_large for too many
  /// values.
  static proto::Error Parse(std::string_view bytes, Format format, Document* document);

  /// REQUIRES: Parse gave no error.
  const Value& root() const { return values_.front(); }
  const Value& At(std::size_t position) const { return values_[position]; }
  std::size_t PositionOf(const Value& value) const {
    return static_cast<std::size_t>(&value - values_.data());
  }

 private:
  friend class DocumentBuilder;
  std::vector<Value> values_;
};

}  // namespace bedrock::router
