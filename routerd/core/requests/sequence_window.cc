#include "routerd/core/requests/sequence_window.h"

#include <cstddef>

#include "common/base/check.h"

namespace bedrock::router {

std::uint64_t SequenceWindow::Take() {
  finished_.push_back(false);
  return base_ + finished_.size() - 1;
}

void SequenceWindow::Finish(std::uint64_t sequence) {
  CHECK(sequence >= base_ && sequence - base_ < finished_.size());
  auto finished = finished_.begin() + static_cast<std::ptrdiff_t>(sequence - base_);
  CHECK(!*finished);
  *finished = true;
  while (!finished_.empty() && finished_.front()) {
    finished_.pop_front();
    ++base_;
  }
}

}  // namespace bedrock::router
