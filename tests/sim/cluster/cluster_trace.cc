#include "tests/sim/cluster/cluster_trace.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <type_traits>
#include <utility>
#include <variant>

#include "proto/codec.h"
#include "proto/errors.h"

namespace bedrock::sim {

namespace {

struct KindText {
  std::string_view name;
  std::array<std::string_view, 3> fields;
};

constexpr std::array<KindText, 17> kKinds = {{
    {"send", {}},
    {"drop", {}},
    {"deliver", {}},
    {"start", {"from", "to", "term"}},
    {"end", {"why"}},
    {"write", {"seq", "cut_from", "entries"}},
    {"sync", {"seq"}},
    {"role", {"role", "term", "leader"}},
    {"commit", {"commit"}},
    {"apply", {"index", "bytes"}},
    {"flush", {"durable"}},
    {"begin", {"operation", "kind", "attempt"}},
    {"finish", {"operation", "fate", "version"}},
    {"nemesis", {"a", "b", "c"}},
    {"resume", {}},
    {"phase", {"phase"}},
    {"snapshot", {"index"}},
}};

/// Writes " name=value" pairs and errors of one message.
class Teller {
 public:
  explicit Teller(std::ostringstream& out) : out_(out) {}

  void operator()(const proto::Apply& m) {
    out_ << "Apply";
    if (m.items.empty()) return;
    out_ << ' ' << m.items.front().entry.index.value() << ".."
         << m.items.back().entry.index.value();
  }
  void operator()(const proto::ApplyProgress& m) {
    out_ << "ApplyProgress applied=" << m.applied.value()
         << " durable=" << m.durable_applied.value();
    Tell(m.health);
  }
  void operator()(const proto::Get& m) {
    out_ << "Get " << m.key.view() << " min=" << m.min_version.value() << " at=" << m.at.value();
  }
  void operator()(const proto::GetReply& m) {
    out_ << "GetReply " << (m.found ? m.value.view().substr(0, 20) : "(absent)")
         << " version=" << m.version.value() << " read=" << m.read_version.value();
    Tell(m.error.code);
  }
  void operator()(const proto::Query& m) {
    out_ << "Query min=" << m.min_version.value() << " at=" << m.at.value();
  }
  void operator()(const proto::QueryReply& m) {
    out_ << "QueryReply read=" << m.read_version.value();
    Tell(m.error.code);
  }
  void operator()(const proto::Propose& m) {
    out_ << "Propose";
    const auto command = proto::DecodeCommand(m.command.view());
    if (!command.ok()) return;
    out_ << " session=" << command->session.value() % 10'000 << " sequence=" << command->sequence;
    for (const auto& operation : command->operations) out_ << ' ' << operation.key;
  }
  void operator()(const proto::ProposeRefused& m) {
    out_ << "ProposeRefused leader=" << m.leader.value();
    Tell(m.error.code);
  }
  void operator()(const proto::CommandReply& m) {
    out_ << "CommandReply version=" << m.result.version.value();
    Tell(m.result.code);
  }
  void operator()(const proto::ReadIndexAnswer& m) {
    out_ << "ReadIndexAnswer index=" << m.index.value();
    Tell(m.error.code);
  }
  void operator()(const proto::RaftStatus& m) {
    out_ << "RaftStatus leader=" << m.leader.value() << " term=" << m.term.value()
         << " commit=" << m.commit.value();
  }
  void operator()(const proto::StorageStatus& m) {
    out_ << "StorageStatus applied=" << m.applied.value();
    Tell(m.health);
  }
  void operator()(const proto::FetchSnapshot& m) {
    out_ << "FetchSnapshot from=" << m.source.value() << " at_least=" << m.at_least.value();
  }
  void operator()(const proto::FetchProgress& m) {
    out_ << "FetchProgress installing=" << m.installing.value() << ' ' << m.bytes_done << " of "
         << m.bytes_total;
    Tell(m.error);
  }
  void operator()(const proto::SnapshotOpen& m) {
    out_ << "SnapshotOpen at_least=" << m.at_least.value() << " resume=" << m.resume.value();
  }
  void operator()(const proto::SnapshotManifest& m) {
    out_ << "SnapshotManifest id=" << m.id.value() << " index=" << m.index.value()
         << " files=" << m.files.size();
    Tell(m.error);
  }
  void operator()(const proto::SnapshotRead& m) {
    out_ << "SnapshotRead file=" << m.file << " offset=" << m.offset << " bytes=" << m.bytes;
  }
  void operator()(const proto::SnapshotChunk& m) {
    out_ << "SnapshotChunk file=" << m.file << " offset=" << m.offset << " bytes=" << m.data.size();
    Tell(m.error);
  }
  void operator()(const proto::LockReply& m) {
    out_ << "LockReply read=" << m.read_version.value();
    Tell(m.error.code);
  }
  void operator()(const proto::ClientGetReply& m) {
    out_ << "ClientGetReply version=" << m.version.value() << " read=" << m.read_version.value();
    Tell(m.error);
  }
  void operator()(const proto::ClientWriteReply& m) {
    out_ << "ClientWriteReply version=" << m.version.value();
    Tell(m.error);
  }
  void operator()(const proto::ClientQueryReply& m) {
    out_ << "ClientQueryReply read=" << m.read_version.value();
    Tell(m.error);
  }
  void operator()(const proto::ClientTransaction& m) {
    out_ << "ClientTransaction " << m.id << " action=" << static_cast<int>(m.action);
  }
  void operator()(const proto::ClientTransactionReply& m) {
    out_ << "ClientTransactionReply " << m.id << " version=" << m.version.value()
         << " read=" << m.read_version.value();
    Tell(m.error);
  }
  void operator()(const proto::Refusal& m) {
    out_ << "Refusal";
    Tell(m.error);
  }
  template <typename T>
  void operator()(const T& m) {
    if constexpr (std::is_constructible_v<raft::Message, const T&>) {
      out_ << sim::Describe(raft::Message(m));
    } else {
      out_ << "message " << proto::Message(m).index();
    }
  }

