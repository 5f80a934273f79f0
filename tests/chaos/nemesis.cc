#include "tests/chaos/nemesis.h"

#include <chrono>
#include <thread>

namespace bedrock::chaos {

using test::kPrograms;
using test::Program;
using test::ProgramName;

void Nemesis::Wait(std::uint64_t ms_min, std::uint64_t ms_max, const std::atomic<bool>& stop) {
  constexpr std::uint64_t kStepMs = 20;
  for (std::uint64_t left = random_.Between(ms_min, ms_max); left > 0 && !stop;) {
    const std::uint64_t step = std::min(left, kStepMs);
    std::this_thread::sleep_for(std::chrono::milliseconds(step));
    left -= step;
  }
}

int Nemesis::ANode() {
  return 1 + static_cast<int>(random_.Below(static_cast<std::uint64_t>(cluster_.nodes())));
}

Program Nemesis::AProgram() { return kPrograms[random_.Below(std::size(kPrograms))]; }

void Nemesis::Run(const std::atomic<bool>& stop) {
  while (!stop) {
    Wait(300, 2'500, stop);
    if (stop) break;
    switch (random_.Below(10)) {
      case 0:
        KillAll(stop);
        break;
      case 1:
      case 2:
        KillNode(stop);
        break;
      case 3:
      case 4:
        PauseOne(stop);
        break;
      case 5:
        StopOrderly(stop);
        break;
      default:
        KillOne(stop);
        break;
    }
  }
  StartWhatIsDown();
}

void Nemesis::KillOne(const std::atomic<bool>& stop) {
  const int node = ANode();
  const Program program = AProgram();
  cluster_.Kill(node, program);
  ++done_[ProgramName(program) + " killed"];
  // Now and then another one, elsewhere, before the first is back.
  if (random_.Chance(1, 4)) {
    Wait(0, 300, stop);
    cluster_.Kill(ANode(), AProgram());
    ++done_["a second process killed"];
  }
  Wait(0, 1'500, stop);
  StartWhatIsDown();
}

void Nemesis::KillNode(const std::atomic<bool>& stop) {
  cluster_.KillNode(ANode());
  ++done_["node killed"];
  Wait(0, 3'000, stop);
  StartWhatIsDown();
}

void Nemesis::KillAll(const std::atomic<bool>& stop) {
  for (int node = 1; node <= cluster_.nodes(); ++node) cluster_.KillNode(node);
  ++done_["cluster killed"];
  Wait(0, 500, stop);
  StartWhatIsDown();
}

void Nemesis::PauseOne(const std::atomic<bool>& stop) {
  const int node = ANode();
  const Program program = AProgram();
  if (!cluster_.Running(node, program)) return;
  cluster_.Pause(node, program);
  ++done_[ProgramName(program) + " paused"];
  Wait(200, 4'000, stop);
  cluster_.Resume(node, program);
}

void Nemesis::StopOrderly(const std::atomic<bool>& stop) {
  const int node = ANode();
  const Program program = AProgram();
  if (!cluster_.Running(node, program)) return;
  cluster_.Stop(node, program);
  ++done_[ProgramName(program) + " stopped"];
  Wait(0, 1'000, stop);
  StartWhatIsDown();
}

void Nemesis::StartWhatIsDown() {
  for (int node = 1; node <= cluster_.nodes(); ++node) {
    for (const Program program : kPrograms) {
      if (!cluster_.Running(node, program)) cluster_.Start(node, program);
    }
  }
}

std::string Nemesis::Summary() const {
  std::string text;
  for (const auto& [what, times] : done_) {
    if (!text.empty()) text += ", ";
    text += what + " " + std::to_string(times) + "x";
  }
  return text;
}

}  // namespace bedrock::chaos
