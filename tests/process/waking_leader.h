#pragma once

#include "tests/process/test_cluster.h"

namespace bedrock::test {

/// Three times: the leader's raftd sleeps until the others have elected another one and moved on,
/// and wakes with readers waiting at its node. Fails the test where one of them is told what was
/// true before the sleep. REQUIRES: all nodes run.
void ExpectNoStaleReadsFromAWakingLeader(TestCluster& cluster);

}  // namespace bedrock::test
