#include "tests/process/write_load.h"

#include <gtest/gtest.h>

#include <chrono>
#include <utility>

#include "tests/process/http_client.h"

namespace bedrock::test {

namespace {

constexpr std::uint64_t kFailuresKept = 5;

std::string ValueOf(const std::string& key) { return {key.rbegin(), key.rend()}; }

}  // namespace

std::int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

WriteLoad::WriteLoad(std::vector<std::string> urls, int writers, std::string prefix)
    : urls_(std::move(urls)),
      prefix_(std::move(prefix)),
      writers_(static_cast<std::size_t>(writers)) {}

WriteLoad::~WriteLoad() { Stop(); }

void WriteLoad::Start() {
  stopping_ = false;
  for (std::size_t i = 0; i < writers_.size(); ++i) {
    threads_.emplace_back([this, i] { Run(static_cast<int>(i)); });
  }
}

void WriteLoad::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::string WriteLoad::OverwrittenKey(int number) const {
  return prefix_ + "counter/" + std::to_string(number);
}

std::string WriteLoad::failures() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const std::string& failure : failures_) text += failure + "\n";
  return text;
}

void WriteLoad::Run(int number) {
  HttpClient http;
  Writer& writer = writers_[static_cast<std::size_t>(number)];
  std::size_t router = static_cast<std::size_t>(number) % urls_.size();
  for (bool overwrite = false; !stopping_; overwrite = !overwrite) {
    std::string key;
    std::string value;
    if (overwrite) {
      key = OverwrittenKey(number);
      value = std::to_string(++writer.overwrites_attempted);
    } else {
      key = prefix_ + "w" + std::to_string(number) + "/" + std::to_string(writer.next_key++);
      value = ValueOf(key);
    }
    const HttpResponse response = http.Send(
        {.method = "PUT", .url = urls_[router] + "/put?key=" + PercentEncode(key), .body = value});
    if (response.status != 200) {
      if (failed_++ < kFailuresKept) {
        const std::lock_guard lock(mutex_);
        failures_.push_back("PUT " + key + " at " + urls_[router] + ": " +
                            std::to_string(response.status) + " " + response.body + response.error);
      }
      router = (router + 1) % urls_.size();
      // Nobody listens there while a router is down: don't spin.
      if (response.status == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    if (overwrite) {
      writer.overwrites_acknowledged = writer.overwrites_attempted;
    } else {
      writer.written.push_back(key);
    }
    ++acknowledged_;
    last_acknowledged_ms_ = NowMs();
  }
}

void WriteLoad::VerifyThrough(const std::string& url) const {
  HttpClient http;
  int complaints = 0;
  const auto read = [&](const std::string& key) {
    HttpResponse response;
    for (int attempt = 0; attempt < 5 && response.status != 200 && response.status != 404;
         ++attempt) {
      response = http.Send({.url = url + "/get?key=" + PercentEncode(key)});
    }
    return response;
  };
  for (std::size_t i = 0; i < writers_.size() && complaints < 10; ++i) {
    const Writer& writer = writers_[i];
    for (const std::string& key : writer.written) {
      const HttpResponse response = read(key);
      if (response.status == 200 && response.body == ValueOf(key)) continue;
      ADD_FAILURE() << "acknowledged write of " << key << " is gone: " << response.status << " '"
                    << response.body << "' " << response.error;
      if (++complaints >= 10) break;
    }
    if (writer.overwrites_acknowledged == 0) continue;
    const HttpResponse response = read(OverwrittenKey(static_cast<int>(i)));
    const std::uint64_t found = response.status == 200 ? std::stoull(response.body) : 0;
    if (found < writer.overwrites_acknowledged || found > writer.overwrites_attempted) {
      ADD_FAILURE() << OverwrittenKey(static_cast<int>(i)) << " is " << found
                    << ", acknowledged was " << writer.overwrites_acknowledged << ", attempted "
                    << writer.overwrites_attempted;
      ++complaints;
    }
  }
}

}  // namespace bedrock::test
