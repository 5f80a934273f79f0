#include "storaged/engine/iterator/merging_iterator.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

namespace {

/// Orders a max-heap so that the smallest key is on top.
struct LaterKey {
  bool operator()(const InternalIterator* a, const InternalIterator* b) const {
    return a->key() > b->key();
  }
};

class MergingIterator final : public InternalIterator {
 public:
  explicit MergingIterator(std::vector<std::unique_ptr<InternalIterator>> children)
      : children_(std::move(children)) {
    heap_.reserve(children_.size());
  }

  bool Valid() const override { return !heap_.empty(); }

  void SeekToFirst() override {
    for (const auto& child : children_) child->SeekToFirst();
    Rebuild();
  }

  void Seek(InternalKeyView target) override {
    for (const auto& child : children_) child->Seek(target);
    Rebuild();
  }

  void Next() override {
    DCHECK(Valid());
    InternalIterator* top = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), LaterKey());
    top->Next();
    if (top->Valid()) {
      std::push_heap(heap_.begin(), heap_.end(), LaterKey());
      return;
    }
    heap_.pop_back();
    if (!top->status().ok()) Fail(top->status());
  }

  InternalKeyView key() const override { return heap_.front()->key(); }
  std::string_view value() const override { return heap_.front()->value(); }
  Status status() const override { return status_; }

 private:
  void Fail(Status status) {
    status_ = std::move(status);
    heap_.clear();
  }

  void Rebuild() {
    heap_.clear();
    if (!status_.ok()) return;
    for (const auto& child : children_) {
      if (child->Valid()) {
        heap_.push_back(child.get());
      } else if (!child->status().ok()) {
        Fail(child->status());
        return;
      }
    }
    std::make_heap(heap_.begin(), heap_.end(), LaterKey());
  }

  std::vector<std::unique_ptr<InternalIterator>> children_;
  std::vector<InternalIterator*> heap_;
  Status status_;
};

}  // namespace

std::unique_ptr<InternalIterator> NewMergingIterator(
    std::vector<std::unique_ptr<InternalIterator>> children) {
  if (children.size() == 1) return std::move(children.front());
  return std::make_unique<MergingIterator>(std::move(children));
}

}  // namespace bedrock::engine
