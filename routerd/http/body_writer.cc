#include "routerd/http/body_writer.h"

#include <array>
#include <charconv>

#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

// The tags of the msgpack specification that are written here.
constexpr std::uint8_t kNil = 0xc0;
constexpr std::uint8_t kFalse = 0xc2;
constexpr std::uint8_t kTrue = 0xc3;
constexpr std::uint8_t kBin8 = 0xc4;
constexpr std::uint8_t kUint8 = 0xcc;
constexpr std::uint8_t kFixStr = 0xa0;
constexpr std::uint8_t kStr8 = 0xd9;
constexpr std::uint8_t kFixArray = 0x90;
constexpr std::uint8_t kArray16 = 0xdc;
constexpr std::uint8_t kFixMap = 0x80;
constexpr std::uint8_t kMap16 = 0xde;

/// The power of two of the least width of 1, 2, 4 or 8 bytes that holds a number.
int WidthPower(std::uint64_t number) {
  if (number <= 0xFF) return 0;
  if (number <= 0xFFFF) return 1;
  return number <= 0xFFFF'FFFF ? 2 : 3;
}

/// Whether a byte of a text stands for itself in JSON.
bool IsPlain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; }

void AppendEscaped(char c, std::string* out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    default:
      out->append("\\u00");
      out->push_back(kHex[static_cast<unsigned char>(c) >> 4]);
      out->push_back(kHex[static_cast<unsigned char>(c) & 0xF]);
  }
}

}  // namespace

void BodyWriter::Big(std::uint64_t number, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
    out_.push_back(static_cast<char>(number >> shift & 0xFF));
  }
}

void BodyWriter::Head(std::size_t count, std::uint8_t fixed, std::size_t fixed_max,
                      std::uint8_t tag16) {
  if (count <= fixed_max) {
    out_.push_back(static_cast<char>(fixed | count));
  } else {
    const bool wide = count > 0xFFFF;
    out_.push_back(static_cast<char>(tag16 + (wide ? 1 : 0)));
    Big(count, wide ? 4 : 2);
  }
}

void BodyWriter::BeforeValue() {
  if (after_value_) out_.push_back(',');
  after_value_ = true;
}

void BodyWriter::BeginObject(std::size_t members) {
  if (!json_) return Head(members, kFixMap, 15, kMap16);
  BeforeValue();
  out_.push_back('{');
  after_value_ = false;
}

void BodyWriter::EndObject() {
  if (!json_) return;
  out_.push_back('}');
  after_value_ = true;
}

void BodyWriter::BeginArray(std::size_t elements) {
  if (!json_) return Head(elements, kFixArray, 15, kArray16);
  BeforeValue();
  out_.push_back('[');
  after_value_ = false;
}

void BodyWriter::EndArray() {
  if (!json_) return;
  out_.push_back(']');
  after_value_ = true;
}

void BodyWriter::Name(std::string_view name) {
  Text(name);
  if (!json_) return;
  out_.push_back(':');
  after_value_ = false;
}

void BodyWriter::Number(std::uint64_t number) {
  if (json_) {
    BeforeValue();
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out_.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  } else if (number < 0x80) {
    out_.push_back(static_cast<char>(number));
  } else {
    const int power = WidthPower(number);
    out_.push_back(static_cast<char>(kUint8 + power));
    Big(number, 1 << power);
  }
}

void BodyWriter::Boolean(bool value) {
  if (!json_) return out_.push_back(static_cast<char>(value ? kTrue : kFalse));
  BeforeValue();
  out_.append(value ? "true" : "false");
}

void BodyWriter::Null() {
  if (!json_) return out_.push_back(static_cast<char>(kNil));
  BeforeValue();
  out_.append("null");
}

void BodyWriter::Quote(std::string_view text) {
  out_.push_back('"');
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size() && IsPlain(text[plain])) ++plain;
    out_.append(text.substr(0, plain));
    if (plain == text.size()) break;
    AppendEscaped(text[plain], &out_);
    text.remove_prefix(plain + 1);
  }
  out_.push_back('"');
}

void BodyWriter::Text(std::string_view text) {
  if (json_) {
    BeforeValue();
    Quote(text);
  } else if (text.size() < 32) {
    out_.push_back(static_cast<char>(kFixStr | text.size()));
    out_.append(text);
  } else {
    const int power = WidthPower(text.size());
    out_.push_back(static_cast<char>(kStr8 + power));
    Big(text.size(), 1 << power);
    out_.append(text);
  }
}

void BodyWriter::Bytes(std::string_view name, std::string_view bytes) {
  if (!json_) {
    Name(name);
    const int power = WidthPower(bytes.size());
    out_.push_back(static_cast<char>(kBin8 + power));
    Big(bytes.size(), 1 << power);
    out_.append(bytes);
  } else if (IsUtf8(bytes)) {
    Name(name);
    Text(bytes);
  } else {
    Name(std::string(name) + "_base64");
    Text(Base64(bytes));
  }
}

}  // namespace bedrock::router
