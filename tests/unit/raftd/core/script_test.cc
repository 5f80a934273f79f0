// Runs tests/scripts/raft/*.txt: a script drives a cluster, and all that happens is compared with
// the trace behind its "----". BEDROCK_REWRITE=1 in the environment writes the traces anew; they
// are reviewed as diffs. tests/scripts/raft/README.md lists the commands.

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/script.h"
#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"
#include "tests/unit/raftd/core/trace.h"

namespace bedrock::raft {
namespace {

/// "n3", "3" or "*" (0: all).
std::uint64_t ParseNode(const std::string& text) {
  if (text == "*") return 0;
  return std::stoull(text.front() == 'n' ? text.substr(1) : text);
}

struct Command : test::ScriptCommand {
  using ScriptCommand::ScriptCommand;

  std::uint64_t Node(std::size_t i) const { return ParseNode(args.at(i)); }
};

class ScriptRunner {
 public:
  /// The whole trace of `script`.
  std::string Run(const std::string& script) {
    test::ForEachLine(script, [this](const std::string& line) {
      trace_ += "> " + line + "\n";
      Execute(Command(line));
    });
    return trace_;
  }

 private:
  void Execute(const Command& c) {
    if (c.name == "add-nodes") return AddNodes(c);
    ASSERT_NE(cluster_, nullptr) << "add-nodes comes first";
    if (ExecuteInput(c) || ExecuteNetwork(c) || ExecuteNode(c)) return;
    FAIL() << "unknown command: " << c.name;
  }

  void AddNodes(const Command& c) {
    ClusterOptions options;
    options.nodes = c.Number(0);
    options.seed = c.Named("seed", 1);
    options.sync_at_once = c.Named("manual-writes", 0) == 0;
    options.compact = c.Named("compact", 0) == 1;
    Limits& limits = options.limits;
    limits.heartbeat_ticks = static_cast<std::uint32_t>(c.Named("heartbeat", 3));
    limits.election_ticks_min = static_cast<std::uint32_t>(c.Named("election-min", 10));
    limits.election_ticks_max = static_cast<std::uint32_t>(c.Named("election-max", 20));
    limits.lease_reads = c.Named("leases", 0) == 1;
    limits.window_messages_max = c.Named("window", 64);
    limits.append_entries_max = c.Named("append-entries", 4096);
    limits.cache_bytes_max = c.Named("cache", 1 << 20);
    cluster_ =
        std::make_unique<Cluster>(options, [this](const std::string& text) { trace_ += text; });
  }

  bool ExecuteInput(const Command& c) {
    if (c.name == "campaign") {
      cluster_->Campaign(c.Node(0));
    } else if (c.name == "tick" && c.args.at(0) == "all") {
      cluster_->TickAll(c.Number(1));
    } else if (c.name == "tick") {
      cluster_->Tick(c.Node(0), c.Number(1));
    } else if (c.name == "jump") {
      cluster_->Jump(c.Node(0), c.Number(1));
    } else if (c.name == "propose" || c.name == "propose-delete") {
      for (std::size_t i = 1; i < c.args.size(); ++i) {
        Propose(c.Node(0), c.args[i], FreesRoom(c.name == "propose-delete"));
      }
    } else if (c.name == "transfer") {
      Transfer(c.Node(0), c.args.size() > 1 ? c.Node(1) : 0);
    } else if (c.name == "change") {
      Change(c);
    } else if (c.name == "read") {
      cluster_->Read(c.Node(0), std::stoull(c.args.at(1).substr(1)));
    } else {
      return false;
    }
    return true;
  }

  bool ExecuteNetwork(const Command& c) {
    if (c.name == "deliver" || c.name == "drop" || c.name == "cut") {
      const std::string& link = c.args.at(0);
      const std::size_t arrow = link.find("->");
      const std::uint64_t from = ParseNode(link.substr(0, arrow));
      const std::uint64_t to = ParseNode(link.substr(arrow + 2));
      if (c.name == "deliver") cluster_->Deliver(from, to);
      if (c.name == "drop") {
        trace_ += "lost " + std::to_string(cluster_->Drop(from, to)) + " messages\n";
      }
      if (c.name == "cut") cluster_->Cut(from, to);
    } else if (c.name == "stabilize") {
      cluster_->Stabilize();
    } else if (c.name == "isolate") {
      cluster_->Isolate(c.Node(0));
    } else if (c.name == "heal") {
      cluster_->Heal();
    } else if (c.name == "link-reset") {
      cluster_->at(c.Node(0)).LinkReset(NodeId(c.Node(1)));
      cluster_->Run(c.Node(0));
    } else {
      return false;
    }
    return true;
  }

