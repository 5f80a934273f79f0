#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/ids.h"

namespace boost::asio {
class io_context;
}  // namespace boost::asio

namespace bedrock::net {

using TimerId = StrongId<struct TimerTag>;

/// Something with input of its own that the loop must drain before it may sleep (ZeroMQ sockets:
/// their ZMQ_FD is edge-triggered and can stay silent after a send though messages wait).
class Drainable {
 public:
  virtual ~Drainable() = default;
  /// Handles what has arrived, up to a bounded number of messages. True where it did or could do
  /// anything more, so that the loop comes again before it sleeps.
  virtual bool Drain() = 0;
};

/// The one thread of a process. A turn is: run every ready Asio handler, drain every Drainable, run
/// the end-of-turn hooks (which send what the turn has gathered), and drain again until nothing is
/// left; only then sleep.
///
/// All methods on the loop's thread, but Post and Stop, which any thread may call. Handlers must
/// not block.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs until Stop.
  void Run();
  /// Runs turns until nothing is ready, without sleeping. For tests.
  void RunReady();
  void Stop();

  /// Runs `task` on the loop's thread, in order. Any thread.
  void Post(std::function<void()> task);
  /// Once, after `delay_ms`.
  TimerId After(std::uint64_t delay_ms, std::function<void()> task);
  /// Again and again, until cancelled; when late, missed rounds are skipped.
  TimerId Every(std::uint64_t interval_ms, std::function<void()> task);
  void Cancel(TimerId timer);

  /// Runs at the end of each turn in which anything happened, in order of registration. For the
  /// loop's life.
  void AtTurnEnd(std::function<void()> hook);
  /// Borrows `source` until Remove.
  void Add(Drainable& source);
  void Remove(Drainable& source);

  /// How often the safety timeout (250 ms) found work that no event had announced: a bug if not 0.
  std::uint64_t missed_events() const;

  /// For what speaks Asio itself (the HTTP server, ZeroMQ sockets).
  boost::asio::io_context& context();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedrock::net
