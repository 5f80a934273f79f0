#include "routerd/http/document.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace bedrock::router {

using proto::ErrorCode;
using Json = nlohmann::json;

/// Takes the events of nlohmann's parsers. Each gives false to end the reading.
class DocumentBuilder {
 public:
  explicit DocumentBuilder(std::vector<Value>& values, proto::Error& error)
      : values_(values), error_(error) {}

  // NOLINTBEGIN(readability-identifier-naming): names that the parser calls
  bool null() { return Add(Value::Type::kNull) != nullptr; }
  bool boolean(bool given) {
    Value* value = Add(Value::Type::kBoolean);
    if (value != nullptr) value->boolean = given;
    return value != nullptr;
  }
  bool number_integer(Json::number_integer_t number) {
    return Number(number < 0 ? Value::Type::kNegative : Value::Type::kUnsigned,
                  static_cast<std::uint64_t>(number));
  }
  bool number_unsigned(Json::number_unsigned_t number) {
    return Number(Value::Type::kUnsigned, number);
  }
  bool number_float(Json::number_float_t, const Json::string_t&) {
    return Number(Value::Type::kFraction, 0);
  }
  bool string(Json::string_t& text) {
    Value* value = Add(Value::Type::kText);
    if (value != nullptr) value->text = std::move(text);
    return value != nullptr;
  }
  bool binary(Json::binary_t& bytes) {
    if (bytes.has_subtype()) return Refuse("msgpack extension types are not used here");
    Value* value = Add(Value::Type::kBytes);
    if (value != nullptr) value->text.assign(bytes.begin(), bytes.end());
    return value != nullptr;
  }
  bool start_object(std::size_t) { return Open(Value::Type::kObject); }
  bool start_array(std::size_t) { return Open(Value::Type::kArray); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool key(Json::string_t& name) {
    const std::size_t object = open_.back();
    std::size_t members = 0;
    for (std::size_t at = object + 1; at < values_.size(); at = values_[at].end) {
      if (values_[at].name == name) return Refuse("a name stands twice in one object: " + name);
      if (++members == kDocumentMembersMax) return Refuse("an object of too many members");
    }
    name_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) {
    return Refuse("malformed at byte " + std::to_string(position));
  }
  // NOLINTEND(readability-identifier-naming)

 private:
  bool Refuse(std::string reason) {
    error_.code = ErrorCode::kInvalidArgument;
    error_.detail = std::move(reason);
    return false;
  }

  Value* Add(Value::Type type) {
    if (values_.size() == kDocumentValuesMax) {
      error_.code = ErrorCode::kTransactionTooLarge;
      error_.detail = "the document has too many values";
      error_.limit = kDocumentValuesMax;
      return nullptr;
    }
    Value& value = values_.emplace_back();
    value.type = type;
    value.name = std::exchange(name_, std::string());
    value.end = static_cast<std::uint32_t>(values_.size());
    return &value;
  }
  bool Number(Value::Type type, std::uint64_t number) {
    Value* value = Add(type);
    if (value != nullptr) value->number = number;
    return value != nullptr;
  }
  bool Open(Value::Type type) {
    if (open_.size() == kDocumentDepthMax) return Refuse("the document is nested too deeply");
    if (Add(type) == nullptr) return false;
    open_.push_back(values_.size() - 1);
    return true;
  }
  bool Close() {
    values_[open_.back()].end = static_cast<std::uint32_t>(values_.size());
    open_.pop_back();
    return true;
  }

  std::vector<Value>& values_;
  proto::Error& error_;
  std::vector<std::size_t> open_;  // positions of the containers that are being read
  std::string name_;               // of the next value
};

proto::Error Document::Parse(std::string_view bytes, Format format, Document* document) {
  document->values_.clear();
  proto::Error error;
  DocumentBuilder builder(document->values_, error);
  const bool json = format == Format::kJson;
  const bool read =
      Json::sax_parse(bytes.begin(), bytes.end(), &builder,
                      json ? Json::input_format_t::json : Json::input_format_t::msgpack);
  if (read) return {};
  if (error.ok()) error.code = ErrorCode::kInvalidArgument;
  error.detail = (json ? "the body's JSON: " : "the body's msgpack: ") + error.detail;
  return error;
}

}  // namespace bedrock::router
