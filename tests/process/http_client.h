#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace bedrock::test {

struct HttpResponse {
  int status = 0;  ///< 0: no answer (refused, reset, timed out); `error` says which.
  std::string error;
  std::string body;
  std::map<std::string, std::string> headers;  ///< Names in lower case.

  bool ok() const { return status >= 200 && status < 300; }
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string body;
  std::map<std::string, std::string> headers;
  long timeout_ms = 10'000;
};

/// A blocking HTTP client that keeps its connections open between requests (libcurl). One thread.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  HttpResponse Send(const HttpRequest& request);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

/// "a b/c" -> "a%20b%2Fc".
std::string PercentEncode(std::string_view text);

}  // namespace bedrock::test
