#include "routerd/http/object_reader.h"

#include <utility>

#include "common/config/values.h"
#include "routerd/http/text.h"

namespace bedrock::router {

std::string Place::Spell() const {
  std::string text = parent == nullptr || parent->root ? "" : parent->Spell();
  if (name.empty()) return text + "[" + std::to_string(index) + "]";
  if (!text.empty()) text += ".";
  return text.append(name);
}

void Reading::Fail(const Place& place, std::string_view reason) {
  proto::Error error;
  error.code = proto::ErrorCode::kInvalidArgument;
  error.detail = place.Spell() + ": " + std::string(reason);
  Fail(std::move(error));
}

void Reading::Fail(proto::Error error) {
  if (error_.ok()) error_ = std::move(error);
}

ObjectReader::ObjectReader(Reading& reading, const Place& place, const Value& value)
    : reading_(reading), place_(place) {
  if (value.type == Value::Type::kObject) {
    object_ = &value;
  } else {
    Fail("must be an object");
  }
}

const Value* ObjectReader::Find(std::string_view name) const {
  if (object_ == nullptr || reading_.failed()) return nullptr;
  const Document& document = reading_.document();
  for (std::size_t at = document.PositionOf(*object_) + 1; at < object_->end;
       at = document.At(at).end) {
    if (document.At(at).name == name) return &document.At(at);
  }
  return nullptr;
}

const Value* ObjectReader::Take(std::string_view name) {
  if (object_ == nullptr || reading_.failed()) return nullptr;
  const Document& document = reading_.document();
  std::uint32_t bit = 1;
  for (std::size_t at = document.PositionOf(*object_) + 1; at < object_->end;
       at = document.At(at).end, bit <<= 1) {
    if (document.At(at).name != name) continue;
    taken_ |= bit;
    return &document.At(at);
  }
  return nullptr;
}

std::optional<std::uint64_t> ObjectReader::TakeUnsigned(std::string_view name) {
  const Value* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (value->type == Value::Type::kUnsigned) return value->number;
  FailAt(name, "must be a whole number from 0 to 18446744073709551615");
  return std::nullopt;
}

std::optional<std::int64_t> ObjectReader::TakeInteger(std::string_view name) {
  const Value* value = Take(name);
  if (value == nullptr) return std::nullopt;
  const bool fits = value->type == Value::Type::kNegative ||
                    (value->type == Value::Type::kUnsigned && value->number <= INT64_MAX);
  if (fits) return static_cast<std::int64_t>(value->number);
  FailAt(name, "must be a whole number that fits 64 bits with its sign");
  return std::nullopt;
}

std::optional<bool> ObjectReader::TakeBoolean(std::string_view name) {
  const Value* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (value->type == Value::Type::kBoolean) return value->boolean;
  FailAt(name, "must be true or false");
  return std::nullopt;
}

std::optional<std::string_view> ObjectReader::TakeText(std::string_view name) {
  const Value* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (value->type == Value::Type::kText) return value->text;
  FailAt(name, "must be a string");
  return std::nullopt;
}

std::optional<std::string_view> ObjectReader::TakeBytes(std::string_view name) {
  const std::string in_base64 = std::string(name) + "_base64";
  const Value* plain = Take(name);
  const auto text = TakeText(in_base64);
  if (plain == nullptr) {
    if (!text) return std::nullopt;
    auto bytes = DecodeBase64(*text);
    if (bytes) return reading_.Keep(*std::move(bytes));
    FailAt(in_base64, "is no base64");
    return std::nullopt;
  }
  if (text) {
    FailAt(in_base64, "is given beside " + std::string(name));
    return std::nullopt;
  }
  if (plain->type == Value::Type::kText || plain->type == Value::Type::kBytes) return plain->text;
  FailAt(name, "must be a string");
  return std::nullopt;
}

std::optional<std::uint64_t> ObjectReader::TakeDurationMs(std::string_view name) {
  const Value* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (value->type == Value::Type::kUnsigned) return value->number;
  if (value->type == Value::Type::kText) {
    const auto duration = config::ParseDuration(value->text);
    if (duration.ok()) return *duration;
  }
  FailAt(name, "must be a duration, such as \"10s\" or milliseconds as a number");
  return std::nullopt;
}

void ObjectReader::RefuseLater(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (Has(name)) FailAt(name, "is not supported yet");
  }
}

void ObjectReader::FailAt(std::string_view name, std::string_view reason) {
  // A name that is not ours may hold anything, and "" stands for an element.
  const Place place{&place_, name.empty() ? std::string_view("\"\"") : name};
  reading_.Fail(place, reason);
}

void ObjectReader::Finish() {
  if (object_ == nullptr || reading_.failed()) return;
  const Document& document = reading_.document();
  std::uint32_t bit = 1;
  for (std::size_t at = document.PositionOf(*object_) + 1; at < object_->end;
       at = document.At(at).end, bit <<= 1) {
    if ((taken_ & bit) == 0) return FailAt(document.At(at).name, "is not known here");
  }
}

}  // namespace bedrock::router
