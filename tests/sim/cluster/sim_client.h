#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "proto/command.h"
#include "proto/frame.h"
#include "tests/sim/cluster/cluster_world.h"
#include "tests/sim/cluster/histories.h"

namespace bedrock::sim {

/// Somebody who uses the cluster, one operation after the other, each step through any router.
/// Never dies and always hears the answers that reach it; what they mean goes into the histories.
/// One thread.
class SimClient : public FrameReceiver {
 public:
  SimClient(std::uint64_t number, const ClusterWorld& world, Histories& histories, Random random);
  ~SimClient() override = default;

  void Start();
  /// Begins nothing more; what runs is carried to its end.
  void Stop() { stopped_ = true; }
  bool idle() const { return !busy_; }
  /// From now on only these routers are asked.
  void UseRouters(std::vector<NodeId> routers) { routers_ = std::move(routers); }
  /// From now on also this one.
  void AddRouter(NodeId router) { routers_.push_back(router); }

  void OnParcel(const Parcel& parcel) final;

 protected:
  /// Begins an operation, which ends in Done().
  virtual void Work() = 0;
  void Done();

  /// What came of asking.
  struct Heard {
    bool sent = true;                       ///< False: nobody was there.
    std::optional<proto::Message> message;  ///< None: no answer came in time.

    template <typename T>
    const T* As() const {
      return message ? std::get_if<T>(&*message) : nullptr;
    }
  };
  using OnHeard = std::function<void(const Heard&)>;
  /// Asks some router and waits, for a while. One question at a time.
  void Ask(const proto::Message& message, Door door, OnHeard on_heard);

  /// How a write is made safe to be sent again.
  enum class Way : std::uint8_t {
    kSession,  ///< A command of the client's own session (the ZeroMQ interface).
    kKey,      ///< With an Idempotency-Key (the HTTP interface).
    kPlain,    ///< Not at all: it is sent once.
  };
  Way DrawWay();
  struct Written {
    enum class Fate : std::uint8_t {
      kDone,
      kRefused,  ///< Executed, with a result that is an error: `code`.
      kNone,     ///< Surely without effect.
      kUnknown,
    };
    Fate fate = Fate::kUnknown;
    proto::ErrorCode code = proto::ErrorCode::kOk;
    Version version;
    proto::CommandResult result;
  };
  /// Sends it, again where that is safe, tells `on_written` what came of it, asks now and then
  /// once more whether the answer is still the same, and ends the operation.
  void Write(proto::Command command, Way way, std::function<void(const Written&)> on_written);

  /// A number that nobody writes twice, and what stands for it in a register.
  std::uint64_t NewValue() { return ++histories_.values; }
  std::string TextOf(std::uint64_t value) const;
  static std::uint64_t ValueOf(std::string_view text);

  /// An interactive transaction; steps through any router.
  void Begin(proto::TransactionMode mode, std::function<void(bool)> on_begun);
  void Execute(const proto::Command& step, bool for_update,
               std::function<void(const proto::ClientTransactionReply*)> on_done);
  /// `writes`: it has written something.
  void Commit(bool writes, std::function<void(Written)> on_done);
  /// Gives it up, and ends the operation.
  void Rollback();

  /// This run's clients ask for odd things; and this is the time for one.
  bool IsOdd() { return world_.options.odd_requests != 0 && random_.Chance(1, 2); }
  Version floor() const { return floor_; }
  void Fail(std::string_view invariant, const std::string& seen);
  std::string name() const { return FormatAddress(address_); }

  const Address address_;
  const ClusterWorld world_;
  Histories& histories_;
  Random random_;
  std::uint64_t begun_ = 0;  ///< The moment of the operation that runs.

 private:
  struct Pending {
    RequestId request;
    OnHeard on_heard;
  };
  struct WriteState {
    Bytes encoded;
    Way way = Way::kPlain;
    bool writes = true;
    std::uint64_t attempts_left = 0;
    bool open = false;  ///< An attempt may have had, or have yet, its effect.
    Version floor;
    std::function<void(const Written&)> on_written;
  };

  void Next();
  void Answer(RequestId request, const Heard& heard);
  void TryWrite();
  void OnWriteAnswer(const Heard& heard);
  void RetryWrite(const Written& otherwise);
  void FinishWrite(const Written& written);
  void AskAgain(const Written& first);
  void AskForAnother(const Written& first);
  Door DoorOf(Way way) const { return way == Way::kSession ? Door::kListener : Door::kHttp; }
  void TryCommit(bool writes, std::uint64_t attempts_left, bool open,
                 std::function<void(Written)> on_done);

  std::vector<NodeId> routers_;
  bool stopped_ = false;
  bool busy_ = false;
  Version floor_;  ///< What was settled when the operation began.
  std::uint64_t operations_ = 0;
  RequestId last_request_;
  std::optional<Pending> pending_;
  SessionId session_;
  std::uint64_t sequence_ = 0;
  WriteState write_;
  std::string key_;  ///< The Idempotency-Key of the write that runs.
  std::string transaction_;
  Version transaction_read_;  ///< The newest that it has read.
};

/// Single keys: reads, stale and linearizable, writes, deletes, compare-and-set, queries.
std::unique_ptr<SimClient> NewRegisterClient(std::uint64_t number, const ClusterWorld& world,
                                             Histories& histories, Random random);
/// Transactions that read lists and append to them, in one request or many, in both modes.
std::unique_ptr<SimClient> NewListClient(std::uint64_t number, const ClusterWorld& world,
                                         Histories& histories, Random random);
/// Adds that are sent again and again.
std::unique_ptr<SimClient> NewCounterClient(std::uint64_t number, const ClusterWorld& world,
                                            Histories& histories, Random random);
/// Transactions that look at a range before they add to it or empty it.
std::unique_ptr<SimClient> NewSetClient(std::uint64_t number, const ClusterWorld& world,
                                        Histories& histories, Random random);
/// Keys that are written once, and read by everybody who does so.
std::unique_ptr<SimClient> NewArchiveClient(std::uint64_t number, const ClusterWorld& world,
                                            Histories& histories, Random random);
/// Reads, in the end, everything that the histories are about, and puts it into them.
std::unique_ptr<SimClient> NewLastReader(std::uint64_t number, const ClusterWorld& world,
                                         Histories& histories, Random random);

}  // namespace bedrock::sim
