#pragma once

#include <string>
#include <string_view>

#include "storaged/txn/key_range.h"

namespace bedrock::txn {

/// What a lock is on: one key, or all keys in [begin, end), also those that do not exist; an empty
/// `end` is unbounded. Views are borrowed. A range is never empty.
class LockSpan {
 public:
  static LockSpan OfKey(std::string_view key) { return {key, {}, true}; }
  /// REQUIRES: !IsEmptyRange(begin, end).
  static LockSpan OfRange(std::string_view begin, std::string_view end) {
    return {begin, end, false};
  }

  bool is_key() const { return is_key_; }
  std::string_view begin() const { return begin_; }
  std::string_view end() const { return end_; }  ///< Of a range.

  bool operator==(const LockSpan&) const = default;
  bool Contains(std::string_view key) const { return key >= begin_ && EndsBehind(key); }
  bool Overlaps(const LockSpan& other) const {
    return EndsBehind(other.begin_) && other.EndsBehind(begin_);
  }
  /// Takes the range of one key alone for more than the key.
  bool Covers(const LockSpan& other) const {
    return begin_ <= other.begin_ && !other.EndsAfter(*this);
  }
  /// Whether `key` is before its end.
  bool EndsBehind(std::string_view key) const {
    return is_key_ ? begin_ >= key : end_.empty() || end_ > key;
  }
  /// A strict order of ends.
  bool EndsAfter(const LockSpan& other) const {
    if (other.is_unbounded()) return false;
    if (is_unbounded()) return true;
    if (other.is_key_) return (is_key_ ? begin_ : end_) > other.begin_;
    return is_key_ ? begin_ >= other.end_ : end_ > other.end_;
  }

 private:
  LockSpan(std::string_view begin, std::string_view end, bool is_key)
      : begin_(begin), end_(end), is_key_(is_key) {}
  bool is_unbounded() const { return !is_key_ && end_.empty(); }

  std::string_view begin_;
  std::string_view end_;
  bool is_key_;
};

/// The same with bytes of its own, for what is told of locks.
struct NamedSpan {
  NamedSpan() = default;
  explicit NamedSpan(const LockSpan& span)
      : begin(span.begin()), end(span.end()), is_key(span.is_key()) {}

  std::string begin;  ///< The key, or a range's begin.
  std::string end;
  bool is_key = true;

  LockSpan span() const { return is_key ? LockSpan::OfKey(begin) : LockSpan::OfRange(begin, end); }
  /// "key 'k'", "the keys from 'a' to before 'b'".
  std::string ToString() const;
};

}  // namespace bedrock::txn
