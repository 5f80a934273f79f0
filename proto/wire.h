#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/fields.h"
#include "proto/msgpack_reader.h"
#include "proto/msgpack_writer.h"

namespace bedrock::proto {

// Private to proto/: how each C++ type looks on the wire.
//
//   StrongId, integers, enums   unsigned integer        Bytes, string_view, Binary   bin
//   bool, TypedBool             boolean                 std::string                  str
//   struct                      array of its FieldList  std::vector                  array
//   Error                       nil for kOk, else array of its FieldList
//   std::optional               nil, or its value

constexpr std::uint8_t LastOf(Outcome) { return static_cast<std::uint8_t>(Outcome::kUnknown); }
constexpr std::uint8_t LastOf(Role) { return static_cast<std::uint8_t>(Role::kUnreachable); }
constexpr std::uint8_t LastOf(Consistency) {
  return static_cast<std::uint8_t>(Consistency::kStale);
}
constexpr std::uint8_t LastOf(Condition::Kind) {
  return static_cast<std::uint8_t>(Condition::Kind::kRangeUnchangedSince);
}
constexpr std::uint8_t LastOf(Operation::Kind) {
  return static_cast<std::uint8_t>(Operation::Kind::kDropHistory);
}
constexpr std::uint8_t LastOf(Scan::Form) { return static_cast<std::uint8_t>(Scan::Form::kCount); }
constexpr std::uint8_t LastOf(Read::Kind) { return static_cast<std::uint8_t>(Read::Kind::kRange); }
constexpr std::uint8_t LastOf(LockMode) { return static_cast<std::uint8_t>(LockMode::kExclusive); }
constexpr std::uint8_t LastOf(TransactionMode) {
  return static_cast<std::uint8_t>(TransactionMode::kPessimistic);
}
constexpr std::uint8_t LastOf(ClientTransaction::Action) {
  return static_cast<std::uint8_t>(ClientTransaction::Action::kRollback);
}
constexpr std::uint8_t LastOf(ChangeMembers::Kind) {
  return static_cast<std::uint8_t>(ChangeMembers::Kind::kRemove);
}
constexpr std::uint8_t LastOf(raft::LogVerdict::Kind) {
  return static_cast<std::uint8_t>(raft::LogVerdict::Kind::kNoMember);
}
constexpr std::uint8_t LastOf(raft::StateCheck::Kind) {
  return static_cast<std::uint8_t>(raft::StateCheck::Kind::kDamaged);
}
constexpr std::uint8_t LastOf(raft::StateVerdict::Kind) {
  return static_cast<std::uint8_t>(raft::StateVerdict::Kind::kDiverged);
}
constexpr std::uint8_t LastOf(raft::EntryKind) {
  return static_cast<std::uint8_t>(raft::EntryKind::kMembership);
}

template <typename T>
concept HasFields = requires {
  sizeof(FieldList<T>);
};

template <typename T>
inline constexpr bool kIsLater = false;
template <typename T>
inline constexpr bool kIsLater<Later<T>> = true;

/// Whether a field is as if absent: one that is not Later never is.
template <typename T>
bool IsAbsent(const T& /*field*/) {
  return false;
}
template <typename T>
bool IsAbsent(const Later<T&>& later) {
  return later.field == std::remove_const_t<T>();
}
template <typename Tag>
bool IsAbsent(const Later<const TypedBool<Tag>&>& later) {
  return !later.field;
}
template <typename T>
bool IsAbsent(const Later<ZigZag<T>>& later) {
  return later.field.number == 0;
}
template <typename T>
bool IsAbsent(const Later<OrNil<T>>& later) {
  return later.field.field == std::remove_const_t<T>();
}
template <typename S>
bool IsAbsent(const Later<Binary<S>>& later) {
  return later.field.text.empty();
}
inline bool IsAbsent(const Later<Reserved>& /*reserved*/) { return true; }

/// Writes values to a sink of msgpack_writer.h, which it borrows.
template <typename Sink>
class WireWriter {
 public:
  explicit WireWriter(Sink& sink) : packer_(sink) {}

