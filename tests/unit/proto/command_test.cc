#include "proto/command.h"

#include <gtest/gtest.h>

#include <deque>
#include <msgpack.hpp>

#include "common/env/random.h"
#include "tests/unit/proto/arbitrary_messages.h"

namespace bedrock::proto {
namespace {

Command Put(std::string_view key, std::string_view value) {
  Command command{.session = SessionId(7), .sequence = 3, .low_water = 2};
  command.operations.push_back({Operation::Kind::kPut, key, value});
  return command;
}

/// A command and the texts that it borrows.
struct OwnedCommand {
  std::deque<std::string> texts;
  Command command;

  std::string_view Keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

/// Makes what one format has; `random` decides how much of it.
class ArbitraryCommands {
 public:
  explicit ArbitraryCommands(std::uint64_t seed) : random_(seed), arbitrary_(random_) {}

  OwnedCommand OfFirstFormat() {
    FillIdentity();
    for (std::uint64_t i = random_.Below(6); i > 0; --i) {
      owned_.command.conditions.push_back(
          {arbitrary_.Enum(Condition::Kind::kAbsent), Text(), arbitrary_.AnId<Version>()});
    }
    for (std::uint64_t i = random_.Below(20); i > 0; --i) {
      owned_.command.operations.push_back(
          {arbitrary_.Enum(Operation::Kind::kDelete), Text(), Text()});
    }
    return std::move(owned_);
  }

  OwnedCommand OfSecondFormat() {
    FillIdentity();
    Command& command = owned_.command;
    for (std::uint64_t i = random_.Below(6); i > 0; --i) {
      command.conditions.push_back({arbitrary_.Enum(Condition::Kind::kRangeUnchangedSince), Text(),
                                    arbitrary_.AnId<Version>(), Text()});
    }
    command.operations = Operations();
    if (arbitrary_.Flip()) command.read_version = arbitrary_.AnId<Version>();
    for (std::uint64_t i = random_.Below(6); i > 0; --i) {
      command.reads.push_back({arbitrary_.Enum(Read::Kind::kRange), Text(), Text(),
                               arbitrary_.Flip() ? arbitrary_.AnId<Version>() : Version()});
    }
    if (arbitrary_.Flip()) command.otherwise = Operations();
    if (arbitrary_.Flip()) command.idempotency = {Text(), Text()};
    return std::move(owned_);
  }

 private:
  std::string_view Text() { return owned_.Keep(arbitrary_.Text()); }
  void FillIdentity() {
    owned_.command.session = arbitrary_.AnId<SessionId>();
    owned_.command.sequence = arbitrary_.Number();
    owned_.command.low_water = arbitrary_.Number();
  }
  std::vector<Operation> Operations() {
    std::vector<Operation> operations;
    for (std::uint64_t i = random_.Below(20); i > 0; --i) {
      Operation operation{arbitrary_.Enum(Operation::Kind::kDropHistory), Text(), Text()};
      if (arbitrary_.Flip()) operation.delta = static_cast<std::int64_t>(arbitrary_.Number());
      if (arbitrary_.Flip()) {
        operation.scan = {arbitrary_.SmallNumber(), arbitrary_.SmallNumber(), arbitrary_.Flip(),
                          arbitrary_.Enum(Scan::Form::kCount)};
      }
      if (arbitrary_.Flip()) operation.version = arbitrary_.AnId<Version>();
      operations.push_back(operation);
    }
    return operations;
  }

