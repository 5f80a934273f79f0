#pragma once

#include <string>
#include <string_view>

namespace bedrock::storage {

// One ordered keyspace holds all replicated records, so that one batch, one snapshot and one backup
// hold all of it. The first byte says whose a key is:
//
//   's' kind …     the system's own records: idempotency replies by key, leases, tokens, the
//                  watermark; one byte of kind, then what that kind orders by. No kind is given
//                  yet.
//   'u' key        a user's key, byte for byte
//
// Sessions are no records: they live in memory and become durable with each flush
// (session_table.h).

inline constexpr char kSystemPrefix = 's';
inline constexpr char kUserPrefix = 'u';

/// All user keys: [kUserKeysBegin, kUserKeysEnd).
inline constexpr std::string_view kUserKeysBegin = "u";
inline constexpr std::string_view kUserKeysEnd = "v";

/// The engine's key of a user's key.
inline std::string EngineKey(std::string_view user_key) {
  std::string key;
  key.reserve(1 + user_key.size());
  key.push_back(kUserPrefix);
  key.append(user_key);
  return key;
}

}  // namespace bedrock::storage
