#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/conformance/store.h"

namespace bedrock::conformance {

struct BankOptions {
  std::vector<Mode> modes = {Mode::kPessimistic, Mode::kOptimistic};  ///< One is drawn for each.
  std::uint64_t accounts = 8;
  std::uint64_t threads = 4;
  std::uint64_t transfers = 200;  ///< Of each thread, not all of which commit.
  std::uint64_t seed = 1;
};

struct BankResult {
  std::uint64_t committed = 0;
  std::uint64_t refused = 0;
  std::uint64_t sums = 0;  ///< So many committed transactions have seen all accounts.
  /// What may not be, a line each: a committed transaction that saw another sum than the bank was
  /// given, an account that was overdrawn, accounts that do not hold what was moved to them.
  std::vector<std::string> wrong;
};

/// Money moves between accounts, none of which may be overdrawn, while others open and close
/// accounts (so that keys come and go) and add all up. In threads, each with a session.
BankResult RunBank(Store& store, const BankOptions& options);

}  // namespace bedrock::conformance
