#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "storaged/engine/memtable/memtable.h"

// The input is a program: add, find and seek keys that share as much as the fuzzer likes. Every
// answer is held against a std::map in internal key order.

namespace bedrock::engine {
namespace {

struct Less {
  bool operator()(const InternalKey& a, const InternalKey& b) const { return a.view() < b.view(); }
};
using Model = std::map<InternalKey, std::string, Less>;

/// Reads the program; past its end everything is zero.
class Program {
 public:
  explicit Program(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  std::uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  /// Begins like the key before it, goes on with bytes of the program, ends with a run of one byte.
  std::string Key() {
    std::string key = last_.substr(0, Byte());
    for (int n = Byte() % 8; n > 0; --n) key.push_back(static_cast<char>(Byte()));
    const std::uint8_t run = Byte();
    if (run % 4 == 3) key.append(run, static_cast<char>(Byte()));
    last_ = key;
    return key;
  }

 private:
  std::string_view rest_;
  std::string last_;
};

void CheckAt(const Memtable::Cursor& cursor, const Model& model, Model::const_iterator want) {
  CHECK(cursor.Valid() == (want != model.end()));
  if (!cursor.Valid()) return;
  CHECK(cursor.key() == want->first.view());
  CHECK(cursor.value() == want->second);
}

Model::const_iterator Before(const Model& model, Model::const_iterator at) {
  return at == model.begin() ? model.end() : std::prev(at);
}

void CheckSeeks(const Memtable& memtable, const Model& model, const InternalKey& target) {
  Memtable::Cursor cursor(memtable);
  const auto first = model.lower_bound(target);
  cursor.Seek(target.view());
  CheckAt(cursor, model, first);
  if (cursor.Valid()) {
    cursor.Prev();
    CheckAt(cursor, model, Before(model, first));
  }
  const auto last = Before(model, model.upper_bound(target));
  cursor.SeekForPrev(target.view());
  CheckAt(cursor, model, last);
  if (cursor.Valid()) {
    cursor.Next();
    CheckAt(cursor, model, std::next(last));
  }
}

void CheckWalks(const Memtable& memtable, const Model& model) {
  CHECK(memtable.entries() == model.size());
  Memtable::Cursor cursor(memtable);
  cursor.SeekToFirst();
  for (auto want = model.begin(); want != model.end(); ++want, cursor.Next()) {
    CheckAt(cursor, model, want);
  }
  CHECK(!cursor.Valid());
  cursor.SeekToLast();
  for (auto want = model.rbegin(); want != model.rend(); ++want, cursor.Prev()) {
    CheckAt(cursor, model, std::prev(want.base()));
  }
  CHECK(!cursor.Valid());
}

void Run(Program program) {
  Memtable memtable;
  Model model;
  for (std::uint64_t step = 1; !program.done(); ++step) {
    const std::uint8_t what = program.Byte();
    const std::string key = program.Key();
    // Mostly rising; sometimes one of the first versions again.
    const Version version(what % 16 == 15 ? program.Byte() + std::uint64_t{1} : step);
    if (what % 4 != 0) {
      const EntryKind kind = what % 4 == 1 ? EntryKind::kDelete : EntryKind::kPut;
      const std::string value(kind == EntryKind::kPut ? what : 0, 'v');
      memtable.Add({key, Trailer(version, kind)}, value);
      model.erase({key, Trailer(version, EntryKind::kPut)});
      model.erase({key, Trailer(version, EntryKind::kDelete)});
      model[{key, Trailer(version, kind)}] = value;
      continue;
    }
    const InternalKey target{key, Trailer::SeekTo(version)};
    const auto want = model.lower_bound(target);
    const auto found = memtable.Find(key, version);
    CHECK(found.has_value() == (want != model.end() && want->first.user_key == key));
    CHECK(!found.has_value() || found->trailer == want->first.trailer);
    CheckSeeks(memtable, model, target);
  }
  CheckWalks(memtable, model);
}

}  // namespace
}  // namespace bedrock::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock::engine;
  Run(Program({reinterpret_cast<const char*>(data), size}));
  return 0;
}
