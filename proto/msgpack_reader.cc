#include "proto/msgpack_reader.h"

namespace bedrock::proto {
namespace {

// The tags of the msgpack specification that are not ranges.
enum Tag : std::uint8_t {
  kNil = 0xc0,
  kNeverUsed = 0xc1,
  kFalse = 0xc2,
  kTrue = 0xc3,
  kBin8 = 0xc4,
  kBin32 = 0xc6,
  kExt8 = 0xc7,
  kExt32 = 0xc9,
  kFloat32 = 0xca,
  kFloat64 = 0xcb,
  kUint8 = 0xcc,
  kUint64 = 0xcf,
  kInt8 = 0xd0,
  kInt64 = 0xd3,
  kFixExt1 = 0xd4,
  kFixExt16 = 0xd8,
  kStr8 = 0xd9,
  kStr32 = 0xdb,
  kArray16 = 0xdc,
  kArray32 = 0xdd,
  kMap16 = 0xde,
  kMap32 = 0xdf,
};

}  // namespace

void MsgpackReader::Fail(const char* reason) {
  if (failed()) return;
  reason_ = reason;
}

std::string MsgpackReader::FailureText() const {
  return "byte " + std::to_string(at_ - begin_) + ": " + reason_;
}

std::uint64_t MsgpackReader::Big(std::size_t width) {
  if (failed() || remaining() < width) {
    Fail("cut short");
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(at_[i]);
  }
  at_ += width;
  return value;
}

std::string_view MsgpackReader::Take(std::uint64_t size) {
  if (failed() || remaining() < size) {
    Fail("cut short");
    return {};
  }
  const std::string_view taken(at_, static_cast<std::size_t>(size));
  at_ += size;
  return taken;
}

std::uint64_t MsgpackReader::LongUnsigned(std::uint8_t tag) {
  if (tag >= kUint8 && tag <= kUint64) return Big(std::size_t{1} << (tag - kUint8));
  if (tag >= kInt8 && tag <= kInt64) {
    const std::size_t width = std::size_t{1} << (tag - kInt8);
    const std::uint64_t value = Big(width);
    if (value >> (8 * width - 1) == 0) return value;
  }
  Fail("expected an unsigned integer");
  return 0;
}

bool MsgpackReader::Boolean() {
  const std::uint8_t tag = NextTag("expected a boolean");
  if (tag != kTrue && tag != kFalse) Fail("expected a boolean");
  return tag == kTrue && !failed();
}

std::string_view MsgpackReader::Binary() {
  const std::uint8_t tag = NextTag("expected a bin");
  if (tag < kBin8 || tag > kBin32) {
    Fail("expected a bin");
    return {};
  }
  return Take(Big(std::size_t{1} << (tag - kBin8)));
}

std::string_view MsgpackReader::Text() {
  const std::uint8_t tag = NextTag("expected a str");
  if ((tag & 0xe0) == 0xa0) return Take(tag & 0x1f);
  if (tag < kStr8 || tag > kStr32) {
    Fail("expected a str");
    return {};
  }
  return Take(Big(std::size_t{1} << (tag - kStr8)));
}

std::size_t MsgpackReader::ArraySize() {
  const std::uint8_t tag = NextTag("expected an array");
  std::uint64_t size = 0;
  if ((tag & 0xf0) == 0x90) {
    size = tag & 0x0f;
  } else if (tag == kArray16 || tag == kArray32) {
    size = Big(tag == kArray16 ? 2 : 4);
  } else {
    Fail("expected an array");
  }
  if (size > remaining()) Fail("an array larger than its message");
  return failed() ? 0 : static_cast<std::size_t>(size);
}

bool MsgpackReader::TakeNil() {
  if (failed() || at_ == end_ || static_cast<std::uint8_t>(*at_) != kNil) return false;
  ++at_;
  return true;
}

MsgpackReader::Head MsgpackReader::TakeHead() {
  const std::uint8_t tag = NextTag("expected a value");
  Head head;
  if (tag < 0x80 || tag >= 0xe0) {
    head = {.empty = tag == 0};
  } else if (tag < 0x90) {
    head = {.type = Head::Type::kMap, .size = std::uint64_t{tag & 0x0fU} * 2};
  } else if (tag < 0xa0) {
    head = {.type = Head::Type::kArray, .size = tag & 0x0fU};
  } else if (tag < 0xc0) {
    head = {.type = Head::Type::kBytes, .size = tag & 0x1fU};
  } else {
    head = LongHead(tag);
  }
  if (head.size > remaining()) Fail("a value larger than its message");
  if (head.type != Head::Type::kScalar) head.empty = head.size == 0;
  return failed() ? Head{} : head;
}

MsgpackReader::Head MsgpackReader::LongHead(std::uint8_t tag) {
  const auto bytes = [this](std::size_t width) {
    return Head{.type = Head::Type::kBytes, .size = Big(width)};
  };
  if (tag >= kBin8 && tag <= kBin32) return bytes(std::size_t{1} << (tag - kBin8));
  if (tag >= kStr8 && tag <= kStr32) return bytes(std::size_t{1} << (tag - kStr8));
  if (tag == kArray16) return {.type = Head::Type::kArray, .size = Big(2)};
  if (tag == kArray32) return {.type = Head::Type::kArray, .size = Big(4)};
  if (tag == kMap16) return {.type = Head::Type::kMap, .size = Big(2) * 2};
  if (tag == kMap32) return {.type = Head::Type::kMap, .size = Big(4) * 2};
  return ScalarHead(tag);
}

MsgpackReader::Head MsgpackReader::ScalarHead(std::uint8_t tag) {
  if (tag == kNil || tag == kFalse) return {.empty = true};
  if (tag == kTrue) return {};
  if (tag >= kUint8 && tag <= kInt64) {
    return {.empty = Big(std::size_t{1} << ((tag - kUint8) % 4)) == 0};
  }
  if (tag == kFloat32 || tag == kFloat64) return {.size = tag == kFloat32 ? 4U : 8U};
  // An extension has a type byte behind its length.
  if (tag >= kExt8 && tag <= kExt32) return {.size = Big(std::size_t{1} << (tag - kExt8)) + 1};
  if (tag >= kFixExt1 && tag <= kFixExt16) return {.size = (1U << (tag - kFixExt1)) + 1U};
  Fail("a byte that no msgpack value begins with");
  return {};
}

void MsgpackReader::Skip(std::uint64_t count) {
  // Each value takes at least a byte, so counts that could not fit end the loop before it turns
  // long, and the sum cannot overflow.
  while (count > 0 && !failed()) {
    const Head head = TakeHead();
    --count;
    if (head.type == Head::Type::kArray || head.type == Head::Type::kMap) {
      count += head.size;
    } else {
      Take(head.size);
    }
    if (count > remaining()) Fail("an array larger than its message");
  }
}

void MsgpackReader::SkipEmpty() {
  if (!TakeHead().empty) Fail("a field that this format does not have");
}

}  // namespace bedrock::proto
