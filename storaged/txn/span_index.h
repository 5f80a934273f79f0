#pragma once

#include <cstddef>
#include <cstdint>

#include "storaged/txn/lock_span.h"

namespace bedrock::txn {

/// Spans by where they begin, so that those that overlap a given one are found without looking at
/// the others: an interval tree (Cormen et al., 14.3), balanced as a treap (Seidel and Aragon 1996)
/// whose priorities come from the entries' numbers, so that the same calls build the same tree.
///
/// Holds no memory: entries are links that their owners embed and keep where they are. Insert and
/// Erase cost O(log n), Visit O(log n) for each entry that overlaps. One thread.
class SpanIndex {
 public:
  /// `number` is another one for each entry of an index; it orders those that begin alike.
  class Entry {
   public:
    Entry(const LockSpan& span, std::uint64_t number);
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    LockSpan span() const { return span_.span(); }
    std::uint64_t number() const { return number_; }

   private:
    friend class SpanIndex;
    const NamedSpan span_;
    const std::uint64_t number_;
    const std::uint64_t priority_;
    Entry* left_ = nullptr;
    Entry* right_ = nullptr;
    const Entry* furthest_ = this;  ///< Of those from here down the one that ends last.
  };

  /// REQUIRES: the entry is in no index.
  void Insert(Entry& entry);
  /// REQUIRES: the entry is in this index.
  void Erase(Entry& entry);
  bool empty() const { return root_ == nullptr; }
  std::size_t size() const { return size_; }

  /// Calls visit(entry) for all that overlap `span`, in order of their begins, until it gives
  /// false; gives false then.
  template <typename Visit>
  bool VisitOverlapping(const LockSpan& span, const Visit& visit) const {
    return VisitFrom(root_, span, visit);
  }

 private:
  static bool Before(const Entry& a, const Entry& b);
  static void Update(Entry& top);
  static Entry* InsertBelow(Entry* top, Entry& entry);
  static Entry* EraseBelow(Entry* top, Entry& entry);
  static Entry* Merge(Entry* left, Entry* right);
  struct Halves {
    Entry* before;
    Entry* after;
  };
  static Halves Split(Entry* top, const Entry& at);

  template <typename Visit>
  static bool VisitFrom(const Entry* top, const LockSpan& span, const Visit& visit) {
    // Nothing down here ends behind the begin of what is asked for.
    if (top == nullptr || !top->furthest_->span().EndsBehind(span.begin())) return true;
    if (!VisitFrom(top->left_, span, visit)) return false;
    if (!span.EndsBehind(top->span_.begin)) return true;  // nor do those to the right begin in it
    if (top->span().EndsBehind(span.begin()) && !visit(*top)) return false;
    return VisitFrom(top->right_, span, visit);
  }

  Entry* root_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bedrock::txn