  Random random_;
  ArbitraryMessages arbitrary_;
  OwnedCommand owned_;
};

/// Even seeds are of the first format.
OwnedCommand ArbitraryCommand(std::uint64_t seed) {
  ArbitraryCommands commands(seed);
  return seed % 2 == 0 ? commands.OfFirstFormat() : commands.OfSecondFormat();
}

TEST(CommandTest, ComesBackAsItWas) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const OwnedCommand owned = ArbitraryCommand(seed);
    const std::string encoded = EncodeCommand(owned.command);
    EXPECT_EQ(encoded.size(), EncodedCommandSize(owned.command));
    const Result<Command> back = DecodeCommand(encoded);
    ASSERT_TRUE(back.ok()) << back.status().ToString();
    ASSERT_EQ(*back, owned.command);
  }
}

TEST(CommandTest, ComesBackAtTheBounds) {
  const std::string key(kKeyBytesMax, 'k');
  const std::string value(kValueBytesMax, 'v');
  const Command command = Put(key, value);
  EXPECT_TRUE(CheckCommand(command, kValueBytesMax).ok());
  EXPECT_EQ(DecodeCommand(EncodeCommand(command)).value(), command);
}

TEST(CommandTest, BorrowsTheEncodedBytes) {
  const std::string encoded = EncodeCommand(Put("key", "value"));
  const Command command = DecodeCommand(encoded).value();
  EXPECT_GE(command.operations[0].value.data(), encoded.data());
  EXPECT_LT(command.operations[0].value.data(), encoded.data() + encoded.size());
}

TEST(CommandTest, EveryTruncationIsCorruption) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::string encoded = EncodeCommand(ArbitraryCommand(seed).command);
    const std::size_t step = 1 + encoded.size() / 500;
    for (std::size_t size = 0; size < encoded.size(); size += step) {
      ASSERT_TRUE(DecodeCommand(std::string_view(encoded).substr(0, size)).status().IsCorruption());
    }
  }
}

TEST(CommandTest, EverySingleByteFlipIsRefusedOrIsAnotherCommand) {
  const std::string whole = EncodeCommand(Put("key", "value"));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int bits = 1; bits < 256; ++bits) {
      std::string encoded = whole;
      encoded[at] ^= static_cast<char>(bits);
      const Result<Command> command = DecodeCommand(encoded);
      if (command.ok()) {
        ASSERT_EQ(DecodeCommand(EncodeCommand(*command)).value(), *command);
      }
    }
  }
}

/// The encoded command with one more top-level element.
std::string WithElement(const std::string& encoded, std::string_view element) {
  std::string longer = encoded;
  EXPECT_EQ(longer[0], '\x96');
  longer[0] = '\x97';
  return longer.append(element);
}

TEST(CommandTest, EmptyLaterElementsAreIgnored) {
  const Command command = Put("key", "value");
  for (const std::string_view empty :
       {std::string_view("\xc0"), std::string_view("\xc2"), std::string_view("\0", 1),
        std::string_view("\x90"), std::string_view("\x80"), std::string_view("\xa0"),
        std::string_view("\xc4\0", 2), std::string_view("\xcd\0\0", 3),
        std::string_view("\xdd\0\0\0\0", 5)}) {
    const std::string encoded = WithElement(EncodeCommand(command), empty);
    const Result<Command> back = DecodeCommand(encoded);
    ASSERT_TRUE(back.ok()) << back.status().ToString();
    EXPECT_EQ(*back, command);
  }
}

TEST(CommandTest, LaterElementsWithContentAreNeverDropped) {
  for (const std::string_view content :
       {std::string_view("\xc3"), std::string_view("\x05"), std::string_view("\x91\xc0"),
        std::string_view("\xa1x"), std::string_view("\xc4\x01x"), std::string_view("\xff"),
        std::string_view("\xca\0\0\0\0", 5), std::string_view("\xd4\0\0", 3),
        std::string_view("\x81\x01\x01")}) {
    EXPECT_TRUE(DecodeCommand(WithElement(EncodeCommand(Put("key", "value")), content))
                    .status()
                    .IsCorruption());
  }
}

TEST(CommandTest, AnOperationWithALaterFieldIsNeverExecutedWithoutIt) {
  std::string encoded = EncodeCommand(Put("key", "value"));
  const std::size_t operation = encoded.rfind('\x93');
  ASSERT_NE(operation, std::string::npos);
  encoded[operation] = '\x94';
  EXPECT_TRUE(DecodeCommand(encoded + '\x05').status().IsCorruption());
  EXPECT_TRUE(DecodeCommand(encoded + '\xc0').ok());
}

TEST(CommandTest, ALaterFormatIsUnsupportedNotCorrupt) {
  std::string encoded = EncodeCommand(Put("key", "value"));
  ASSERT_EQ(encoded[1], '\x01');
  encoded[1] = '\x04';
  EXPECT_TRUE(DecodeCommand(encoded).status().IsUnavailable());
  EXPECT_TRUE(DecodeCommand("\x92\x04\xc0").status().IsUnavailable());
  encoded[1] = '\0';
  EXPECT_TRUE(DecodeCommand(encoded).status().IsCorruption());
}

