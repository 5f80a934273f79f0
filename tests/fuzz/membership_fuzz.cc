#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

/// Whatever is taken for a configuration is encoded to the same bytes again, and survives each step
/// that a leader may take from it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock::raft;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto membership = DecodeMembership(bytes);
  if (!membership) return 0;
  CHECK(EncodeMembership(*membership) == bytes);
  const Membership left = IsJoint(*membership) ? LeaveJoint(*membership) : *membership;
  CHECK(DecodeMembership(EncodeMembership(left)) == left);
  const Membership settled = DropRetired(left);
  CHECK(IsSettled(settled));
  const auto next = ApplyDelta(settled, {.promote = settled.learners, .remove = {}},
                               [](bedrock::NodeId) { return true; });
  if (const auto* promoted = std::get_if<Membership>(&next)) {
    CHECK(DecodeMembership(EncodeMembership(*promoted)) == *promoted);
    CHECK(AllMembers(*promoted) == AllMembers(settled));
  }
  return 0;
}