  template <HasFields T>
  void Put(const T& value) {
    FieldList<T>::Visit(value, [this](const auto&... fields) {
      [[maybe_unused]] std::size_t at = 0;
      std::size_t used = 0;
      ((++at, used = IsAbsent(fields) ? used : at), ...);
      PutArraySize(used);
      at = 0;
      ((at++ < used ? Put(fields) : void()), ...);
    });
  }
  void Put(std::unsigned_integral auto value) { packer_.pack(value); }
  void Put(bool value) { value ? packer_.pack_true() : packer_.pack_false(); }
  template <typename Tag>
  void Put(TypedBool<Tag> value) {
    Put(static_cast<bool>(value));
  }
  template <typename Tag>
  void Put(StrongId<Tag> id) {
    packer_.pack_uint64(id.value());
  }
  template <typename E>
  requires std::is_enum_v<E>
  void Put(E value) { packer_.pack_uint8(static_cast<std::uint8_t>(value)); }
  void Put(std::string_view bytes) {
    const std::uint32_t size = CheckedSize(bytes.size());
    packer_.pack_bin(size);
    packer_.pack_bin_body(bytes.data(), size);
  }
  void Put(const Bytes& bytes) { Put(bytes.view()); }
  template <typename S>
  void Put(const Binary<S>& binary) {
    Put(std::string_view(binary.text));
  }
  void Put(const std::string& text) {
    const std::uint32_t size = CheckedSize(text.size());
    packer_.pack_str(size);
    packer_.pack_str_body(text.data(), size);
  }
  template <typename T>
  void Put(const std::vector<T>& elements) {
    PutArraySize(elements.size());
    for (const T& element : elements) Put(element);
  }
  template <typename I, typename E>
  void Put(const EntriesAfter<I, E>& run) {
    Put(run.entries);
  }
  void Put(const Error& error) {
    if (error.ok()) {
      packer_.pack_nil();
    } else {
      this->template Put<Error>(error);
    }
  }
  template <typename T>
  void Put(const std::optional<T>& value) {
    if (value) {
      Put(*value);
    } else {
      packer_.pack_nil();
    }
  }
  template <typename T>
  void Put(const Later<T>& later) {
    Put(later.field);
  }
  template <typename T>
  void Put(const ZigZag<T>& zigzag) {
    const auto bits = static_cast<std::uint64_t>(zigzag.number);
    packer_.pack_uint64((bits << 1) ^ (zigzag.number < 0 ? UINT64_MAX : 0));
  }
  template <typename T>
  void Put(const OrNil<T>& wrapped) {
    if (wrapped.field == std::remove_const_t<T>()) {
      packer_.pack_nil();
    } else {
      Put(wrapped.field);
    }
  }
  void Put(Reserved) { packer_.pack_nil(); }
  void Put(FormatNumber format) { packer_.pack_uint64(format.number); }

  void PutArraySize(std::size_t size) { packer_.pack_array(CheckedSize(size)); }

 private:
  static std::uint32_t CheckedSize(std::size_t size) {
    CHECK_MSG(size <= std::numeric_limits<std::uint32_t>::max(), "too large for msgpack");
    return static_cast<std::uint32_t>(size);
  }

  msgpack::packer<Sink> packer_;
};

/// What an array may hold beyond the fields that this version knows.
enum class Extra : std::uint8_t {
  kIgnored,      ///< Anything: messages.
  kMustBeEmpty,  ///< Only empty values: commands, which are never executed in part.
};

/// Whether fields that are Later are read, or count as what may be beyond: what a format draws does
/// not change when a later one draws more.
using KnowsLater = TypedBool<struct KnowsLaterTag>;

/// Reads values with an MsgpackReader, which it borrows, and checks them against what the struct
/// can hold. Bytes fields share `owner`, which must hold the reader's input.
class WireReader {
 public:
  WireReader(MsgpackReader& in, const Bytes& owner, Extra extra,
             KnowsLater knows_later = KnowsLater::kYes)
      : in_(in), owner_(owner), extra_(extra), knows_later_(knows_later) {}

