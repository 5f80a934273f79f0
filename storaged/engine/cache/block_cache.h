#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "common/base/ids.h"
#include "common/base/thread_annotations.h"

namespace bedrock::engine {

/// Where a block stands: file numbers are never reused, so an address means one block for ever.
struct BlockAddress {
  FileNumber file;
  std::uint64_t offset = 0;

  friend bool operator==(const BlockAddress&, const BlockAddress&) = default;
};

/// Keeps blocks that were read lately, uncompressed and checked, up to a number of bytes: 16
/// shards, each with its own mutex and least-recently-used order. Blocks that readers hold live on
/// after they were evicted. Any thread.
template <typename Block>
class BlockCache {
 public:
  explicit BlockCache(std::size_t bytes_max) : shard_bytes_max_(bytes_max / kShards) {}

  /// Null where it is not cached.
  std::shared_ptr<const Block> Find(BlockAddress address) {
    Shard& shard = ShardOf(address);
    MutexLock lock(shard.mutex);
    const auto found = shard.entries.find(address);
    if (found == shard.entries.end()) return nullptr;
    shard.order.splice(shard.order.begin(), shard.order, found->second);
    return found->second->block;
  }

  /// A block larger than a shard's share is not kept.
  void Insert(BlockAddress address, std::shared_ptr<const Block> block, std::size_t bytes) {
    if (bytes > shard_bytes_max_) return;
    std::list<Entry> evicted;  // freed after the mutex
    Shard& shard = ShardOf(address);
    MutexLock lock(shard.mutex);
    if (shard.entries.contains(address)) return;  // another reader was faster
    shard.order.push_front({address, std::move(block), bytes});
    shard.entries.emplace(address, shard.order.begin());
    shard.bytes += bytes;
    while (shard.bytes > shard_bytes_max_) {
      shard.bytes -= shard.order.back().bytes;
      shard.entries.erase(shard.order.back().address);
      evicted.splice(evicted.begin(), shard.order, std::prev(shard.order.end()));
    }
  }

  std::size_t bytes() {
    std::size_t sum = 0;
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      sum += shard.bytes;
    }
    return sum;
  }

 private:
  static constexpr std::size_t kShards = 16;

  struct Entry {
    BlockAddress address;
    std::shared_ptr<const Block> block;
    std::size_t bytes;
  };
  struct AddressHash {
    std::size_t operator()(const BlockAddress& address) const {
      std::uint64_t mixed = address.file.value() * 0x9E3779B97F4A7C15 ^ address.offset;
      mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
      return mixed ^ mixed >> 32;
    }
  };
  struct Shard {
    Mutex mutex;
    std::list<Entry> order GUARDED_BY(mutex);  // most recently used first
    std::unordered_map<BlockAddress, typename std::list<Entry>::iterator, AddressHash> entries
        GUARDED_BY(mutex);
    std::size_t bytes GUARDED_BY(mutex) = 0;
  };

  Shard& ShardOf(BlockAddress address) {
    return shards_[AddressHash()(address) >> 40 & (kShards - 1)];
  }

  const std::size_t shard_bytes_max_;
  std::array<Shard, kShards> shards_;
};

}  // namespace bedrock::engine
