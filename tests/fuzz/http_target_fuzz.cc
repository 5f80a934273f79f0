#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "routerd/http/etag.h"
#include "routerd/http/routes.h"
#include "routerd/http/target.h"

// What a request line and its headers say, from any bytes: a plan that is refused with a reason or
// keeps to the bounds of the interface.

namespace bedrock::router {
namespace {

void CheckPlan(const RequestHead& head) {
  const Plan plan = PlanRequest(head, 1000);
  CHECK((plan.kind == Plan::Kind::kRefuse) == !plan.error.ok());
  if (!plan.error.ok()) {
    CHECK(!plan.error.detail.empty());
    return;
  }
  using Kind = Plan::Kind;
  const bool written = plan.kind == Kind::kPut || plan.kind == Kind::kDelete;
  CHECK((written || plan.kind == Kind::kRead) == !plan.key.empty());
  CHECK(plan.key.size() <= proto::kKeyBytesMax);
  CHECK(plan.timeout_ms >= 1 && plan.timeout_ms <= kTimeoutMsMax);
  if (written) CHECK(plan.Conditions().size() <= 2);
  CHECK((plan.kind == Kind::kScan || plan.kind == Kind::kDeleteRange) == plan.range.has_value());
  if (!plan.range) return;
  CHECK(CheckRange(plan.range->rest.start, plan.range->rest.end).ok());
  CHECK(plan.range->scan.items_max <= proto::kScanItemsMax);
  CHECK(plan.range->scan.bytes_max <= proto::kScanBytesMax);
}

void CheckTags(std::string_view text) {
  const auto tags = ParseTagList(text);
  if (!tags) return;
  CHECK(tags->any != !tags->tags.empty());
  CHECK(tags->tags.size() <= kTagsMax);
  CHECK(!tags->MatchesWeakly(Version()));
  for (const EntityTag& tag : tags->tags) {
    if (tag.version) CHECK(tags->MatchesWeakly(tag.version));
    if (tag.version && !tag.weak) CHECK(tags->MatchesStrongly(tag.version));
  }
}

}  // namespace
}  // namespace bedrock::router

// The input: a byte for the method, then the target, If-Match and If-None-Match, a line each.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock::router;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  RequestHead head;
  head.host = true;
  head.method = static_cast<Method>(static_cast<unsigned char>(input[0]) % 6);
  input.remove_prefix(1);
  std::string& if_match = head.if_match.emplace();
  for (std::string* field : {&head.target, &if_match, &head.if_none_match.emplace()}) {
    const std::size_t end = input.find('\n');
    *field = std::string(input.substr(0, end));
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  }
  CheckPlan(head);
  CheckTags(if_match);
  return 0;
}
