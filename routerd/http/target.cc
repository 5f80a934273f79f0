#include "routerd/http/target.h"

#include <algorithm>
#include <utility>

#include "routerd/http/text.h"

namespace bedrock::router {

std::optional<Target> SplitTarget(std::string_view target) {
  if (target == "*") return Target{target, {}};
  if (target.substr(0, 1) != "/") {
    const std::size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return std::nullopt;
    const std::string_view name = target.substr(0, scheme);
    if (!EqualsIgnoringCase(name, "http") && !EqualsIgnoringCase(name, "https")) {
      return std::nullopt;
    }
    target.remove_prefix(scheme + 3);
    const std::size_t path = target.find_first_of("/?");
    if (path == std::string_view::npos) return Target{"/", {}};
    target.remove_prefix(path);
    if (target.front() == '?') return Target{"/", target.substr(1)};
  }
  const std::size_t query = target.find('?');
  if (query == std::string_view::npos) return Target{target, {}};
  return Target{target.substr(0, query), target.substr(query + 1)};
}

Result<std::vector<Parameter>> ParseQuery(std::string_view query) {
  std::vector<Parameter> parameters;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = PercentDecode(pair.substr(0, equals), PlusIsSpace::kYes);
    auto value = PercentDecode(pair.substr(std::min(equals + 1, pair.size())), PlusIsSpace::kYes);
    if (!name || !value) return Status::InvalidArgument("bad percent-encoding in the query");
    if (name->empty()) return Status::InvalidArgument("a query parameter without a name");
    for (const Parameter& earlier : parameters) {
      if (earlier.name == *name) {
        return Status::InvalidArgument("query parameter \"" + *name + "\" is given twice");
      }
    }
    if (parameters.size() == kParametersMax) {
      return Status::InvalidArgument("too many query parameters");
    }
    parameters.push_back({std::move(*name), std::move(*value)});
  }
  return parameters;
}

}  // namespace bedrock::router