  bool ExecuteNode(const Command& c) {
    if (c.name == "write-done") {
      cluster_->WriteDone(c.Node(0),
                          c.args.size() > 1 ? std::optional(WriteSeq(c.Number(1))) : std::nullopt);
    } else if (c.name == "crash") {
      cluster_->Crash(c.Node(0));
    } else if (c.name == "restart") {
      cluster_->Restart(c.Node(0));
    } else if (c.name == "add-blank-node") {
      cluster_->AddBlankNode(c.Node(0));
    } else if (c.name == "stall" || c.name == "unstall") {
      cluster_->DiskStalled(c.Node(0), c.name == "stall");
    } else if (c.name == "install" || c.name == "install-silently") {
      const bool enough = cluster_->Install(
          c.Node(0), c.Node(1),
          c.name == "install" ? Cluster::Tell::kNow : Cluster::Tell::kAfterRestart);
      if (!enough) trace_ += "refused: behind what is wanted\n";
    } else if (c.name == "fetching") {
      cluster_->Fetching(c.Node(0), c.Number(1));
    } else if (c.name == "lose-machine") {
      cluster_->LoseMachine(c.Node(0));
    } else if (c.name == "pressure") {
      cluster_->Pressure(c.Node(0), c.Named("over", 0), c.Named("far", 0));
    } else if (c.name == "fill" || c.name == "unfill") {
      cluster_->DiskFull(c.Node(0), c.name == "fill");
    } else if (c.name == "scarce" || c.name == "unscarce") {
      cluster_->RoomLow(c.Node(0), c.name == "scarce");
    } else if (c.name == "disk") {
      SetDisk(c);
    } else if (c.name == "show") {
      for (std::uint64_t id : cluster_->ids()) {
        if (c.args.empty() || c.Node(0) == id) Show(id);
      }
    } else {
      return false;
    }
    return true;
  }

  void Propose(std::uint64_t id, const std::string& payload, FreesRoom frees_room) {
    const Proposed proposed = cluster_->Propose(id, payload, frees_room);
    if (proposed.refused) {
      trace_ += "refused: " + Describe(*proposed.refused) + "\n";
    } else {
      trace_ += "accepted at " + std::to_string(proposed.term.value()) + ":" +
                std::to_string(proposed.first.value()) + "\n";
    }
  }

  /// change 1 [add=4] [learn=5] [promote=6] [demote=2] [remove=3,1]
  void Change(const Command& c) {
    const auto ids = [&c](const std::string& key) {
      std::vector<NodeId> list;
      if (!c.named.contains(key)) return list;
      std::istringstream words(c.named.at(key));
      for (std::string id; std::getline(words, id, ',');) list.emplace_back(ParseNode(id));
      return list;
    };
    Delta delta{
        .add = {}, .promote = ids("promote"), .demote = ids("demote"), .remove = ids("remove")};
    for (const NodeId id : ids("add")) delta.add.push_back({id, AutoPromote::kYes, ""});
    for (const NodeId id : ids("learn")) delta.add.push_back({id, AutoPromote::kNo, ""});
    const Reconfiguring result = cluster_->Reconfigure(c.Node(0), delta);
    if (result != Reconfiguring::kStarted) trace_ += "refused: " + Describe(result) + "\n";
  }

  void Transfer(std::uint64_t id, std::uint64_t to) {
    const Transferring result = cluster_->Transfer(id, to);
    if (result != Transferring::kStarted) trace_ += "refused: " + Describe(result) + "\n";
  }

  /// disk 3 [term=4] [vote=2] [log=1,1,3] [hint=2] [damaged=2..3] [lost=5] [keep=2]: of a node that
  /// is down.
  void SetDisk(const Command& c) {
    FakeDisk& disk = cluster_->disk(c.Node(0));
    disk.vote.term = Term(c.Named("term", disk.vote.term.value()));
    disk.vote.candidate = NodeId(c.Named("vote", disk.vote.candidate.value()));
    if (c.named.contains("log")) {
      disk.entries.clear();
      std::istringstream terms(c.named.at("log"));
      for (std::string term; std::getline(terms, term, ',');) {
        disk.entries.push_back(
            MakeEntry(std::stoull(term), disk.last_index().Next().value(), "t" + term));
      }
    }
    disk.entries.resize(c.Named("keep", disk.entries.size()));
    disk.commit_hint = LogIndex(c.Named("hint", disk.commit_hint.value()));
    disk.health.lost_up_to = LogIndex(c.Named("lost", 0));
    disk.health.lost_term = disk.vote.term;
    if (c.named.contains("damaged")) {
      const std::string& range = c.named.at("damaged");
      disk.health.damaged = IndexRange{LogIndex(std::stoull(range)),
                                       LogIndex(std::stoull(range.substr(range.find("..") + 2)))};
    }
  }

  void Show(std::uint64_t id) {
    trace_ += "n" + std::to_string(id) + " ";
    if (!cluster_->up(id)) {
      trace_ += "is down\n";
      return;
    }
    std::string terms;
    for (std::uint64_t term : TermsOf(cluster_->at(id))) terms += " " + std::to_string(term);
    const Membership& members = cluster_->at(id).membership();
    const bool changed = static_cast<bool>(cluster_->view(id).membership_index);
    trace_ += Describe(cluster_->view(id)) + (changed ? "\n  members " + Describe(members) : "") +
              "\n  terms" + terms + "\n  applied " + cluster_->Applied(id) + "\n";
  }

  std::unique_ptr<Cluster> cluster_;
  std::string trace_;
};

class ScriptTest : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(ScriptTest, GivesTheTraceItShould) {
  test::CheckScript(GetParam(),
                    [](const std::string& script) { return ScriptRunner().Run(script); });
}

INSTANTIATE_TEST_SUITE_P(Raft, ScriptTest,
                         ::testing::ValuesIn(test::ScriptsIn(BEDROCK_RAFT_SCRIPTS)),
                         [](const auto& script) { return test::ScriptTestName(script.param); });

}  // namespace
}  // namespace bedrock::raft
