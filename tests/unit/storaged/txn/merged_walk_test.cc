#include "storaged/txn/merged_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "storaged/engine/read/iterator.h"
#include "tests/support/map_iterator.h"

namespace bedrock::txn {
namespace {

using Content = std::map<std::string, std::string, std::less<>>;

/// A committed state that is a map; all its values are of version 7. Breaks after `steps_left`
/// moves.
class MapWalk final : public engine::CustomWalk {
 public:
  MapWalk(Content content, Range bounds, int steps_left = 1 << 30) : steps_left_(steps_left) {
    const auto first = content.lower_bound(bounds.begin);
    const auto last = bounds.end.empty() ? content.end() : content.lower_bound(bounds.end);
    content_ = Content(first, last);
    at_ = content_.end();
  }

  bool Valid() const override { return status_.ok() && at_ != content_.end(); }
  void SeekToFirst() override { MoveTo(content_.begin()); }
  void SeekToLast() override { MoveBefore(content_.end()); }
  void Seek(std::string_view key) override { MoveTo(content_.lower_bound(key)); }
  void SeekForPrev(std::string_view key) override { MoveBefore(content_.upper_bound(key)); }
  void Next() override { MoveTo(std::next(at_)); }
  void Prev() override { MoveBefore(at_); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }
  Version version() const override { return Version(7); }
  Status status() const override { return status_; }

 private:
  using At = Content::const_iterator;
  void MoveBefore(At at) { MoveTo(at == content_.begin() ? content_.end() : std::prev(at)); }
  void MoveTo(At at) {
    at_ = at;
    if (--steps_left_ < 0) status_ = Status::Corruption("broken");
  }

  Content content_;
  At at_;
  int steps_left_;
  Status status_;
};

/// Keys are one letter: which of them, and of the gaps behind them, a walk has looked at.
class LetterRecorder final : public WalkRecorder {
 public:
  explicit LetterRecorder(std::set<std::string>* seen) : seen_(seen) {}
  Status Record(std::string_view begin, std::string_view end) override {
    for (char c = 'a'; c <= 'z'; ++c) {
      for (const std::string& key : {std::string(1, c), std::string(1, c) + "~"}) {
        if (key >= begin && (end.empty() || key < end)) seen_->insert(key);
      }
    }
    return {};
  }

 private:
  std::set<std::string>* const seen_;
};

class Refuser final : public WalkRecorder {
 public:
  Status Record(std::string_view /*begin*/, std::string_view /*end*/) override {
    return Status::Busy("too much");
  }
};

std::unique_ptr<Iterator> Base(const Content& content, Range bounds = {}, int steps = 1 << 30) {
  return engine::NewIterator(std::make_unique<MapWalk>(content, bounds, steps));
}

std::unique_ptr<Iterator> Merged(const Content& content, const OwnWrites& writes, Range bounds = {},
                                 std::unique_ptr<WalkRecorder> recorder = nullptr) {
  return NewMergedIterator({.base = Base(content, bounds),
                            .writes = std::make_shared<OwnWrites>(writes),
                            .recorder = std::move(recorder),
                            .bounds = bounds});
}

TEST(MergedWalkTest, OwnWritesStandOverTheCommittedState) {
  OwnWrites writes;
  writes.DeleteRange("c", "f");
  writes.Put("d", "own");
  writes.Delete("g");
  const auto it = Merged({{"a", "1"}, {"c", "1"}, {"d", "1"}, {"g", "1"}, {"h", "1"}}, writes);
  std::vector<std::string> seen;
  for (it->SeekToFirst(); it->Valid(); it->Next())
    seen.push_back(std::string(it->key()) + "=" + std::string(it->value()) + "@" +
                   std::to_string(it->version().value()));
  EXPECT_THAT(seen, testing::ElementsAre("a=1@7", "d=own@0", "h=1@7"));
}

// Any moves over any writes, within any bounds, against a map; and the keys and gaps that a move
// went over are told.
TEST(MergedWalkTest, AgreesWithAMapAndTellsWhatItWentOver) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const auto letter = [&] { return std::string(1, static_cast<char>('a' + random.Below(26))); };
    Content base;
    for (int i = 0; i < 10; ++i) base[letter()] = "old";
    OwnWrites writes;
    Content model = base;
    for (int i = 0; i < 8; ++i) {
      const std::string key = letter();
      switch (random.Below(3)) {
        case 0:
          writes.Put(key, std::to_string(i));
          model[key] = std::to_string(i);
          break;
        case 1:
          writes.Delete(key);
          model.erase(key);
          break;
        default: {
          const std::string end = random.Chance(1, 5) ? "" : key + "~";
          writes.DeleteRange(key, end);
          model.erase(model.lower_bound(key), end.empty() ? model.end() : model.lower_bound(end));
        }
      }
    }
    std::string begin = random.Chance(1, 2) ? "" : letter();
    std::string end = random.Chance(1, 2) ? "" : letter();
    if (!end.empty() && end <= begin) end = begin + "~";
    model.erase(model.begin(), model.lower_bound(begin));
    if (!end.empty()) model.erase(model.lower_bound(end), model.end());

