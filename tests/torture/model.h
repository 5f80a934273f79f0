#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/iterator.h"
#include "bedrock/status.h"
#include "bedrock/version.h"
#include "bedrock/write_batch.h"

namespace bedrock::torture {

/// One change, as the model keeps it.
struct Change {
  enum class Kind : std::uint8_t { kPut, kDelete, kDeleteRange };
  Kind kind = Kind::kPut;
  std::string key;    ///< Of a range: its begin.
  std::string value;  ///< Of a range: its end; empty: unbounded.
};

WriteBatch ToBatch(const std::vector<Change>& changes);

/// A key as a reader at some version sees it.
struct Seen {
  std::string key;
  std::string value;
  Version version;

  friend bool operator==(const Seen&, const Seen&) = default;
};

enum class Direction : std::uint8_t { kForward, kBackward };

/// How a walk over all entries of an iterator went.
struct Walked {
  std::string wrong;      ///< Says which entry is not the expected one; empty: none.
  bool complete = false;  ///< All that were expected were shown.
  Status status;          ///< The iterator's, at the end.
};
/// Walks from one end to the other, or to the first entry that is not the expected one.
Walked WalkAll(Iterator& walk, const std::vector<Seen>& expected, Direction direction);

/// What a database has to answer: every commit there ever was, and so the state at each version.
/// Slow and plain on purpose.
class Model {
 public:
  void Commit(Version version, std::vector<Change> changes);
  /// Forgets what was committed above `version`: a crash has lost it.
  void TruncateTo(Version version);

  Version newest() const { return commits_.empty() ? Version() : commits_.rbegin()->first; }
  /// The value and its version; nothing where the key is absent at `at`.
  std::optional<Seen> Get(std::string_view key, Version at) const;
  /// The version of the newest change, deletes included; 0: never changed.
  Version NewestVersion(std::string_view key) const;
  /// All keys in [begin, end) that are there at `at`, in order; an empty `end` is unbounded.
  std::vector<Seen> Scan(std::string_view begin, std::string_view end, Version at) const;

 private:
  /// What became of a key, by version.
  using History = std::map<Version, std::optional<std::string>>;

  void Apply(Version version, const Change& change);

  std::map<Version, std::vector<Change>> commits_;
  std::map<std::string, History, std::less<>> keys_;
};

}  // namespace bedrock::torture
