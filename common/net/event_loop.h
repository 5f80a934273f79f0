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
  /// anything more, so that the loop comes again before it sleeps. Called every turn: must be cheap
  /// where nothing was announced and nothing was sent.
  virtual bool Drain() = 0;
  /// Looks for input without trusting any event; the loop asks every 250 ms. True: there was some
  /// that nothing had announced, and the next Drain handles it.
  virtual bool HasUnannounced() { return false; }
};

/// The one thread of a process. A turn is: sleep until something is ready, run ready Asio handlers
/// (a bounded number), run due timers, drain every Drainable, run the end-of-turn hooks (which send
/// what the turn has gathered), and drain again: only when that last drain, after the last send,
/// found nothing may the next turn sleep.
///
///          ┌────────────────── drained something: don't sleep ─────────────┐
///          ▼                                                               │
///   sleep ─► handlers ─► timers ─► drain all ─► hooks (send) ─► drain all ─┤
///     ▲                                                                    │
///     └────────────────── nothing left ────────────────────────────────────┘
///
/// All methods on the loop's thread, but Post and Stop, which any thread may call. Handlers must
/// not block and must not throw. Outlives everything that was added to it.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs until Stop. May be called again afterwards.
  void Run();
  /// Runs turns until nothing is ready, without sleeping. For tests.
  void RunReady();
  /// The current or else the next Run returns after the turn it is in.
  void Stop();

  /// Runs `task` on the loop's thread, in order. Any thread.
  void Post(std::function<void()> task);
  /// Once, after `delay_ms`.
  TimerId After(std::uint64_t delay_ms, std::function<void()> task);
  /// Again and again, until cancelled; when late, missed rounds are skipped. REQUIRES:
  /// interval_ms > 0.
  TimerId Every(std::uint64_t interval_ms, std::function<void()> task);
  /// Also from within the timer's own task; unknown and finished timers are fine.
  void Cancel(TimerId timer);

  /// Runs `task` on the loop's thread at the first SIGTERM or SIGINT; a second one ends the process
  /// as it would without this.
  void OnStopSignal(std::function<void()> task);

  /// Runs at the end of each turn in which anything happened, in order of registration. For the
  /// loop's life.
  void AtTurnEnd(std::function<void()> hook);
  /// Borrows `source` until Remove.
  void Add(Drainable& source);
  void Remove(Drainable& source);

  /// How often the safety check (every 250 ms) found input that no event had announced: a bug if
  /// not 0. (A message that arrives within the microsecond of the check itself may count, too.)
  std::uint64_t missed_events() const;

  /// For what speaks Asio itself (the HTTP server, ZeroMQ sockets).
  boost::asio::io_context& context();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedrock::net