TEST(CommandTest, TheFormatIsTheOldestThatHoldsWhatIsUsed) {
  const auto format_of = [](const Command& command) { return EncodeCommand(command)[1]; };
  const Command plain = Put("key", "value");
  EXPECT_EQ(format_of(plain), 1);
  Command command = plain;
  command.read_version = Version(3);
  EXPECT_EQ(format_of(command), 2);
  command = plain;
  command.reads.push_back({.key = "r"});
  EXPECT_EQ(format_of(command), 2);
  command = plain;
  command.otherwise.emplace();
  EXPECT_EQ(format_of(command), 2);
  command = plain;
  command.idempotency.key = "once";
  EXPECT_EQ(format_of(command), 2);
  command = plain;
  command.operations.push_back({.kind = Operation::Kind::kGet, .key = "k"});
  EXPECT_EQ(format_of(command), 2);
  command = plain;
  command.conditions.push_back({Condition::Kind::kVersionLess, "k", Version(1), {}});
  EXPECT_EQ(format_of(command), 2);
}

TEST(CommandTest, AFormatThatDoesNotFitTheContentIsCorrupt) {
  std::string encoded = EncodeCommand(Put("key", "value"));
  encoded[1] = '\x02';
  EXPECT_TRUE(DecodeCommand(encoded).status().IsCorruption());
  Command command = Put("key", "value");
  command.operations.push_back({.kind = Operation::Kind::kGet, .key = "k"});
  encoded = EncodeCommand(command);
  encoded[1] = '\x01';
  EXPECT_TRUE(DecodeCommand(encoded).status().IsCorruption());
}

TEST(CommandTest, ElementsOfTheSecondFormatMeanNothingInTheFirstWhereTheyAreEmpty) {
  // An else branch of no operations, which the second format tells from none.
  const Result<Command> back =
      DecodeCommand(EncodeCommand(Put("key", "value")).replace(0, 1, "\x99") + "\xc0\xc0\x90");
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_FALSE(back->otherwise.has_value());
}

TEST(CommandTest, AnElseBranchOfNothingIsNotNone) {
  Command command = Put("key", "value");
  command.otherwise.emplace();
  const std::string encoded = EncodeCommand(command);
  EXPECT_TRUE(DecodeCommand(encoded)->otherwise.has_value());
}

