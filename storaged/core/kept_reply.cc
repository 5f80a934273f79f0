#include "storaged/core/kept_reply.h"

#include "common/base/check.h"

namespace bedrock::storage {

using proto::CommandResult;

KeptReply::KeptReply(const CommandResult& result)
    : code_(result.code),
      failed_condition_(result.failed_condition),
      version_(result.version),
      current_(result.current) {
  const bool plain = !result.ran_otherwise && result.results.empty() && result.key.empty() &&
                     result.failed_operation == 0;
  if (!plain) encoded_ = std::make_shared<const std::string>(proto::EncodeCommandResult(result));
}

CommandResult KeptReply::Result() const {
  if (encoded_ != nullptr) {
    auto decoded = proto::DecodeCommandResult(*encoded_);
    CHECK_MSG(decoded.ok(), decoded.status().ToString());
    return std::move(decoded).value();
  }
  CommandResult result;
  result.code = code_;
  result.failed_condition = failed_condition_;
  result.version = version_;
  result.current = current_;
  return result;
}

std::string KeptReply::Encode() const {
  return encoded_ != nullptr ? *encoded_ : proto::EncodeCommandResult(Result());
}

}  // namespace bedrock::storage
