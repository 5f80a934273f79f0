#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {

std::vector<Engine> BuiltEngines() {
  std::vector<Engine> engines;
#ifdef BEDROCK_BENCH_HAVE_BEDROCK
  engines.push_back(
      {.name = "bedrock", .version = "this tree", .has_transactions = true, .open = OpenBedrock});
  engines.push_back({.name = "bedrock_mmap",
                     .version = "this tree",
                     .variant = "mmap",
                     .maps_tables = true,
                     .in_defaults = false,
                     .open = OpenBedrock});
#endif
#ifdef BEDROCK_BENCH_HAVE_LEVELDB
  engines.push_back(
      {.name = "leveldb", .version = LevelDbVersion(), .maps_tables = true, .open = OpenLevelDb});
  engines.push_back({.name = "leveldb_pread",
                     .version = LevelDbVersion(),
                     .variant = "pread",
                     .in_defaults = false,
                     .open = OpenLevelDb});
#endif
#ifdef BEDROCK_BENCH_HAVE_ROCKSDB
  engines.push_back({.name = "rocksdb",
                     .version = RocksDbVersion(),
                     .has_transactions = true,
                     .open = OpenRocksDb});
  engines.push_back({.name = "rocksdb_mmap",
                     .version = RocksDbVersion(),
                     .variant = "mmap",
                     .maps_tables = true,
                     .in_defaults = false,
                     .open = OpenRocksDb});
  engines.push_back({.name = "rocksdb_blob",
                     .version = RocksDbVersion(),
                     .variant = "blob",
                     .large_values_only = true,
                     .in_defaults = false,
                     .open = OpenRocksDb});
#endif
  return engines;
}

}  // namespace bedrock::bench
