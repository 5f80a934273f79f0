#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "routerd/http/format.h"

namespace bedrock::router {

/// Writes a reply's body as JSON or msgpack, value by value and straight into one text: results may
/// be many MiB, so no tree of them is built first. What is written must fit together (a name before
/// each member, as many elements as were announced); that is the caller's part.
///
/// One thread. Borrows `out`.
class BodyWriter {
 public:
  BodyWriter(Format format, std::string& out) : json_(format == Format::kJson), out_(out) {}

  void BeginObject(std::size_t members);
  void EndObject();
  void BeginArray(std::size_t elements);
  void EndArray();
  /// Of the next member: a literal of ours that needs no escapes.
  void Name(std::string_view name);
  void Number(std::uint64_t number);
  void Boolean(bool value);
  void Null();
  /// REQUIRES: UTF-8.
  void Text(std::string_view text);
  /// A whole member of an object: in JSON `name`, or `name`_base64 where the bytes are not UTF-8.
  void Bytes(std::string_view name, std::string_view bytes);

 private:
  void BeforeValue();
  void Head(std::size_t count, std::uint8_t fixed, std::size_t fixed_max, std::uint8_t tag16);
  void Big(std::uint64_t number, int width);
  void Quote(std::string_view text);

  const bool json_;
  std::string& out_;
  bool after_value_ = false;  // JSON: a comma is due before the next
};

}  // namespace bedrock::router
