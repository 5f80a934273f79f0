#pragma once

#include <cstdint>
#include <string_view>

#include "bedrock/status.h"

namespace bedrock::engine {

/// Takes the encoding of a WriteBatch (bedrock/write_batch.h) apart, change by change. Any bytes
/// may come in: what is no encoding ends the walk with malformed(). A value; views are of the
/// input.
///
/// Inline, because each write of a single key goes through it more than once.
class ChangeReader {
 public:
  enum class Kind : std::uint8_t { kPut = 1, kDelete = 2, kDeleteRange = 3 };

  explicit ChangeReader(std::string_view changes)
      : at_(changes.data()), end_(changes.data() + changes.size()) {}

  /// Moves to the next change; false at the end and at what is malformed.
  bool Next() {
    if (at_ == end_ || malformed_) return false;
    kind_ = static_cast<Kind>(*at_++);
    malformed_ = kind_ < Kind::kPut || kind_ > Kind::kDeleteRange || !Take(key_);
    if (malformed_) return false;
    value_ = {};
    if (kind_ == Kind::kDelete) return true;
    malformed_ =
        !Take(value_) || (kind_ == Kind::kDeleteRange && !value_.empty() && value_ <= key_);
    return !malformed_;
  }

  Kind kind() const { return kind_; }
  std::string_view key() const { return key_; }      ///< Of a range its begin.
  std::string_view value() const { return value_; }  ///< Of a range its end; empty: unbounded.

  bool at_end() const { return at_ == end_ && !malformed_; }
  bool malformed() const { return malformed_; }

 private:
  /// A length and so many bytes; false where they are not there.
  bool Take(std::string_view& bytes) {
    if (at_ == end_) return false;
    std::uint64_t size = static_cast<std::uint8_t>(*at_);
    if (size < 0x80) [[likely]] {
      ++at_;
    } else if (!TakeLongSize(size)) {
      return false;
    }
    if (size > static_cast<std::uint64_t>(end_ - at_)) return false;
    bytes = {at_, static_cast<std::size_t>(size)};
    at_ += size;
    return true;
  }
  bool TakeLongSize(std::uint64_t& size);

  const char* at_;
  const char* end_;
  Kind kind_ = Kind::kPut;
  std::string_view key_;
  std::string_view value_;
  bool malformed_ = false;
};

/// ok where all changes decode and keys and values are within their bounds (keys.h). corruption or
/// invalid_argument.
Status CheckChanges(std::string_view changes);

}  // namespace bedrock::engine
