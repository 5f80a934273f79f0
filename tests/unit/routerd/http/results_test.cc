#include "routerd/http/results.h"

#include <gtest/gtest.h>

#include <string>

#include <nlohmann/json.hpp>

#include "routerd/http/body_writer.h"

namespace bedrock::router {
namespace {

using Json = nlohmann::json;
using Kind = proto::Operation::Kind;
using Form = proto::Scan::Form;

proto::OperationResult Items(std::vector<proto::Item> items) {
  proto::OperationResult result;
  result.items = std::move(items);
  result.count = result.items.size();
  return result;
}

TEST(ResultsTest, ATransactionsResultsHaveTheContractsShapes) {
  proto::CommandResult result;
  result.results.resize(7);
  result.results[2] = {.found = true, .value = "x", .version = Version(4)};
  result.results[4] = Items({{"q/1", "v", Version(5)}, {"q/2", "", Version()}});
  result.results[5].count = 3;
  result.results[6].value = "7";
  const std::vector<ResultShape> shapes = {{.kind = Kind::kPut},
                                           {.kind = Kind::kDelete},
                                           {.kind = Kind::kGet, .key = "c"},
                                           {.kind = Kind::kGet, .key = "gone"},
                                           {.kind = Kind::kScan, .limit = 10},
                                           {.kind = Kind::kDeleteRange},
                                           {.kind = Kind::kAdd}};
  EXPECT_EQ(TxnBody(shapes, result, Version(9), Format::kJson),
            R"({"succeeded":true,"version":9,"results":[{},{},)"
            R"({"key":"c","value":"x","version":4},{"key":"gone","version":0},)"
            R"({"items":[{"key":"q/1","value":"v","version":5},)"
            R"({"key":"q/2","value":"","version":0}]},{"deleted":3},{"value":"7"}]})"
            "\n");
}

TEST(ResultsTest, TheOtherBranchIsNotASuccess) {
  proto::CommandResult result;
  result.ran_otherwise = true;
  EXPECT_EQ(TxnBody({{.kind = Kind::kPut}}, result, Version(9), Format::kJson),
            "{\"succeeded\":false,\"version\":9,\"results\":[{}]}\n")
      << "a branch that gives nothing comes without results";
}

TEST(ResultsTest, AScanThatWasCutShortBeforeItsOwnLimitSaysSo) {
  proto::CommandResult result;
  result.results = {Items({{"a", "1", Version(1)}})};
  result.results[0].more = true;
  const auto scan = [&](ResultShape shape) {
    return Json::parse(TxnBody({shape}, result, Version(9), Format::kJson))["results"][0];
  };
  EXPECT_FALSE(scan({.kind = Kind::kScan, .limit = 1}).contains("more"));
  EXPECT_EQ(scan({.kind = Kind::kScan, .limit = 2})["more"], true);
  EXPECT_EQ(scan({.kind = Kind::kScan})["more"], true);
  EXPECT_EQ(scan({.kind = Kind::kScan, .form = Form::kKeys, .limit = 1})["items"][0],
            Json::parse(R"({"key":"a","version":1})"));
  EXPECT_EQ(scan({.kind = Kind::kScan, .form = Form::kCount}), Json::parse(R"({"count":1})"));
}

TEST(ResultsTest, ScansTellWhereTheyGoOn) {
  const auto page = Items({{"a", "1", Version(1)}});
  EXPECT_EQ(ScanBody(page, Form::kItems, Version(9), "", Format::kJson),
            "{\"items\":[{\"key\":\"a\",\"value\":\"1\",\"version\":1}],\"version\":9,"
            "\"next\":null}\n");
  EXPECT_EQ(ScanBody(page, Form::kKeys, Version(9), "tok", Format::kJson),
            "{\"items\":[{\"key\":\"a\",\"version\":1}],\"version\":9,\"next\":\"tok\"}\n");
  EXPECT_EQ(CountBody(5, Version(9), Format::kJson), "{\"count\":5,\"version\":9}\n");
  EXPECT_EQ(DeletedBody(Version(9), 2, Format::kJson), "{\"version\":9,\"deleted\":2}\n");
  EXPECT_EQ(VersionBody(Version(9), Format::kJson), "{\"version\":9}\n");
  EXPECT_EQ(BegunBody("n1-a-1", Version(9), Format::kJson),
            "{\"id\":\"n1-a-1\",\"read_version\":9}\n");
}

TEST(ResultsTest, StreamsAreLines) {
  std::string line;
  AppendItemLine({"a\nb", "\xFF", Version(3)}, Form::kItems, &line);
  EXPECT_EQ(line, "{\"key\":\"a\\nb\",\"value_base64\":\"/w==\",\"version\":3}\n");
  EXPECT_EQ(EndLine(Version(9), 12), "{\"end\":true,\"version\":9,\"count\":12}\n");
}

TEST(ResultsTest, BytesThatAreNoTextStandInBase64) {
  proto::CommandResult result;
  result.results = {{.found = true, .value = std::string("\x80", 1), .version = Version(4)}};
  const Json json = Json::parse(
      TxnBody({{.kind = Kind::kGet, .key = "\xC0\xAF"}}, result, Version(9), Format::kJson));
  EXPECT_EQ(json["results"][0],
            Json::parse(R"({"key_base64":"wK8=","value_base64":"gA==","version":4})"));
}

TEST(ResultsTest, MessagePackHasBytesAndNoBase64) {
  proto::CommandResult result;
  result.results = {{.found = true, .value = "\xFF", .version = Version(4)}};
  const Json json = Json::from_msgpack(
      TxnBody({{.kind = Kind::kGet, .key = "k"}}, result, Version(9), Format::kMessagePack));
  EXPECT_EQ(json["succeeded"], true);
  const Json& get = json["results"][0];
  EXPECT_EQ(get["key"], Json::binary({'k'}));
  EXPECT_EQ(get["value"], Json::binary({0xFF}));
  EXPECT_EQ(get["version"], 4);
}

TEST(BodyWriterTest, EveryTextComesBackFromJson) {
  std::string all;
  for (int c = 0; c < 128; ++c) all.push_back(static_cast<char>(c));
  all += "\xC3\xA9\xF0\x9F\x98\x80";
  std::string body;
  BodyWriter writer(Format::kJson, body);
  writer.BeginObject(1);
  writer.Bytes("text", all);
  writer.EndObject();
  EXPECT_EQ(Json::parse(body)["text"].get<std::string>(), all);
}

TEST(BodyWriterTest, EverySizeComesBackFromMessagePack) {
  for (const std::size_t size : {0U, 1U, 15U, 16U, 31U, 32U, 255U, 256U, 65'535U, 65'536U}) {
    std::string body;
    BodyWriter writer(Format::kMessagePack, body);
    writer.BeginArray(3);
    writer.BeginArray(size);
    for (std::size_t i = 0; i < size; ++i) writer.Number(i);
    writer.EndArray();
    writer.Text(std::string(size, 'x'));
    writer.BeginObject(1);
    writer.Bytes("bytes", std::string(size, '\xFF'));
    writer.EndObject();
    writer.EndArray();
    const Json json = Json::from_msgpack(body);
    EXPECT_EQ(json[0].size(), size);
    if (size > 0) {
      EXPECT_EQ(json[0].back(), size - 1);
    }
    EXPECT_EQ(json[1].get<std::string>().size(), size);
    EXPECT_EQ(json[2]["bytes"].get_binary().size(), size);
  }
}

TEST(BodyWriterTest, EveryNumberComesBack) {
  for (const Format format : {Format::kJson, Format::kMessagePack}) {
    for (int bit = 0; bit < 64; ++bit) {
      for (const std::uint64_t number : {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) - 1}) {
        std::string body;
        BodyWriter(format, body).Number(number);
        const Json json = format == Format::kJson ? Json::parse(body) : Json::from_msgpack(body);
        EXPECT_EQ(json.get<std::uint64_t>(), number);
      }
    }
  }
}

}  // namespace
}  // namespace bedrock::router
