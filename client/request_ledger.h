#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "bedrock/status.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/env/random.h"
#include "proto/frame.h"

namespace bedrock::client {

inline constexpr std::size_t kCallsMax = 65'536;
/// How far the newest command may be ahead of the oldest whose answer is still wanted. Half of what
/// a cluster keeps for a session.
inline constexpr std::uint64_t kSequenceWindowMax = 32'768;
inline constexpr std::uint64_t kBackoffMsMin = 5;
inline constexpr std::uint64_t kBackoffMsMax = 250;

struct ReadRequest {
  std::string key;
  proto::Consistency consistency = proto::Consistency::kLinearizable;
  Version min_version;
};

struct WriteRequest {
  proto::Operation::Kind kind = proto::Operation::Kind::kPut;
  std::string key;
  std::string value;
  std::optional<proto::Condition::Kind> condition;
  Version condition_version;
};

using Request = std::variant<ReadRequest, WriteRequest>;

struct Answer {
  Status status;
  Bytes value;
  Version version;       ///< Of the key that was read, or of the commit.
  Version read_version;  ///< Reads only.
};

/// The pure core of the client: which call waits for which router, when it is asked again and
/// where, and what the caller is told. No clock, socket, thread or randomness: time comes with each
/// call, as milliseconds that never go back, and the seed at the start.
///
/// A call's life (in brackets: what ends a state):
///
///   Begin ─► waiting for the window ─► in flight at a router ─► answered
///              [an older write ends]    │ ▲
///                                       ▼ │ [unsent, attempt timeout, retryable error]
///                                      backing off
///   and from every state, at the deadline ─► timed_out
///
/// A write's bytes are made once, when it is first sent, and repeated by every attempt: the session
/// and sequence in them are what makes the repeats safe (Raft thesis 6.3), and low_water, the
/// oldest sequence still wanted, lets the cluster forget the rest. A write that timed out is not
/// wanted any more: the next command's low_water keeps a straggler of it from being applied.
///
/// An answer is taken from any attempt where it tells what the cluster did; a refusal counts only
/// if it comes from the router asked last.
///
/// One thread.
class RequestLedger {
 public:
  struct Options {
    SessionId session;        ///< Random, never 0.
    std::size_t routers = 1;  ///< At least 1.
    std::uint64_t attempt_timeout_ms = 1000;
    std::uint64_t seed = 0;  ///< Of the back-off's jitter.
  };
  struct Transmission {
    std::size_t router = 0;  ///< Its position in the list of endpoints.
    RequestId call;
    std::uint32_t timeout_ms = 0;
    proto::Message message;
  };
  struct Completion {
    RequestId call;
    Answer answer;
  };

  explicit RequestLedger(const Options& options);

  /// Takes a call on; it may complete at once (bad arguments, too many calls).
  RequestId Begin(Request request, std::uint64_t now_ms, std::uint64_t deadline_ms);
  /// A message from a router. Unknown calls are ignored: answers may be late or double.
  void OnMessage(std::size_t router, RequestId call, const proto::Message& message,
                 std::uint64_t now_ms);
  /// A router cannot make sense of what it is sent, or it of us: for all calls that wait for it.
  void OnRouterRefused(std::size_t router, const proto::Error& error, std::uint64_t now_ms);
  /// A transmission did not leave: there is no connection to that router.
  void OnUnsent(std::size_t router, RequestId call, std::uint64_t now_ms);
  /// Does what is due by now.
  void OnTime(std::uint64_t now_ms);

  /// When OnTime has something to do; nullopt: nothing waits.
  std::optional<std::uint64_t> NextWakeup() const;
  /// What is to be sent, in order; each once.
  std::vector<Transmission> TakeSends() { return std::exchange(sends_, {}); }
  /// What has ended; each once.
  std::vector<Completion> TakeCompletions() { return std::exchange(completions_, {}); }
  std::size_t call_count() const { return calls_.size(); }

 private:
  enum class State : std::uint8_t { kWaiting, kInFlight, kBackingOff };
  struct Call {
    Request request;
    proto::Message message;      // from the first attempt on
    std::uint64_t sequence = 0;  // writes, from the first attempt on
    std::uint64_t begun_ms = 0;
    std::uint64_t deadline_ms = 0;
    std::uint64_t due_ms = 0;  // the call's place in due_
    State state = State::kWaiting;
    std::size_t router = 0;   // asked, or to be asked next
    unsigned failures = 0;    // attempts that failed
    unsigned unresolved = 0;  // attempts that left and were not answered with "nothing happened"
    std::string last_failure;
  };
  using Calls = std::unordered_map<RequestId, Call>;
  enum class Retry : std::uint8_t { kNow, kLater };

  bool WindowHasRoom() const;
  /// Gives a call its message, and a write its sequence.
  void Start(RequestId id, Call& call, std::uint64_t now_ms);
  std::string EncodeWrite(const WriteRequest& write, std::uint64_t sequence,
                          std::uint64_t low_water) const;
  void StartWaiting(std::uint64_t now_ms);
  void Attempt(RequestId id, Call& call, std::uint64_t now_ms);
  void Fail(RequestId id, Call& call, std::string reason, Retry retry, std::uint64_t now_ms);
  void OnError(RequestId id, Call& call, std::size_t router, const proto::Error& error,
               Version current, std::uint64_t now_ms);
  void Expire(RequestId id, Call& call, std::uint64_t now_ms);
  void Finish(RequestId id, Answer answer, std::uint64_t now_ms);
  void Schedule(RequestId id, Call& call, std::uint64_t due_ms);
  std::uint64_t BackoffMs(unsigned failures);
  static bool IsWrite(const Call& call) {
    return std::holds_alternative<WriteRequest>(call.request);
  }

  const Options options_;
  Random random_;
  RequestId last_id_;
  std::uint64_t last_sequence_ = 0;
  std::size_t preferred_router_ = 0;  // where calls begin
  Calls calls_;
  std::map<std::uint64_t, RequestId> sequences_;       // of writes that are not answered
  std::set<RequestId> waiting_;                        // writes that the window keeps back
  std::set<std::pair<std::uint64_t, RequestId>> due_;  // each call once
  std::vector<Transmission> sends_;
  std::vector<Completion> completions_;
};

}  // namespace bedrock::client