 private:
  void Tell(proto::ErrorCode code) {
    if (code != proto::ErrorCode::kOk) out_ << ' ' << proto::ErrorCodeName(code);
  }
  void Tell(const proto::Error& error) {
    Tell(error.code);
    if (error.outcome == proto::Outcome::kUnknown) out_ << " (unknown)";
    if (!error.ok()) out_ << " \"" << error.detail << '"';
  }

  std::ostringstream& out_;
};

}  // namespace

std::string_view NameOf(Program program) {
  constexpr std::array<std::string_view, 4> kNames = {"raftd", "storaged", "routerd", "client"};
  return kNames.at(static_cast<std::size_t>(program));
}

std::string FormatAddress(const Address& address) {
  if (address.program == Program::kClient) return "c" + std::to_string(address.node.value());
  return FormatNodeId(address.node) + "." + std::string(NameOf(address.program));
}

std::uint64_t HashFrame(std::string_view frame) {
  std::uint64_t hash = frame.size();
  for (std::size_t i = 0; i < frame.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, frame.data() + i, std::min(sizeof(word), frame.size() - i));
    hash = HashMix(hash, word);
  }
  return hash;
}

std::string DescribeFrame(const Bytes& bytes) {
  const auto frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) return "not a frame";
  std::ostringstream out;
  for (std::size_t i = 0; i < frame->packets.size(); ++i) {
    if (i > 0) out << "; ";
    if (i == 8) {
      out << "and " << frame->packets.size() - i << " more";
      break;
    }
    std::visit(Teller(out), frame->packets[i].message);
  }
  return out.str();
}

void ClusterTrace::Add(TimeUs at, Kind kind, const Address& who, std::uint64_t a, std::uint64_t b,
                       std::uint64_t c) {
  Mix(at);
  Mix(static_cast<std::uint64_t>(kind) << 16U | static_cast<std::uint64_t>(who.program) << 8U |
      who.node.value());
  Mix(a);
  Mix(b);
  Mix(c);
  Keep({at, kind, who, {}, a, b, c, {}});
}

void ClusterTrace::AddFrame(TimeUs at, Kind kind, const Address& from, const Address& to,
                            const Bytes& frame, std::uint64_t hash) {
  Mix(at);
  Mix(static_cast<std::uint64_t>(kind) << 32U | static_cast<std::uint64_t>(from.program) << 24U |
      from.node.value() << 16U | static_cast<std::uint64_t>(to.program) << 8U | to.node.value());
  Mix(hash);
  Keep({at, kind, from, to, 0, 0, 0, frame});
}

void ClusterTrace::Keep(Event event) {
  if (print_) std::printf("%s\n", Format(event).c_str());
  last_.push_back(std::move(event));
  if (last_.size() > kKept) last_.pop_front();
}

std::string ClusterTrace::Format(const Event& event) {
  std::ostringstream out;
  const KindText& text = kKinds.at(static_cast<std::size_t>(event.kind));
  out << event.at << "us " << FormatAddress(event.who) << ' ' << text.name;
  if (event.frame.size() > 0) {
    out << " to " << FormatAddress(event.to) << ": " << DescribeFrame(event.frame);
    return out.str();
  }
  const std::array<std::uint64_t, 3> values = {event.a, event.b, event.c};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!text.fields.at(i).empty()) out << ' ' << text.fields.at(i) << '=' << values.at(i);
  }
  return out.str();
}

std::string ClusterTrace::Last() const {
  std::string text;
  for (const Event& event : last_) text += Format(event) + "\n";
  return text;
}

}  // namespace bedrock::sim
