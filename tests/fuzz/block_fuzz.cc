#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "storaged/engine/table/block.h"

// Blocks. Input that begins with an even byte is a block as it comes from a disk: it is refused, or
// every entry can be read. Other input is a list of entries: a block built from them gives them
// back, and finds what a search from end to end finds.

namespace bedrock::engine {
namespace {

void ReadEverything(std::string_view contents, std::string_view target) {
  const auto memory = Block::Parse(contents);
  if (!memory.ok()) {
    CHECK(memory.status().IsCorruption());
    return;
  }
  const Block& block = Block::In(**memory);
  CHECK(block.size() > 0);
  std::string key(block.key_bytes_max() + Block::kCopyBytes, '\0');
  std::size_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const std::size_t rest = block.CopyKeyRest(i, key.data());
    CHECK(rest + block.prefix().size() <= block.key_bytes_max());
    CHECK(std::string_view(key).substr(0, rest) == block.KeyRest(i));
    sum += std::string(block.Value(i)).size();
    (void)block.TrailerAt(i);
    (void)block.HasKey(i, target);
  }
  CHECK(sum <= contents.size() * block.size());
  (void)block.KindsAreKnown();
  CHECK(block.LowerBound(SeekKey(target, Version(3))) <= block.size());
}

struct Entry {
  std::string key;
  Trailer trailer;
  std::string value;
};

std::vector<Entry> TakeEntries(ByteReader& reader) {
  std::map<std::pair<std::string, std::uint64_t>, Entry> sorted;
  while (!reader.failed()) {
    const auto key_bytes = reader.Fixed<std::uint8_t>();
    const auto version = reader.Fixed<std::uint64_t>();
    const auto value_bytes = reader.Fixed<std::uint8_t>();
    if (reader.failed()) break;
    const auto key = reader.Take(std::min<std::uint64_t>(*key_bytes % 24, reader.rest().size()));
    const auto value = reader.Take(std::min<std::uint64_t>(*value_bytes, reader.rest().size()));
    // Few bits of the version count at first, so that versions of one key come up.
    const std::uint64_t number = *version & ((*version >> 60) == 0 ? 3 : kVersionMax.value());
    const auto kind = static_cast<EntryKind>(1 + (*version >> 56) % 3);
    sorted[{std::string(*key), kVersionMax.value() - number}] = {
        std::string(*key), Trailer(Version(number), kind), std::string(*value)};
  }
  std::vector<Entry> entries;
  for (auto& [position, entry] : sorted) entries.push_back(std::move(entry));
  return entries;
}

void BuildAndCompare(const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  BlockBuilder builder;
  for (const Entry& entry : entries) builder.Add({entry.key, entry.trailer}, entry.value);
  std::string contents = "in front of it";
  const std::size_t begin = contents.size();
  builder.Finish(contents);
  const auto memory = Block::Parse(std::string_view(contents).substr(begin));
  CHECK(memory.ok());
  const Block& block = Block::In(**memory);
  CHECK(block.size() == entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    CHECK(std::string(block.prefix()) + std::string(block.KeyRest(i)) == entries[i].key);
    CHECK(block.TrailerAt(i) == entries[i].trailer);
    CHECK(block.Value(i) == entries[i].value);
    CHECK(block.HasKey(i, entries[i].key));
    for (const std::string_view tail : {std::string_view(), std::string_view("\0", 1)}) {
      const std::string key = entries[i].key + std::string(tail);
      const InternalKeyView target{key, entries[i].trailer};
      std::size_t want = 0;
      while (want < entries.size() &&
             InternalKeyView{entries[want].key, entries[want].trailer} < target) {
        ++want;
      }
      CHECK(block.LowerBound(target) == want);
    }
  }
}

}  // namespace
}  // namespace bedrock::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock::engine;
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    ReadEverything(input, input.substr(0, data[0] / 2));
  } else {
    bedrock::ByteReader reader(input);
    BuildAndCompare(TakeEntries(reader));
  }
  return 0;
}