    std::set<std::string> told;
    const auto it = Merged(base, writes, {begin, end}, std::make_unique<LetterRecorder>(&told));
    test::MapIterator at(model);
    for (int step = 0; step < 30; ++step) {
      const std::string from = at.Valid() ? at.key() : "";
      switch (test::MoveAlike(random, letter(), *it, at)) {
        case test::Move::kSeek:
          break;
        case test::Move::kNext: {
          const std::string to = at.Valid() ? at.key() : end;
          for (char c = from[0]; c <= 'z'; ++c) {
            const std::string gap = std::string(1, c) + "~";
            if (to.empty() || gap < to) {
              ASSERT_TRUE(told.contains(gap)) << "seed " << seed << " gap " << gap;
            }
          }
          break;
        }
        case test::Move::kPrev: {
          const std::string to = at.Valid() ? at.key() : begin;
          for (char c = 'a'; c < from[0]; ++c) {
            const std::string gap = std::string(1, c) + "~";
            if (gap > to) {
              ASSERT_TRUE(told.contains(gap)) << "seed " << seed << " gap " << gap;
            }
          }
        }
      }
      ASSERT_EQ(it->Valid(), at.Valid()) << "seed " << seed << " step " << step;
      if (!at.Valid()) continue;
      ASSERT_EQ(it->key(), at.key()) << "seed " << seed << " step " << step;
      ASSERT_EQ(it->value(), at.value());
      ASSERT_TRUE(told.contains(at.key()));
    }
    ASSERT_TRUE(it->status().ok());
  }
}

TEST(MergedWalkTest, TellsNoMoreThanItWentOver) {
  std::set<std::string> told;
  const auto it = Merged({{"b", "1"}, {"d", "1"}, {"f", "1"}}, OwnWrites(), {},
                         std::make_unique<LetterRecorder>(&told));
  it->Seek("c");
  EXPECT_THAT(told, testing::ElementsAre("c", "c~", "d"));
}

TEST(MergedWalkTest, ABrokenBaseEndsItEvenWhereOwnWritesGoOn) {
  OwnWrites writes;
  writes.Put("x", "own");
  const auto it = NewMergedIterator({.base = Base({{"a", "1"}, {"b", "1"}}, {}, 2),
                                     .writes = std::make_shared<OwnWrites>(writes),
                                     .recorder = nullptr,
                                     .bounds = {}});
  it->SeekToFirst();
  ASSERT_TRUE(it->Valid());
  it->Next();
  ASSERT_TRUE(it->Valid());
  it->Next();
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().IsCorruption());
}

TEST(MergedWalkTest, ARecorderThatRefusesEndsIt) {
  const auto it = Merged({{"a", "1"}}, OwnWrites(), {}, std::make_unique<Refuser>());
  it->SeekToFirst();
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().IsBusy());
}

}  // namespace
}  // namespace bedrock::txn
