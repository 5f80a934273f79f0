#include "tests/sim/sim_trace.h"

#include <array>
#include <cstdio>
#include <sstream>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/codec/coding.h"

namespace bedrock::sim {

namespace {

struct KindText {
  std::string_view name;
  std::array<std::string_view, 3> fields;
};

constexpr std::array<KindText, 37> kKinds = {{
    {"send", {}},
    {"drop", {}},
    {"deliver", {}},
    {"tick", {"tick"}},
    {"write", {"seq", "cut_from", "entries"}},
    {"sync", {"seq"}},
    {"durable", {"seq"}},
    {"apply", {"first", "last", "durable"}},
    {"propose", {"first", "count", "refused"}},
    {"read", {"ticket"}},
    {"read_ready", {"ticket", "index"}},
    {"read_failed", {"ticket"}},
    {"role", {"role", "term", "leader"}},
    {"commit", {"commit"}},
    {"compact", {"up_to"}},
    {"fetch", {"follower", "first", "count"}},
    {"start", {"last", "term", "applied"}},
    {"crash", {"mode", "state_machine_lost"}},
    {"pause", {"us"}},
    {"resume", {}},
    {"cut", {"to"}},
    {"heal", {"to"}},
    {"stall", {"us"}},
    {"full", {"us"}},
    {"low on space", {"us"}},
    {"fault", {"calls"}},
    {"phase", {"phase"}},
    {"transfer", {"to", "result"}},
    {"reconfigure", {"result"}},
    {"members", {"index", "voters", "outgoing"}},
    {"open_snapshot", {"of", "applied"}},
    {"install", {"applied"}},
    {"restored", {"applied", "by_core"}},
    {"wipe", {"for_ever"}},
    {"rot", {"segment", "offset"}},
    {"lost the end of its log", {}},
    {"scrubbed", {"segment", "offset"}},
}};

/// Eight bytes at a time: most of what a run hashes is payloads.
std::uint64_t HashBytes(std::string_view bytes) {
  std::uint64_t hash = bytes.size();
  for (; bytes.size() >= sizeof(std::uint64_t); bytes.remove_prefix(sizeof(std::uint64_t))) {
    hash = HashMix(hash, LoadFixed<std::uint64_t>(bytes.data()));
  }
  std::uint64_t rest = 0;
  for (const char c : bytes) rest = rest << 8U | static_cast<unsigned char>(c);
  return HashMix(hash, rest);
}

/// Calls `visit(name, number)` for each field, in order: one list for hashing and for people.
template <typename Visit>
struct Fields {
  Visit visit;

