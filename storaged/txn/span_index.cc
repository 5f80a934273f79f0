#include "storaged/txn/span_index.h"

#include "common/base/check.h"

namespace bedrock::txn {
namespace {

/// splitmix64 (Steele et al. 2014): numbers in a row come out as if drawn at random.
std::uint64_t Scatter(std::uint64_t number) {
  std::uint64_t z = number + 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

SpanIndex::Entry::Entry(const LockSpan& span, std::uint64_t number)
    : span_(span), number_(number), priority_(Scatter(number)) {}

bool SpanIndex::Before(const Entry& a, const Entry& b) {
  const int order = a.span_.begin.compare(b.span_.begin);
  return order != 0 ? order < 0 : a.number_ < b.number_;
}

void SpanIndex::Update(Entry& top) {
  top.furthest_ = &top;
  for (const Entry* child : {top.left_, top.right_}) {
    if (child != nullptr && child->furthest_->span().EndsAfter(top.furthest_->span()))
      top.furthest_ = child->furthest_;
  }
}

void SpanIndex::Insert(Entry& entry) {
  root_ = InsertBelow(root_, entry);
  ++size_;
}

void SpanIndex::Erase(Entry& entry) {
  root_ = EraseBelow(root_, entry);
  entry.left_ = nullptr;
  entry.right_ = nullptr;
  entry.furthest_ = &entry;
  --size_;
}

SpanIndex::Entry* SpanIndex::InsertBelow(Entry* top, Entry& entry) {
  if (top == nullptr || top->priority_ < entry.priority_) {
    const Halves halves = Split(top, entry);
    entry.left_ = halves.before;
    entry.right_ = halves.after;
    top = &entry;
  } else if (Before(entry, *top)) {
    top->left_ = InsertBelow(top->left_, entry);
  } else {
    top->right_ = InsertBelow(top->right_, entry);
  }
  Update(*top);
  return top;
}

SpanIndex::Entry* SpanIndex::EraseBelow(Entry* top, Entry& entry) {
  CHECK(top != nullptr);
  if (top == &entry) return Merge(top->left_, top->right_);
  if (Before(entry, *top)) {
    top->left_ = EraseBelow(top->left_, entry);
  } else {
    top->right_ = EraseBelow(top->right_, entry);
  }
  Update(*top);
  return top;
}

SpanIndex::Halves SpanIndex::Split(Entry* top, const Entry& at) {
  if (top == nullptr) return {nullptr, nullptr};
  Halves halves{};
  if (Before(*top, at)) {
    halves = Split(top->right_, at);
    top->right_ = halves.before;
    halves.before = top;
  } else {
    halves = Split(top->left_, at);
    top->left_ = halves.after;
    halves.after = top;
  }
  Update(*top);
  return halves;
}

SpanIndex::Entry* SpanIndex::Merge(Entry* left, Entry* right) {
  if (left == nullptr) return right;
  if (right == nullptr) return left;
  if (left->priority_ > right->priority_) {
    left->right_ = Merge(left->right_, right);
    Update(*left);
    return left;
  }
  right->left_ = Merge(left, right->left_);
  Update(*right);
  return right;
}

}  // namespace bedrock::txn
