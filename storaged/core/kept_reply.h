#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "common/base/ids.h"
#include "proto/command.h"

namespace bedrock::storage {

/// A reply as the session table holds it: that of a plain write in a few words, any other encoded,
/// so that what it takes is known. A value.
class KeptReply {
 public:
  KeptReply(const proto::CommandResult& result);  // NOLINT: implicit, it is the same in fewer bytes

  proto::ErrorCode code() const { return code_; }
  proto::CommandResult Result() const;
  /// proto::EncodeCommandResult of it.
  std::string Encode() const;
  /// What it takes beside the object itself.
  std::size_t bytes() const { return encoded_ == nullptr ? 0 : encoded_->size(); }

  friend bool operator==(const KeptReply& a, const KeptReply& b) {
    return a.Result() == b.Result();
  }

 private:
  proto::ErrorCode code_;
  std::uint32_t failed_condition_;
  Version version_;
  Version current_;
  std::shared_ptr<const std::string> encoded_;  // null: the members above are all there is
};

}  // namespace bedrock::storage
