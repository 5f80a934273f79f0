#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bedrock::storage {

// One ordered keyspace holds all replicated records, so that one batch, one snapshot and one backup
// hold all of it. The first byte says whose a key is, for the system's own the second which kind:
//
//   's' 'i' key             a client's Idempotency-Key: what it was for, and the reply
//   's' 'm'                 the newest membership entry
//   's' 't' time key        the same keys by age: time is a u64, big-endian
//   's' 'w'                 the watermark: versions below it may vanish
//   'u' key                 a user's key, byte for byte
//
// What they hold is drawn where it is kept: idempotency_store.h, membership_record.h, history.h.
// Leases and tokens will be kinds of 's', too. Sessions are no records: they live in memory and
// become durable with each flush (session_table.h).

inline constexpr char kSystemPrefix = 's';
inline constexpr char kUserPrefix = 'u';

inline constexpr std::string_view kIdempotencyPrefix = "si";
inline constexpr std::string_view kIdempotencyAgePrefix = "st";
inline constexpr std::string_view kIdempotencyAgeEnd = "su";  ///< Open.
inline constexpr std::string_view kMembershipKey = "sm";
inline constexpr std::string_view kWatermarkKey = "sw";

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
/// The engine's key of a range's open end; an empty one is the end of all users' keys.
inline std::string EngineEnd(std::string_view user_end) {
  return user_end.empty() ? std::string(kUserKeysEnd) : EngineKey(user_end);
}
/// The user's key of an engine key that is one.
inline std::string_view UserKey(std::string_view engine_key) { return engine_key.substr(1); }

}  // namespace bedrock::storage
