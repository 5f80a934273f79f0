#pragma once

#include <memory>
#include <string_view>

#include "bedrock/status.h"
#include "bedrock/version.h"

namespace bedrock {

/// Walks keys in bytewise order, in both directions, over the state at one version: each key once,
/// with its newest value at that version; deleted keys are left out. It holds what it reads:
/// writes, flushes and compactions that come later change nothing of what it shows.
///
/// It stands nowhere until it is positioned. An error makes Valid() false and status() say so, for
/// ever: it never steps over what it can't read. One whose error nobody looked at is reported when
/// it is destroyed.
///
/// One thread at a time. May outlive the database; it then answers with an error (aborted).
class Iterator {
 public:
  /// Does the walking. Owned by the iterator; not for users of the library.
  class Walk;

  explicit Iterator(std::unique_ptr<Walk> walk);
  ~Iterator();
  Iterator(const Iterator&) = delete;
  Iterator& operator=(const Iterator&) = delete;

  bool Valid() const { return valid_; }
  void SeekToFirst();
  void SeekToLast();
  void Seek(std::string_view key);         ///< The first key at or after `key`.
  void SeekForPrev(std::string_view key);  ///< The last key at or before `key`.
  void Next();                             ///< REQUIRES: Valid().
  void Prev();                             ///< REQUIRES: Valid().

  /// Of the entry it stands on; views until the next call that moves it. REQUIRES: Valid().
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  Version version() const { return version_; }  ///< Of the commit that wrote the value.

  /// Ok at the end of the range, too.
  Status status() const;

 private:
  friend class Walk;  // which sets what it stands on

  bool valid_ = false;
  std::string_view key_;
  std::string_view value_;
  Version version_;
  std::unique_ptr<Walk> walk_;
};

}  // namespace bedrock