TEST(CommandTest, AStateCheckComesBackAsItWas) {
  for (const std::string& from :
       {std::string(), std::string("u\0key", 5), std::string(kCheckFromBytesMax, '\xff')}) {
    for (const std::uint32_t bytes : {1U, 70'000U, static_cast<std::uint32_t>(kCheckBytesMax)}) {
      const CheckState check{.from = from, .bytes_max = bytes};
      const std::string encoded = EncodeCheckState(check);
      const Result<CheckState> back = DecodeCheckState(encoded);
      ASSERT_TRUE(back.ok()) << back.status().ToString();
      EXPECT_EQ(*back, check);
      for (std::size_t size = 0; size < std::min<std::size_t>(encoded.size(), 64); ++size) {
        EXPECT_TRUE(DecodeCheckState(encoded.substr(0, size)).status().IsCorruption());
      }
      EXPECT_TRUE(DecodeCheckState(encoded + "x").status().IsCorruption());
    }
  }
}

TEST(CommandTest, AStateCheckLooksAsItAlwaysDid) {
  const CheckState check{.from = "uk", .bytes_max = 4096};
  EXPECT_EQ(EncodeCheckState(check), std::string("\x93\x03\xc4\x02uk\xcd\x10\x00", 9));
}

TEST(CommandTest, AStateCheckIsNoCommandAndNoCommandIsOne) {
  // Nobody takes one for a command of a release to come, and stops at it.
  const Result<Command> command = DecodeCommand(EncodeCheckState({.from = "u", .bytes_max = 1}));
  EXPECT_TRUE(command.status().IsCorruption()) << command.status().ToString();
  EXPECT_TRUE(DecodeCheckState(EncodeCommand(Put("key", "value"))).status().IsCorruption());
  EXPECT_TRUE(DecodeCheckState("").status().IsCorruption());
}

TEST(CommandTest, AStateCheckBeyondItsBoundsIsNone) {
  EXPECT_TRUE(
      DecodeCheckState(EncodeCheckState({.from = {}, .bytes_max = 0})).status().IsCorruption());
  EXPECT_TRUE(DecodeCheckState(EncodeCheckState({.from = {}, .bytes_max = kCheckBytesMax + 1}))
                  .status()
                  .IsCorruption());
  const std::string from(kCheckFromBytesMax + 1, 'u');
  EXPECT_TRUE(
      DecodeCheckState(EncodeCheckState({.from = from, .bytes_max = 1})).status().IsCorruption());
}

TEST(CommandTest, WhatALaterReleaseAddsToAStateCheckIsNeverDropped) {
  std::string encoded = EncodeCheckState({.from = "u", .bytes_max = 1});
  ASSERT_EQ(encoded[0], '\x93');
  encoded[0] = '\x94';
  EXPECT_TRUE(DecodeCheckState(encoded + '\x05').status().IsCorruption());
  EXPECT_TRUE(DecodeCheckState(encoded + '\xc0').ok());
}

TEST(CommandTest, TheSeatOfFencesIsEmpty) {
  Command command = Put("key", "value");
  command.idempotency = {"once", "fingerprint"};
  std::string encoded = EncodeCommand(command);
  const std::size_t seat = encoded.find("\xc0\xc0\x92");  // else, fences, idempotency
  ASSERT_NE(seat, std::string::npos);
  EXPECT_EQ(*DecodeCommand(encoded), command);
  encoded[seat + 1] = '\x05';
  EXPECT_TRUE(DecodeCommand(encoded).status().IsCorruption());
}

TEST(CommandTest, HostileCountsAreRefused) {
  for (const std::string_view encoded :
       {std::string_view("\xdd\xff\xff\xff\xff"),
        std::string_view("\x96\x01\x07\x03\x02\xdd\xff\xff\xff\xff"),
        std::string_view("\x96\x01\x07\x03\x02\x90\xdd\xff\xff\xff\xff"),
        std::string_view("\x96\x01\x07\x03\x02\x90\x91\x93\0\xc6\xff\xff\xff\xff", 15)}) {
    EXPECT_TRUE(DecodeCommand(encoded).status().IsCorruption());
  }
}

TEST(CommandTest, IsTheMsgpackItsHeaderDraws) {
  Command command = Put("k", "v");
  command.conditions.push_back({Condition::Kind::kVersionEquals, "c", Version(300)});
  const std::string encoded = EncodeCommand(command);
  EXPECT_EQ(encoded, std::string("\x96\x01\x07\x03\x02\x91\x93\x00\xc4\x01"
                                 "c\xcd\x01\x2c\x91\x93\x00\xc4\x01k\xc4\x01v",
                                 23));
  EXPECT_EQ(msgpack::unpack(encoded.data(), encoded.size())->via.array.size, 6u);
}

TEST(CheckCommandTest, NamesEachBoundThatIsBroken) {
  const std::string key(kKeyBytesMax + 1, 'k');
  EXPECT_EQ(CheckCommand(Put("k", ""), 100).code, ErrorCode::kOk);
  EXPECT_EQ(CheckCommand(Put("", "v"), 100).code, ErrorCode::kInvalidArgument);
  const Error key_error = CheckCommand(Put(key, "v"), 100);
  EXPECT_EQ(key_error.code, ErrorCode::kKeyTooLarge);
  EXPECT_EQ(key_error.limit, kKeyBytesMax);
  EXPECT_EQ(key_error.actual, kKeyBytesMax + 1);
  const Error value_error = CheckCommand(Put("k", std::string(101, 'v')), 100);
  EXPECT_EQ(value_error.code, ErrorCode::kValueTooLarge);
  EXPECT_EQ(value_error.limit, 100u);
  EXPECT_EQ(value_error.actual, 101u);
  EXPECT_EQ(value_error.key, "k");
  EXPECT_EQ(CheckCommand(Put("k", std::string(100, 'v')), 100).code, ErrorCode::kOk);
}

TEST(CheckCommandTest, NoFlagLiftsTheLargestValueOfAll) {
  EXPECT_EQ(CheckCommand(Put("k", std::string(kValueBytesMax + 1, 'v')), ~0ULL).code,
            ErrorCode::kValueTooLarge);
}

TEST(CheckCommandTest, BoundsCountsAndTheEncodedSize) {
  Command many = Put("k", "");
  many.operations.resize(kOperationsMax, many.operations[0]);
  EXPECT_TRUE(CheckCommand(many, 100).ok());
  many.operations.push_back(many.operations[0]);
  EXPECT_EQ(CheckCommand(many, 100).code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(CheckCommand(many, 100).limit, kOperationsMax);

  const std::string value(kMiB, 'v');
  Command large = Put("k", value);
  large.operations.resize(8, large.operations[0]);
  EXPECT_TRUE(CheckCommand(large, kMiB).ok());
  large.operations.resize(9, large.operations[0]);
  const Error error = CheckCommand(large, kMiB);
  EXPECT_EQ(error.code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(error.limit, kCommandBytesMax);
  EXPECT_EQ(error.actual, EncodedCommandSize(large));

  Command conditions = Put("k", "");
  conditions.conditions.resize(kOperationsMax + 1, {Condition::Kind::kExists, "k", Version()});
  EXPECT_EQ(CheckCommand(conditions, 100).code, ErrorCode::kTransactionTooLarge);
}

// What was decoded is measured again only where its bytes are beyond the bound: they may be more
// than they had to be.
TEST(CheckCommandTest, ADecodedCommandIsCheckedAlike) {
  const std::string value(kMiB, 'v');
  Command command = Put("k", value);
  command.operations.resize(9, command.operations[0]);
  const std::size_t size = EncodedCommandSize(command);
  EXPECT_EQ(CheckDecodedCommand(command, kMiB, size), CheckCommand(command, kMiB));
  command.operations.resize(8);
  EXPECT_TRUE(CheckDecodedCommand(command, kMiB, EncodedCommandSize(command)).ok());
  EXPECT_TRUE(CheckDecodedCommand(command, kMiB, kCommandBytesMax + 1).ok());
  command.sequence = 0;
  EXPECT_EQ(CheckDecodedCommand(command, kMiB, 100).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CheckDecodedCommand(Put("", "v"), kMiB, 100).code, ErrorCode::kInvalidArgument);
}

TEST(CheckCommandTest, WantsAnIdentity) {
  Command command = Put("k", "v");
  command.session = SessionId();
  EXPECT_EQ(CheckCommand(command, 100).code, ErrorCode::kInvalidArgument);
  command = Put("k", "v");
  command.low_water = command.sequence + 1;
  EXPECT_EQ(CheckCommand(command, 100).code, ErrorCode::kInvalidArgument);
  command.sequence = 0;
  command.low_water = 0;
  EXPECT_EQ(CheckCommand(command, 100).code, ErrorCode::kInvalidArgument);
}

TEST(CheckCommandTest, ADeleteHasNoValue) {
  Command command = Put("k", "v");
  command.operations[0].kind = Operation::Kind::kDelete;
  EXPECT_EQ(CheckCommand(command, 100).code, ErrorCode::kInvalidArgument);
}

TEST(CheckCommandTest, AnOperationHasOnlyWhatItsKindUses) {
  using Kind = Operation::Kind;
  const auto check = [](const Operation& operation) {
    Command command = Put("k", "v");
    command.operations = {operation};
    return CheckCommand(command, 100).code;
  };
  EXPECT_EQ(check({.kind = Kind::kGet, .key = "k"}), ErrorCode::kOk);
  EXPECT_EQ(check({.kind = Kind::kGet, .key = "k", .value = "v"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(check({.kind = Kind::kGet, .key = "k", .delta = 1}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(check({.kind = Kind::kAdd, .key = "k", .delta = -1}), ErrorCode::kOk);
  EXPECT_EQ(check({.kind = Kind::kAdd, .key = ""}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(check({.kind = Kind::kPut, .key = "k", .scan = {.reverse = true}}),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(check({.kind = Kind::kDropHistory, .version = Version(9)}), ErrorCode::kOk);
  EXPECT_EQ(check({.kind = Kind::kDropHistory, .key = "k"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(check({.kind = Kind::kDelete, .key = "k", .version = Version(9)}),
            ErrorCode::kInvalidArgument);
}

TEST(CheckCommandTest, ARangeHasKeysAndItsScanBounds) {
  using Kind = Operation::Kind;
  const std::string long_key(kKeyBytesMax + 1, 'k');
  const auto check = [](const Operation& operation) {
    Command command = Put("k", "v");
    command.operations = {operation};
    return CheckCommand(command, 100).code;
  };
  for (const Kind kind : {Kind::kScan, Kind::kDeleteRange}) {
    EXPECT_EQ(check({.kind = kind}), ErrorCode::kOk);
    EXPECT_EQ(check({.kind = kind, .key = "a", .value = "b"}), ErrorCode::kOk);
    EXPECT_EQ(check({.kind = kind, .key = "b", .value = "b"}), ErrorCode::kInvalidArgument);
    EXPECT_EQ(check({.kind = kind, .key = "a", .value = long_key}), ErrorCode::kKeyTooLarge);
    EXPECT_EQ(check({.kind = kind, .key = long_key}), ErrorCode::kKeyTooLarge);
  }
  EXPECT_EQ(check({.kind = Kind::kScan, .scan = {.items_max = kScanItemsMax}}), ErrorCode::kOk);
  EXPECT_EQ(check({.kind = Kind::kScan, .scan = {.items_max = kScanItemsMax + 1}}),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(check({.kind = Kind::kScan, .scan = {.bytes_max = kScanBytesMax + 1}}),
            ErrorCode::kInvalidArgument);
}

TEST(CheckCommandTest, ReadsConditionsAndIdempotencyHaveTheirBounds) {
  const auto check = [](auto&& change) {
    Command command = Put("k", "v");
    change(command);
    return CheckCommand(command, 100).code;
  };
  const std::string fingerprint(kFingerprintBytes, 'f');
  const std::string long_key(kIdempotencyKeyBytesMax + 1, 'k');
  EXPECT_EQ(check([](Command& c) { c.reads.push_back({.key = "r", .end = "s"}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(check([](Command& c) {
              c.reads.push_back({.kind = Read::Kind::kRange, .key = "r", .end = "s"});
            }),
            ErrorCode::kOk);
  EXPECT_EQ(check([](Command& c) { c.reads.resize(kReadsMax + 1, {.key = "r"}); }),
            ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(check([](Command& c) {
              c.conditions.push_back({Condition::Kind::kExists, "k", Version(), "operand"});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(check([](Command& c) {
              c.conditions.push_back({Condition::Kind::kValueEquals, "k", Version(), "operand"});
            }),
            ErrorCode::kOk);
  EXPECT_EQ(check([&](Command& c) { c.idempotency = {"once", fingerprint}; }), ErrorCode::kOk);
  EXPECT_EQ(check([&](Command& c) {
              c.idempotency = {"once", "short"};
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(check([&](Command& c) {
              c.idempotency = {long_key, fingerprint};
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(check([&](Command& c) {
              c.idempotency = {"", fingerprint};
            }),
            ErrorCode::kInvalidArgument);
}

TEST(CheckCommandTest, TheElseBranchHasTheSameBounds) {
  Command command = Put("k", "v");
  command.otherwise = {Operation{.kind = Operation::Kind::kPut, .key = ""}};
  EXPECT_EQ(CheckCommand(command, 100).code, ErrorCode::kInvalidArgument);
  command.otherwise->assign(kOperationsMax + 1, {.kind = Operation::Kind::kGet, .key = "k"});
  EXPECT_EQ(CheckCommand(command, 100).code, ErrorCode::kTransactionTooLarge);
}

TEST(CheckQueryTest, HasNoIdentityAndNothingThatOnlyACommitCan) {
  Command query;
  query.operations = {{.kind = Operation::Kind::kPut, .key = "k", .value = "v"},
                      {.kind = Operation::Kind::kGet, .key = "k"}};
  EXPECT_TRUE(CheckQuery(query, 100).ok());
  Command command = query;
  command.reads.push_back({.key = "k"});
  EXPECT_EQ(CheckQuery(command, 100).code, ErrorCode::kInvalidArgument);
  command = query;
  command.operations.push_back({.kind = Operation::Kind::kDropHistory});
  EXPECT_EQ(CheckQuery(command, 100).code, ErrorCode::kInvalidArgument);
  command = query;
  command.idempotency = {"once", "0123456789abcdef"};
  EXPECT_EQ(CheckQuery(command, 100).code, ErrorCode::kInvalidArgument);
}

TEST(CheckQueryTest, WhatWritesIsToldFromWhatReads) {
  using Kind = Operation::Kind;
  const auto writes = [](Kind kind) {
    Command command;
    command.operations = {{.kind = kind, .key = "k"}};
    return Writes(command);
  };
  for (const Kind kind :
       {Kind::kPut, Kind::kDelete, Kind::kDeleteRange, Kind::kAdd, Kind::kDropHistory}) {
    EXPECT_TRUE(writes(kind));
  }
  EXPECT_FALSE(writes(Kind::kGet));
  EXPECT_FALSE(writes(Kind::kScan));
  Command command;
  command.otherwise = {Operation{.kind = Kind::kPut, .key = "k"}};
  EXPECT_TRUE(Writes(command));
}

TEST(CommandTest, FreesRoomWhereWhateverItDoesOnlyDeletes) {
  using Kind = Operation::Kind;
  const auto with = [](std::vector<Kind> kinds) {
    Command command;
    for (const Kind kind : kinds) command.operations.push_back({.kind = kind, .key = "k"});
    return command;
  };
  for (const Kind kind : {Kind::kDelete, Kind::kDeleteRange, Kind::kDropHistory}) {
    EXPECT_TRUE(FreesRoom(with({kind})));
    EXPECT_TRUE(FreesRoom(with({Kind::kGet, kind, Kind::kScan, Kind::kDelete})));
  }
  EXPECT_FALSE(FreesRoom(with({}))) << "it would take its place in the log for nothing";
  EXPECT_FALSE(FreesRoom(with({Kind::kGet})));
  EXPECT_FALSE(FreesRoom(with({Kind::kDelete, Kind::kPut})));
  EXPECT_FALSE(FreesRoom(with({Kind::kAdd, Kind::kDelete})));
  Command other = with({Kind::kDelete});
  other.otherwise = {Operation{.kind = Kind::kPut, .key = "k"}};
  EXPECT_FALSE(FreesRoom(other));
  other.otherwise = {Operation{.kind = Kind::kDelete, .key = "k"}};
  EXPECT_TRUE(FreesRoom(other));
  Command remembered = with({Kind::kDelete});
  remembered.idempotency.key = "once";
  EXPECT_FALSE(FreesRoom(remembered)) << "its reply is kept";
}

TEST(CommandTest, AWatermarkIsWhatDropsHistoryAndDoesNothingElse) {
  Command command{
      .session = SessionId(UINT64_MAX),
      .sequence = UINT64_MAX,
      .low_water = UINT64_MAX,
      .operations = {{.kind = Operation::Kind::kDropHistory, .version = Version(UINT64_MAX)}}};
  EXPECT_TRUE(IsWatermark(EncodeCommand(command))) << "the largest there is";
  Command other = command;
  other.operations.push_back({.kind = Operation::Kind::kDelete, .key = "k"});
  EXPECT_FALSE(IsWatermark(EncodeCommand(other)));
  other = command;
  other.otherwise = {Operation{.kind = Operation::Kind::kPut, .key = "k"}};
  EXPECT_FALSE(IsWatermark(EncodeCommand(other)));
  other = command;
  other.idempotency.key = "once";
  EXPECT_FALSE(IsWatermark(EncodeCommand(other))) << "its reply is kept";
  other.operations = {{.kind = Operation::Kind::kPut, .key = "k"}};
  EXPECT_FALSE(IsWatermark(EncodeCommand(other)));
  EXPECT_FALSE(IsWatermark("")) << "no command";
  EXPECT_FALSE(IsWatermark(EncodeCheckState({.from = "k", .bytes_max = 1})));
}

TEST(CommandResultTest, ComesBackAsItWas) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const CommandResult result = ArbitraryMessages(random).AResult();
    ASSERT_EQ(DecodeCommandResult(EncodeCommandResult(result)).value(), result);
  }
}

TEST(CommandResultTest, RefusesWhatIsNone) {
  for (const std::string_view encoded :
       {std::string_view(""), std::string_view("\x93\0\x01\x01", 4),
        std::string_view("\x94\0\x01\x01\xcf\0\0\0\x01\0\0\0\0", 13),  // a number over 32 bits
        std::string_view("\x94\x7f\x01\x01\0", 5),                     // an unknown code
        std::string_view("\x94\0\x01\x01\0\0", 6)}) {
    EXPECT_TRUE(DecodeCommandResult(encoded).status().IsCorruption());
  }
  EXPECT_TRUE(
      DecodeCommandResult(std::string_view("\x99\0\x01\x01\0\xc2\x90\xc4\0\0\x81\0\0", 13)).ok());
}

}  // namespace
}  // namespace bedrock::proto
