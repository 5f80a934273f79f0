#pragma once

#include <cstdint>
#include <string_view>

#include "bedrock/status.h"
#include "common/codec/coding.h"

namespace bedrock::engine {

/// Takes the encoding of a WriteBatch (bedrock/write_batch.h) apart, change by change. Any bytes
/// may come in: what is no encoding ends the walk with malformed(). A value; views are of the
/// input.
class ChangeReader {
 public:
  enum class Kind : std::uint8_t { kPut = 1, kDelete = 2, kDeleteRange = 3 };

  explicit ChangeReader(std::string_view changes) : reader_(changes) {}

  /// Moves to the next change; false at the end and at what is malformed.
  bool Next();

  Kind kind() const { return kind_; }
  std::string_view key() const { return key_; }      ///< Of a range its begin.
  std::string_view value() const { return value_; }  ///< Of a range its end; empty: unbounded.

  bool at_end() const { return !malformed_ && reader_.AtEnd(); }
  bool malformed() const { return malformed_; }

 private:
  ByteReader reader_;
  Kind kind_ = Kind::kPut;
  std::string_view key_;
  std::string_view value_;
  bool malformed_ = false;
};

/// ok where all changes decode and keys and values are within their bounds (keys.h). corruption or
/// invalid_argument.
Status CheckChanges(std::string_view changes);

}  // namespace bedrock::engine
