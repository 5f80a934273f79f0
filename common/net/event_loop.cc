#include "common/net/event_loop.h"

#include <algorithm>
#include <atomic>
#include <utility>  // before Asio: Boost 1.74 uses std::exchange without it

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/base/check.h"

namespace bedrock::net {

namespace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

constexpr std::chrono::milliseconds kSafetyInterval{250};
/// So that a flood of one kind of work can't keep the others waiting.
constexpr std::size_t kHandlersPerTurnMax = 512;

}  // namespace

class EventLoop::Impl {
 public:
  Impl() : work_(boost::asio::make_work_guard(context_)), checked_at_(SteadyClock::now()) {}

  void Run() {
    bool pending = true;  // whatever was sent before Run counts as touched
    while (!stop_.exchange(false)) pending = Turn(pending, MaySleep::kYes);
  }

  void RunReady() {
    bool pending = true;
    do {
      pending = Turn(pending, MaySleep::kNo) || context_.poll_one() > 0;
    } while (pending);
  }

  void Stop() {
    stop_.store(true);
    boost::asio::post(context_, [] {});  // wakes the loop
  }

  void Post(std::function<void()> task) { boost::asio::post(context_, std::move(task)); }

  TimerId AddTimer(std::uint64_t delay_ms, std::uint64_t interval_ms, std::function<void()> task) {
    last_timer_ = last_timer_.Next();
    const TimePoint due = SteadyClock::now() + std::chrono::milliseconds(delay_ms);
    timers_.emplace(last_timer_, Timer{due, interval_ms, std::move(task)});
    due_.emplace(due, last_timer_);
    return last_timer_;
  }

  void Cancel(TimerId id) {
    const auto found = timers_.find(id);
    if (found == timers_.end()) return;
    EraseDue(found->second.due, id);
    timers_.erase(found);
  }

  void OnStopSignal(std::function<void()> task) {
    signals_.emplace(context_, SIGTERM, SIGINT);
    signals_->async_wait(
        [this, task = std::move(task)](const boost::system::error_code& error, int) {
          if (error) return;
          boost::system::error_code ignored;
          signals_->clear(ignored);  // a second signal ends the process at once
          task();
        });
  }

  void AtTurnEnd(std::function<void()> hook) { hooks_.push_back(std::move(hook)); }
  void Add(Drainable& source) { sources_.push_back(&source); }
  void Remove(Drainable& source) {
    std::replace(sources_.begin(), sources_.end(), &source, static_cast<Drainable*>(nullptr));
  }

  std::uint64_t missed_events() const { return missed_events_; }
  boost::asio::io_context& context() { return context_; }

 private:
  enum class MaySleep : bool { kNo, kYes };

  struct Timer {
    TimePoint due;
    std::uint64_t interval_ms;  // 0: once
    std::function<void()> task;
  };

  /// Gives whether the next turn must not sleep. `pending`: the last one ended with work done after
  /// its hooks.
  bool Turn(bool pending, MaySleep may_sleep) {
    bool worked = RunHandlers(pending ? MaySleep::kNo : may_sleep) || pending;
    worked = RunDueTimers() || worked;
    CheckUnannounced();
    worked = DrainAll() || worked;
    if (!worked) return false;
    for (std::size_t i = 0; i < hooks_.size(); ++i) hooks_[i]();
    // The re-check: a send may have swallowed the signal of a message that came meanwhile.
    return DrainAll();
  }

  bool RunHandlers(MaySleep may_sleep) {
    std::size_t ran = 0;
    if (may_sleep == MaySleep::kYes) {
      ran = context_.run_one_for(SleepTime());
      if (ran == 0) return false;
    }
    while (ran < kHandlersPerTurnMax && context_.poll_one() > 0) ++ran;
    return ran > 0;
  }

  SteadyClock::duration SleepTime() const {
    const TimePoint now = SteadyClock::now();
    TimePoint until = checked_at_ + kSafetyInterval;
    if (!due_.empty()) until = std::min(until, due_.begin()->first);
    return std::max(until - now, SteadyClock::duration::zero());
  }

  bool RunDueTimers() {
    if (due_.empty()) return false;
    const TimePoint now = SteadyClock::now();
    std::vector<TimerId> ripe;  // taken first: tasks may add and cancel timers
    for (const auto& [due, id] : due_) {
      if (due > now) break;
      ripe.push_back(id);
    }
    for (const TimerId id : ripe) RunTimer(id, now);
    return !ripe.empty();
  }

  void RunTimer(TimerId id, TimePoint now) {
    const auto found = timers_.find(id);
    if (found == timers_.end()) return;  // cancelled by a task before it
    Timer& timer = found->second;
    EraseDue(timer.due, id);
    if (timer.interval_ms == 0) {
      const std::function<void()> task = std::move(timer.task);
      timers_.erase(found);
      task();
      return;
    }
    const std::chrono::milliseconds interval(timer.interval_ms);
    timer.due += interval * ((now - timer.due) / interval + 1);
    due_.emplace(timer.due, id);
    const std::function<void()> task = timer.task;  // it may cancel itself
    task();
  }

  void EraseDue(TimePoint due, TimerId id) {
    const auto [first, last] = due_.equal_range(due);
    const auto found = std::find_if(first, last, [id](const auto& e) { return e.second == id; });
    CHECK(found != last);
    due_.erase(found);
  }

  bool DrainAll() {
    bool worked = false;
    // By position: handlers may add and remove sources.
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (sources_[i] != nullptr) worked = sources_[i]->Drain() || worked;
    }
    std::erase(sources_, nullptr);
    return worked;
  }

  void CheckUnannounced() {
    const TimePoint now = SteadyClock::now();
    if (now - checked_at_ < kSafetyInterval) return;
    checked_at_ = now;
    for (Drainable* source : sources_) {
      if (source != nullptr && source->HasUnannounced()) ++missed_events_;
    }
  }

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::optional<boost::asio::signal_set> signals_;
  std::atomic<bool> stop_{false};

  TimerId last_timer_;
  std::unordered_map<TimerId, Timer> timers_;
  std::multimap<TimePoint, TimerId> due_;  // equal times in order of insertion

  std::vector<std::function<void()>> hooks_;
  std::vector<Drainable*> sources_;  // null: removed meanwhile
  TimePoint checked_at_;
  std::uint64_t missed_events_ = 0;
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::Run() { impl_->Run(); }
void EventLoop::RunReady() { impl_->RunReady(); }
void EventLoop::Stop() { impl_->Stop(); }
void EventLoop::Post(std::function<void()> task) { impl_->Post(std::move(task)); }
TimerId EventLoop::After(std::uint64_t delay_ms, std::function<void()> task) {
  return impl_->AddTimer(delay_ms, 0, std::move(task));
}
TimerId EventLoop::Every(std::uint64_t interval_ms, std::function<void()> task) {
  CHECK(interval_ms > 0);
  return impl_->AddTimer(interval_ms, interval_ms, std::move(task));
}
void EventLoop::Cancel(TimerId timer) { impl_->Cancel(timer); }
void EventLoop::OnStopSignal(std::function<void()> task) { impl_->OnStopSignal(std::move(task)); }
void EventLoop::AtTurnEnd(std::function<void()> hook) { impl_->AtTurnEnd(std::move(hook)); }
void EventLoop::Add(Drainable& source) { impl_->Add(source); }
void EventLoop::Remove(Drainable& source) { impl_->Remove(source); }
std::uint64_t EventLoop::missed_events() const { return impl_->missed_events(); }
boost::asio::io_context& EventLoop::context() { return impl_->context(); }

}  // namespace bedrock::net
