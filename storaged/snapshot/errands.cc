#include "storaged/snapshot/errands.h"

#include <utility>

#include "common/base/check.h"

namespace bedrock::storage {

Errands::Errands(Executor& executor, std::function<void()> wake)
    : wake_(std::move(wake)),
      lane_(executor, Executor::Priority::kLow, gate_, [this] { return Step(); }) {}

Errands::~Errands() { gate_->Close(); }

void Errands::Send(Work work) {
  CHECK(++under_way_ <= kWaitingMax);
  {
    const MutexLock lock(mutex_);
    waiting_.push_back(std::move(work));
  }
  lane_.Wake();
}

engine::Lane::Next Errands::Step() {
  Work work;
  {
    const MutexLock lock(mutex_);
    if (waiting_.empty()) return engine::Lane::Idle();
    work = std::move(waiting_.front());
    waiting_.pop_front();
  }
  Back back = work();
  // What the work holds goes here and not on the owner's thread.
  work = nullptr;
  {
    const MutexLock lock(mutex_);
    done_.push_back(std::move(back));
  }
  wake_();
  return engine::Lane::Again();
}

void Errands::Return() {
  std::deque<Back> done;
  {
    const MutexLock lock(mutex_);
    done.swap(done_);
  }
  for (Back& back : done) {
    --under_way_;
    back();
  }
}

}  // namespace bedrock::storage
