#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/ids.h"
#include "proto/errors.h"
#include "routerd/http/document.h"
#include "routerd/http/format.h"

namespace bedrock::router {

/// Where a value stands in its document: "then[2].put". Lives on the stack of who reads, and is
/// only spelled for an error.
struct Place {
  const Place* parent = nullptr;
  std::string_view name;  ///< Of the member; empty: an array's element.
  std::size_t index = 0;
  bool root = false;  ///< The whole document: named only where nothing in it is.

  std::string Spell() const;
};

/// One reading of a document: keeps the first error, and the bytes that were decoded on the way.
class Reading {
 public:
  Reading(const Document& document, std::deque<std::string>& decoded)
      : document_(document), decoded_(decoded) {}

  const Document& document() const { return document_; }
  bool failed() const { return !error_.ok(); }
  const proto::Error& error() const { return error_; }

  /// invalid_argument, unless something failed before.
  void Fail(const Place& place, std::string_view reason);
  void Fail(proto::Error error);
  /// Keeps bytes for as long as what is read from the document.
  std::string_view Keep(std::string bytes) { return decoded_.emplace_back(std::move(bytes)); }

 private:
  const Document& document_;
  std::deque<std::string>& decoded_;
  proto::Error error_;
};

/// Takes the members of one object by name; what nobody took is unknown and an error at Finish().
/// After a failure every further call gives what an absent member does.
class ObjectReader {
 public:
  /// Fails where `value` is no object. `place` outlives this.
  ObjectReader(Reading& reading, const Place& place, const Value& value);

  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  /// nullptr where it is absent.
  const Value* Take(std::string_view name);
  std::optional<std::uint64_t> TakeUnsigned(std::string_view name);
  std::optional<std::int64_t> TakeInteger(std::string_view name);
  std::optional<bool> TakeBoolean(std::string_view name);
  std::optional<std::string_view> TakeText(std::string_view name);
  /// Of `name`, or of `name`_base64 decoded.
  std::optional<std::string_view> TakeBytes(std::string_view name);
  /// "10s", or milliseconds as a number.
  std::optional<std::uint64_t> TakeDurationMs(std::string_view name);
  /// Refuses what the interface describes and this version does not carry out.
  void RefuseLater(std::initializer_list<std::string_view> names);

  void FailAt(std::string_view name, std::string_view reason);
  void Fail(std::string_view reason) { reading_.Fail(place_, reason); }
  void Finish();

 private:
  const Value* Find(std::string_view name) const;

  Reading& reading_;
  const Place& place_;
  const Value* object_ = nullptr;  // null: nothing to take
  std::uint32_t taken_ = 0;        // a bit a member
};

/// Parses a body that is one object and lets `read(ObjectReader&)` take its members; gives the
/// first thing that is wrong with it.
template <typename Reader>
proto::Error ReadBody(std::string_view body, Format format, Reader&& read) {
  Document document;
  if (proto::Error bad = Document::Parse(body, format, &document); !bad.ok()) return bad;
  std::deque<std::string> decoded;
  Reading reading(document, decoded);
  const Place top{.name = "the body", .root = true};
  ObjectReader object(reading, top, document.root());
  std::forward<Reader>(read)(object);
  object.Finish();
  return reading.error();
}

}  // namespace bedrock::router
