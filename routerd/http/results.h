#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "proto/command.h"
#include "routerd/http/format.h"

namespace bedrock::router {

/// What is kept of an operation until its result comes.
struct ResultShape {
  proto::Operation::Kind kind = proto::Operation::Kind::kGet;
  proto::Scan::Form form = proto::Scan::Form::kItems;
  std::uint32_t limit = 0;  ///< kScan: the limit that the client named; 0: none.
  std::string key;          ///< kGet.
};

/// `{"succeeded":…,"version":…,"results":[…]}`. Shapes without a result gave nothing.
std::string TxnBody(const std::vector<ResultShape>& shapes, const proto::CommandResult& result,
                    Version version, Format format);

/// `{"items":[…],"version":…,"next":…}`; an empty `next` is null.
std::string ScanBody(const proto::OperationResult& result, proto::Scan::Form form, Version version,
                     std::string_view next, Format format);
/// `{"count":…,"version":…}`.
std::string CountBody(std::uint64_t count, Version version, Format format);
/// `{"version":…,"deleted":…}`.
std::string DeletedBody(Version version, std::uint64_t deleted, Format format);
/// `{"version":…}`.
std::string VersionBody(Version version, Format format);
/// `{"id":…,"read_version":…}`.
std::string BegunBody(std::string_view id, Version read_version, Format format);

/// The lines of a stream (JSON always).
void AppendItemLine(const proto::Item& item, proto::Scan::Form form, std::string* out);
std::string EndLine(Version version, std::uint64_t count);

}  // namespace bedrock::router