  template <HasFields T>
  void Take(T& value) {
    FieldList<T>::Visit(value, [this](auto&&... fields) {
      constexpr std::size_t kNeeded =
          (0 + ... + (kIsLater<std::decay_t<decltype(fields)>> ? 0 : 1));
      const std::size_t size = in_.ArraySize();
      if (size < kNeeded) in_.Fail("an array with too few elements");
      const std::size_t taken = std::min(size, knows_later_ ? sizeof...(fields) : kNeeded);
      [[maybe_unused]] std::size_t at = 0;
      ((at++ < taken ? Take(fields) : void()), ...);
      if (!in_.failed()) SkipExtra(size - taken);
    });
  }
  template <std::unsigned_integral I>
  void Take(I& value) {
    const std::uint64_t number = in_.Unsigned();
    if (number > std::numeric_limits<I>::max()) in_.Fail("a number out of range");
    value = static_cast<I>(number);
  }
  void Take(bool& value) { value = in_.Boolean(); }
  template <typename Tag>
  void Take(TypedBool<Tag>& value) {
    value = TypedBool<Tag>(in_.Boolean());
  }
  template <typename Tag>
  void Take(StrongId<Tag>& id) {
    id = StrongId<Tag>(in_.Unsigned());
  }
  template <typename E>
  requires std::is_enum_v<E>
  void Take(E& value) {
    const std::uint64_t number = in_.Unsigned();
    if (number > LastOf(E())) {
      in_.Fail("a number outside its enumeration");
    } else {
      value = static_cast<E>(number);
    }
  }
  void Take(ErrorCode& code) {
    code = ErrorCodeFromNumber(in_.Unsigned()).value_or(ErrorCode::kUnrecognized);
  }
  void Take(std::string_view& bytes) { bytes = in_.Binary(); }
  void Take(Bytes& bytes) {
    const std::string_view view = in_.Binary();
    if (!view.empty()) bytes = owner_.Slice(view);
  }
  template <typename S>
  void Take(Binary<S>& binary) {
    binary.text = in_.Binary();
  }
  void Take(std::string& text) { text = in_.Text(); }
  template <typename T>
  void Take(std::vector<T>& elements) {
    const std::size_t size = in_.ArraySize();
    elements_ += size;
    if (elements_ > kFrameElementsMax) in_.Fail("too many elements");
    if (in_.failed()) return;
    // A claimed element takes at least a byte, which says little about what its struct takes: grow
    // with what is really there.
    elements.reserve(std::min(size, kReserveMax));
    for (std::size_t i = 0; i < size && !in_.failed(); ++i) Take(elements.emplace_back());
  }
  template <typename I, typename E>
  void Take(EntriesAfter<I, E>& run) {
    Take(run.entries);
    if (run.prev_index.value() > std::numeric_limits<std::uint64_t>::max() - run.entries.size()) {
      in_.Fail("a log index out of range");
    }
    std::uint64_t index = run.prev_index.value();
    for (raft::Entry& entry : run.entries) entry.index = LogIndex(++index);
  }
  void Take(Error& error) {
    if (in_.TakeNil()) return;
    Take<Error>(error);
    if (error.ok()) in_.Fail("an error of code 0 that is not nil");
  }
  template <typename T>
  void Take(std::optional<T>& value) {
    if (!in_.TakeNil()) Take(value.emplace());
  }
  template <typename T>
  void Take(Later<T>& later) {
    Take(later.field);
  }
  template <typename T>
  void Take(ZigZag<T>& zigzag) {
    const std::uint64_t bits = in_.Unsigned();
    zigzag.number = static_cast<T>((bits >> 1) ^ ((bits & 1) != 0 ? UINT64_MAX : 0));
  }
  template <typename T>
  void Take(OrNil<T>& wrapped) {
    if (!in_.TakeNil()) Take(wrapped.field);
  }
  void Take(Reserved&) { in_.SkipEmpty(); }
  void Take(FormatNumber&) {
    const std::uint64_t format = in_.Unsigned();
    if (format == 0 || format > kNewestFormat) in_.Fail("an unknown format");
  }

 private:
  static constexpr std::size_t kReserveMax = 256;

  void SkipExtra(std::size_t count) {
    if (extra_ == Extra::kIgnored) {
      in_.Skip(count);
      return;
    }
    for (std::size_t i = 0; i < count && !in_.failed(); ++i) in_.SkipEmpty();
  }

  MsgpackReader& in_;
  const Bytes& owner_;
  const Extra extra_;
  const KnowsLater knows_later_;
  std::size_t elements_ = 0;  // in all vectors so far
};

}  // namespace bedrock::proto
