#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "common/base/ids.h"
#include "storaged/engine/keys/range_tombstones.h"

namespace bedrock::engine {

/// The range tombstones of one source of a walk at one version, looked at through a window that
/// follows the walk: while keys stay inside, what covers them is known. One thread at a time.
class TombstoneWindow {
 public:
  /// `source` is the number of the source that the tombstones are of: those of larger numbers are
  /// older, so that what they have under a tombstone is all hidden.
  TombstoneWindow(std::size_t source, std::shared_ptr<const FragmentedTombstones> tombstones,
                  Version at)
      : source_(source), tombstones_(std::move(tombstones)), at_(at) {}

  std::size_t source() const { return source_; }

  /// Puts the window over `key`. The newest version at or below `at` of a tombstone that covers it
  /// and all of the window; 0: none does.
  Version MoveTo(std::string_view key) {
    if (!known_ || key < begin_ || !IsBeforeEnd(key, end_)) Find(key);
    return version_;
  }
  /// The bounds of the window; an empty end: there is none.
  std::string_view begin() const { return begin_; }
  std::string_view end() const { return end_; }

 private:
  void Find(std::string_view key) {
    known_ = true;
    const std::size_t i = tombstones_->FindFragment(key);
    version_ = {};
    begin_ = i > 0 ? tombstones_->fragment(i - 1).end : std::string_view();
    end_ = {};
    if (i == tombstones_->size()) return;
    const FragmentedTombstones::Fragment fragment = tombstones_->fragment(i);
    if (key < fragment.begin) {
      end_ = fragment.begin;
      return;
    }
    begin_ = fragment.begin;
    end_ = fragment.end;
    version_ = tombstones_->Covering(key, at_);
  }

  std::size_t source_;
  std::shared_ptr<const FragmentedTombstones> tombstones_;
  Version at_;
  bool known_ = false;
  std::string_view begin_;
  std::string_view end_;
  Version version_;
};

}  // namespace bedrock::engine
