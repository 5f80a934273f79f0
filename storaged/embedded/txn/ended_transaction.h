#pragma once

#include <memory>

#include "bedrock/status.h"
#include "bedrock/transaction.h"

namespace bedrock::embedded {

/// A transaction that is over from the start: everything answers `why`.
std::unique_ptr<Transaction> NewEndedTransaction(Status why);

}  // namespace bedrock::embedded