  void operator()(const raft::VoteRequest& m) const {
    visit("pre", static_cast<bool>(m.pre_vote) ? 1 : 0);
    visit("term", m.term.value());
    visit("last_index", m.last_index.value());
    visit("last_term", m.last_term.value());
    visit("hand_over", static_cast<bool>(m.hand_over) ? 1 : 0);
  }
  void operator()(const raft::VoteReply& m) const {
    visit("pre", static_cast<bool>(m.pre_vote) ? 1 : 0);
    visit("term", m.term.value());
    visit("granted", m.granted ? 1 : 0);
  }
  void operator()(const raft::AppendRequest& m) const {
    visit("term", m.term.value());
    visit("prev", m.prev_index.value());
    visit("prev_term", m.prev_term.value());
    visit("commit", m.commit.value());
    visit("round", m.read_round);
    visit("trim", m.trim.value());
    visit("entries", m.entries.size());
    if (!m.entries.empty()) visit("last_term", m.entries.back().term.value());
  }
  void operator()(const raft::AppendReply& m) const {
    visit("term", m.term.value());
    visit("accepted", m.accepted ? 1 : 0);
    visit("index", m.index.value());
    visit("hint_index", m.hint_index.value());
    visit("hint_term", m.hint_term.value());
    visit("round", m.read_round);
  }
  void operator()(const raft::Heartbeat& m) const {
    visit("term", m.term.value());
    visit("commit", m.commit.value());
    visit("round", m.read_round);
    visit("trim", m.trim.value());
  }
  void operator()(const raft::HeartbeatReply& m) const {
    visit("term", m.term.value());
    visit("round", m.read_round);
  }
  void operator()(const raft::ReadIndexRequest& m) const {
    visit("term", m.term.value());
    visit("number", m.number);
  }
  void operator()(const raft::ReadIndexReply& m) const {
    visit("term", m.term.value());
    visit("number", m.number);
    visit("granted", m.granted ? 1 : 0);
    visit("index", m.index.value());
  }
  void operator()(const raft::TimeoutNow& m) const {
    visit("term", m.term.value());
    visit("last_index", m.last_index.value());
  }
  void operator()(const raft::SnapshotOffer& m) const {
    visit("term", m.term.value());
    visit("index", m.index.value());
  }
  void operator()(const raft::SnapshotOfferReply& m) const {
    visit("term", m.term.value());
    visit("installing", m.installing.value());
  }
};

template <typename Visit>
void ForEachField(const raft::Message& message, Visit visit) {
  std::visit(Fields<Visit>{visit}, message);
}

constexpr std::array<std::string_view, std::variant_size_v<raft::Message>> kMessageNames = {
    "VoteRequest", "VoteReply",      "AppendRequest",     "AppendReply",
    "Heartbeat",   "HeartbeatReply", "ReadIndexRequest",  "ReadIndexReply",
    "TimeoutNow",  "SnapshotOffer",  "SnapshotOfferReply"};

}  // namespace

std::uint64_t HashMix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9E3779B97F4A7C15ULL + b;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

std::uint64_t HashEntry(const raft::Entry& entry) {
  const std::uint64_t head = HashMix(static_cast<std::uint64_t>(entry.kind), entry.time_ms);
  return HashMix(head, HashBytes(entry.payload.view()));
}

std::uint64_t HashMessage(const raft::Message& message) {
  std::uint64_t hash = message.index();
  ForEachField(message,
               [&](std::string_view, std::uint64_t value) { hash = HashMix(hash, value); });
  if (const auto* append = std::get_if<raft::AppendRequest>(&message)) {
    for (const raft::Entry& entry : append->entries) {
      hash = HashMix(hash, HashMix(entry.term.value(), HashEntry(entry)));
    }
  }
  return hash;
}

std::string Describe(const raft::Message& message) {
  std::ostringstream out;
  out << kMessageNames.at(message.index());
  ForEachField(message, [&](std::string_view name, std::uint64_t value) {
    out << ' ' << name << '=' << value;
  });
  return out.str();
}

void SimTrace::Mix(std::uint64_t value) { hash_ = HashMix(hash_, value); }

void SimTrace::Add(TimeUs at, Kind kind, std::uint64_t node, std::uint64_t a, std::uint64_t b,
                   std::uint64_t c) {
  Mix(at);
  Mix(static_cast<std::uint64_t>(kind) << 8U | node);
  Mix(a);
  Mix(b);
  Mix(c);
  if (kind == Kind::kTick) return;  // they would push out everything else
  Keep({at, kind, node, a, b, c, {}});
}

void SimTrace::AddMessage(TimeUs at, Kind kind, NodeId from, NodeId to,
                          std::shared_ptr<const raft::Message> message) {
  Mix(at);
  Mix(static_cast<std::uint64_t>(kind) << 16U | from.value() << 8U | to.value());
  Mix(HashMessage(*message));
  Keep({at, kind, from.value(), to.value(), 0, 0, std::move(message)});
}

void SimTrace::Keep(Event event) {
  if (print_) std::printf("%s\n", Format(event).c_str());
  last_.push_back(std::move(event));
  if (last_.size() > kKept) last_.pop_front();
}

std::string SimTrace::Format(const Event& event) {
  std::ostringstream out;
  const KindText& text = kKinds.at(static_cast<std::size_t>(event.kind));
  out << event.at << "us n" << event.node << ' ' << text.name;
  if (event.message != nullptr) {
    out << " to n" << event.a << ' ' << Describe(*event.message);
    return out.str();
  }
  const std::array<std::uint64_t, 3> values = {event.a, event.b, event.c};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!text.fields.at(i).empty()) out << ' ' << text.fields.at(i) << '=' << values.at(i);
  }
  return out.str();
}

std::string SimTrace::Last() const {
  std::string text;
  for (const Event& event : last_) text += Format(event) + "\n";
  return text;
}

}  // namespace bedrock::sim
