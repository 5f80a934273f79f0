#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bedrock::proto {

// Private to proto/.

/// Takes msgpack values off the front of a byte string, one call a value, each call naming the type
/// it expects. It allocates nothing and believes no count: an array or map is refused unless every
/// element it claims could still fit into what is left, so that hostile headers cost nothing. (A
/// tree of objects, as msgpack-cxx builds, allocates 24 bytes an element that is only claimed.)
///
/// After the first failure every further call fails too and gives nothing, so that a decoder reads
/// all its fields and checks once. The views it gives borrow the input. One thread.
/// Source of the format: https://github.com/msgpack/msgpack/blob/master/spec.md
class MsgpackReader {
 public:
  explicit MsgpackReader(std::string_view input)
      : begin_(input.data()), at_(begin_), end_(begin_ + input.size()) {}

  /// Any encoding of an integer that is not negative: many languages write 5 as a signed one.
  std::uint64_t Unsigned();
  bool Boolean();
  std::string_view Binary();
  std::string_view Text();
  /// The number of elements, which the caller reads next. At most remaining().
  std::size_t ArraySize();
  /// Takes a nil if one is next; false, and nothing is taken, otherwise.
  bool TakeNil();
  /// Passes over `count` values of any type and depth, without recursion.
  void Skip(std::uint64_t count);
  /// Passes over one value; fails unless it is nil, false, 0, or a bin, str, array or map of no
  /// elements.
  void SkipEmpty();

  /// Ends the reading at this place. `reason` is a literal.
  void Fail(const char* reason);
  bool failed() const { return reason_ != nullptr; }
  bool at_end() const { return at_ == end_; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  /// "byte 17: expected a bin". REQUIRES: failed().
  std::string FailureText() const;

 private:
  // What stands before a value's content.
  struct Head {
    enum class Type : std::uint8_t { kScalar, kBytes, kArray, kMap };
    Type type = Type::kScalar;
    std::uint64_t size = 0;  // kScalar, kBytes: bytes that follow; kArray, kMap: values that follow
    bool empty = false;      // as SkipEmpty means it
  };

  // Takes the type byte and the length of the next value; its content fits into what is left.
  Head TakeHead();
  Head LongHead(std::uint8_t tag);
  // Bytes of the scalar that a tag from 0xc0 on announces.
  Head ScalarHead(std::uint8_t tag);
  // Big-endian, `width` of 1, 2, 4 or 8 bytes.
  std::uint64_t Big(std::size_t width);
  std::string_view Take(std::uint64_t size);
  std::uint64_t LongUnsigned(std::uint8_t tag);
  std::uint8_t NextTag(const char* expected);

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* reason_ = nullptr;  // null until the first failure
};

inline std::uint64_t MsgpackReader::Unsigned() {
  const std::uint8_t tag = NextTag("expected an unsigned integer");
  return tag < 0x80 ? tag : LongUnsigned(tag);
}

inline std::uint8_t MsgpackReader::NextTag(const char* expected) {
  if (at_ == end_ || failed()) [[unlikely]] {
    Fail(expected);
    return 0;
  }
  return static_cast<std::uint8_t>(*at_++);
}

}  // namespace bedrock::proto
