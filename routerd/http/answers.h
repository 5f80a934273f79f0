#pragma once

#include <string>

#include "proto/errors.h"
#include "routerd/core/base/types.h"
#include "routerd/http/exchange.h"
#include "routerd/http/reply.h"

namespace bedrock::router {

/// A reply, and what it says where that is not somebody else's bytes. `reply.body` is empty, or
/// borrows from the completion it was made of; where it is empty, `body` counts.
struct Answer {
  Reply reply;
  std::string body;
  std::string location;
};

/// What the core's word means for an exchange, errors included. REQUIRES: plan.needs_core().
Answer AnswerOf(const Exchange& exchange, const Completion& completion);
/// The problem document of an error; `completion` tells where it comes from, null: from here.
Answer ErrorAnswer(const Exchange& exchange, const proto::Error& error,
                   const Completion* completion);

std::string_view TypeName(Format format);

/// The version that a completion read at, or committed as.
Version VersionOf(const Completion& completion);
/// Sets where a reply comes from.
void SetOrigin(const Completion& completion, Reply* reply);

/// Moves a scan's rest behind what a page gave. REQUIRES: page.more.
void Advance(const proto::OperationResult& page, ScanPlan* range);

/// The result of the one operation of a query or step; null where the store's word does not fit the
/// request.
const proto::OperationResult* OnlyResult(const Completion& completion);
/// The error for that.
proto::Error UnfitError();

}  // namespace bedrock::router
