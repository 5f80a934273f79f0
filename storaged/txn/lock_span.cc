#include "storaged/txn/lock_span.h"

namespace bedrock::txn {

std::string NamedSpan::ToString() const {
  if (is_key) return "key " + PrintedKey(begin);
  const std::string from = "the keys from " + PrintedKey(begin);
  return end.empty() ? from + " on" : from + " to before " + PrintedKey(end);
}

}  // namespace bedrock::txn
