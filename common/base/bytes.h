#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace bedrock {

/// An immutable, reference-counted slice of bytes: copies and sub-slices share one buffer, which
/// lives as long as any of them. Lets an entry's payload go from a received frame into the log, the
/// peers' frames and the apply batch without a copy. May be copied and read from any thread.
///
/// A small slice of a large frame keeps the whole frame alive: what is kept for long is copied with
/// Copy().
class Bytes {
 public:
  Bytes() = default;
  /// Takes over the text's buffer.
  explicit Bytes(std::string&& text) {
    if (text.empty()) return;
    auto owner = std::make_shared<const std::string>(std::move(text));
    view_ = *owner;
    owner_ = std::move(owner);
  }
  /// A view into what `owner` keeps alive.
  Bytes(std::shared_ptr<const void> owner, std::string_view view)
      : owner_(std::move(owner)), view_(view) {}

  static Bytes Copy(std::string_view text) { return Bytes(std::string(text)); }

  std::string_view view() const { return view_; }
  const char* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }

  /// A slice that shares this buffer. REQUIRES: `part` lies within view().
  Bytes Slice(std::string_view part) const { return {owner_, part}; }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view_ == b.view_; }

 private:
  std::shared_ptr<const void> owner_;
  std::string_view view_;
};

}  // namespace bedrock
