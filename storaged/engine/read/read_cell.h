#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/thread_annotations.h"

namespace bedrock::engine {

/// Publishes one immutable value at a time to readers that take no lock and touch no counter that
/// others touch: hazard pointers (Michael, 2004). A reader puts what it reads into a slot of its
/// own; whoever replaces the value frees the old one once no slot shows it.
///
/// A slot is taken for each read, near a place that depends on the thread. So threads need not be
/// known, may end whenever they like, may read within a read, and may read any number of cells.
/// Where so many read at once that none is free near by, a reader takes a reference under the
/// mutex instead.
///
/// Any thread; the cell outlives its Reads, which are short: what is to live longer takes a
/// reference by Hold().
template <typename T>
class ReadCell {
  struct Node {
    std::shared_ptr<const T> value;
  };
  struct alignas(64) Slot {
    std::atomic<const Node*> node{nullptr};
  };

 public:
  explicit ReadCell(std::shared_ptr<const T> value)
      : newest_(std::make_unique<Node>(Node{std::move(value)})), current_(newest_.get()) {}
  ~ReadCell() {
    for (const Slot& slot : slots_) CHECK(slot.node.load() == nullptr);
  }
  ReadCell(const ReadCell&) = delete;
  ReadCell& operator=(const ReadCell&) = delete;

  /// Keeps the value that was current when it was made, for as long as it lives. Of one thread.
  class Read {
   public:
    explicit Read(const ReadCell& cell) : cell_(cell) {
      if (!TakeSlot()) TakeReference();
    }
    ~Read() {
      if (slot_ == nullptr) return;
      slot_->node.store(nullptr, std::memory_order_release);
      if (cell_.waiting_.load(std::memory_order_relaxed)) [[unlikely]]
        cell_.Collect();
    }
    Read(const Read&) = delete;
    Read& operator=(const Read&) = delete;

    const T& operator*() const { return *value_; }
    const T* operator->() const { return value_; }
    /// A reference that outlives this and the cell.
    std::shared_ptr<const T> Hold() const { return slot_ != nullptr ? node_->value : reference_; }

   private:
    bool TakeSlot() {
      const std::size_t first = SlotOfThread();
      for (std::size_t i = 0; i < kProbes; ++i) {
        Slot& slot = cell_.slots_[(first + i) % kSlots];
        const Node* none = nullptr;
        node_ = cell_.current_.load(std::memory_order_acquire);
        // From here on sequentially consistent, as in Replace and Collect: either they find the
        // slot, or we find what replaced the node.
        if (!slot.node.compare_exchange_strong(none, node_)) continue;
        slot_ = &slot;
        for (const Node* now = cell_.current_.load(); now != node_; now = cell_.current_.load()) {
          node_ = now;
          slot.node.store(now);
        }
        value_ = node_->value.get();
        return true;
      }
      return false;
    }
    void TakeReference() {
      MutexLock lock(cell_.mutex_);
      reference_ = cell_.newest_->value;
      value_ = reference_.get();
    }

    const ReadCell& cell_;
    Slot* slot_ = nullptr;
    const Node* node_ = nullptr;
    const T* value_ = nullptr;
    std::shared_ptr<const T> reference_;  ///< Where there was no slot.
  };

  /// A reference to the current value.
  std::shared_ptr<const T> Get() const { return Read(*this).Hold(); }

  /// Publishes `value`: a read that begins later sees it, or a later one. Frees the one before, and
  /// others, once nobody reads them: here, in Collect, or where a later Read ends.
  void Replace(std::shared_ptr<const T> value) EXCLUDES(mutex_) {
    auto node = std::make_unique<Node>(Node{std::move(value)});
    {
      MutexLock lock(mutex_);
      current_.store(node.get());
      std::swap(node, newest_);
      replaced_.push_back(std::move(node));
      waiting_.store(true, std::memory_order_relaxed);
    }
    Collect();
  }

  /// Frees what was replaced and nobody reads any more.
  void Collect() const EXCLUDES(mutex_) {
    std::vector<std::unique_ptr<Node>> unread;  // freed after the mutex
    MutexLock lock(mutex_);
    const auto first_unread = std::partition(replaced_.begin(), replaced_.end(),
                                             [this](const auto& node) { return IsRead(*node); });
    std::move(first_unread, replaced_.end(), std::back_inserter(unread));
    replaced_.erase(first_unread, replaced_.end());
    if (replaced_.empty()) waiting_.store(false, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kProbes = 8;

  /// Where this thread looks for a slot first: by the address of something of its own, so that
  /// nothing has to be handed out, or given back when it ends.
  static std::size_t SlotOfThread() {
    thread_local char anchor;
    const auto address = reinterpret_cast<std::uintptr_t>(&anchor);
    return static_cast<std::size_t>((address >> 6) * 0x9E3779B97F4A7C15 >> 58) % kSlots;
  }

  bool IsRead(const Node& node) const {
    return std::any_of(slots_.begin(), slots_.end(),
                       [&](const Slot& slot) { return slot.node.load() == &node; });
  }

  mutable std::array<Slot, kSlots> slots_;
  mutable Mutex mutex_;
  std::unique_ptr<Node> newest_ GUARDED_BY(mutex_);
  mutable std::vector<std::unique_ptr<Node>> replaced_ GUARDED_BY(mutex_);
  /// What readers look at, on a line that is written to by Replace only.
  alignas(64) std::atomic<const Node*> current_;
  mutable std::atomic<bool> waiting_{false};  ///< Whether replaced_ holds any.
};

}  // namespace bedrock::engine
