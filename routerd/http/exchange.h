#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "routerd/http/format.h"
#include "routerd/http/results.h"
#include "routerd/http/routes.h"

namespace bedrock::router {

/// How far a stream of items has come.
struct StreamState {
  bool begun = false;    ///< Its header went out: an error can't become the status any more.
  bool waiting = false;  ///< The next page is asked for once the client has taken this one.
  std::uint64_t count = 0;
  Version version;  ///< All pages are read at this one.
};

/// A request from its head to its reply.
struct Exchange {
  Plan plan;
  std::uint32_t number = 0;
  bool head_only = false;
  bool write = false;  ///< By its method: its errors tell the outcome.
  bool keep_alive = true;
  int minor_version = 1;
  Format format = Format::kJson;       ///< Of the reply.
  Format body_format = Format::kJson;  ///< Of the body.
  std::string request_id;
  std::uint64_t begun_us = 0;
  std::vector<ResultShape> then;  ///< kTxn, until its results come.
  std::vector<ResultShape> otherwise;
  proto::ChangeMembers added;  ///< kAddMember: the new node, with all its endpoints.
  StreamState stream;
  bool done = false;
  std::string reply;  ///< Waits for those before it.
};

}  // namespace bedrock::router
