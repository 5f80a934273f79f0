#include "routerd/http/results.h"

#include <cstddef>
#include <utility>

#include "routerd/http/body_writer.h"

namespace bedrock::router {
namespace {

using Kind = proto::Operation::Kind;
using Form = proto::Scan::Form;

std::string Finish(std::string body, Format format) {
  if (format == Format::kJson) body += "\n";
  return body;
}

void WriteItem(const proto::Item& item, Form form, BodyWriter* writer) {
  writer->BeginObject(form == Form::kKeys ? 2 : 3);
  writer->Bytes("key", item.key);
  if (form != Form::kKeys) writer->Bytes("value", item.value);
  writer->Name("version");
  writer->Number(item.version.value());
  writer->EndObject();
}

void WriteItems(const proto::OperationResult& result, Form form, BodyWriter* writer) {
  writer->Name("items");
  writer->BeginArray(result.items.size());
  for (const proto::Item& item : result.items) WriteItem(item, form, writer);
  writer->EndArray();
}

/// A member whose value is a number, in an object of its own.
void WriteCount(std::string_view name, std::uint64_t count, BodyWriter* writer) {
  writer->BeginObject(1);
  writer->Name(name);
  writer->Number(count);
  writer->EndObject();
}

void WriteScan(const ResultShape& shape, const proto::OperationResult& result, BodyWriter* writer) {
  if (shape.form == Form::kCount) return WriteCount("count", result.count, writer);
  // Who named a limit sees that it was reached; any other end before the range's is told.
  const bool cut = result.more && result.items.size() != shape.limit;
  writer->BeginObject(cut ? 2 : 1);
  WriteItems(result, shape.form, writer);
  if (cut) {
    writer->Name("more");
    writer->Boolean(true);
  }
  writer->EndObject();
}

void WriteGet(const ResultShape& shape, const proto::OperationResult& result, BodyWriter* writer) {
  writer->BeginObject(result.found ? 3 : 2);
  writer->Bytes("key", shape.key);
  if (result.found) writer->Bytes("value", result.value);
  writer->Name("version");
  writer->Number(result.version.value());
  writer->EndObject();
}

void WriteResult(const ResultShape& shape, const proto::OperationResult& result,
                 BodyWriter* writer) {
  switch (shape.kind) {
    case Kind::kGet:
      return WriteGet(shape, result, writer);
    case Kind::kScan:
      return WriteScan(shape, result, writer);
    case Kind::kDeleteRange:
      return WriteCount("deleted", result.count, writer);
    case Kind::kAdd:
      writer->BeginObject(1);
      writer->Bytes("value", result.value);
      return writer->EndObject();
    case Kind::kPut:
    case Kind::kDelete:
    case Kind::kDropHistory:
      writer->BeginObject(0);
      return writer->EndObject();
  }
}

}  // namespace

std::string TxnBody(const std::vector<ResultShape>& shapes, const proto::CommandResult& result,
                    Version version, Format format) {
  std::string body;
  BodyWriter writer(format, body);
  writer.BeginObject(3);
  writer.Name("succeeded");
  writer.Boolean(!result.ran_otherwise);
  writer.Name("version");
  writer.Number(version.value());
  writer.Name("results");
  writer.BeginArray(shapes.size());
  const proto::OperationResult nothing;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    WriteResult(shapes[i], i < result.results.size() ? result.results[i] : nothing, &writer);
  }
  writer.EndArray();
  writer.EndObject();
  return Finish(std::move(body), format);
}

std::string ScanBody(const proto::OperationResult& result, Form form, Version version,
                     std::string_view next, Format format) {
  std::string body;
  BodyWriter writer(format, body);
  writer.BeginObject(3);
  WriteItems(result, form, &writer);
  writer.Name("version");
  writer.Number(version.value());
  writer.Name("next");
  if (next.empty()) {
    writer.Null();
  } else {
    writer.Text(next);
  }
  writer.EndObject();
  return Finish(std::move(body), format);
}

std::string CountBody(std::uint64_t count, Version version, Format format) {
  std::string body;
  BodyWriter writer(format, body);
  writer.BeginObject(2);
  writer.Name("count");
  writer.Number(count);
  writer.Name("version");
  writer.Number(version.value());
  writer.EndObject();
  return Finish(std::move(body), format);
}

std::string DeletedBody(Version version, std::uint64_t deleted, Format format) {
  std::string body;
  BodyWriter writer(format, body);
  writer.BeginObject(2);
  writer.Name("version");
  writer.Number(version.value());
  writer.Name("deleted");
  writer.Number(deleted);
  writer.EndObject();
  return Finish(std::move(body), format);
}

std::string VersionBody(Version version, Format format) {
  std::string body;
  BodyWriter writer(format, body);
  writer.BeginObject(1);
  writer.Name("version");
  writer.Number(version.value());
  writer.EndObject();
  return Finish(std::move(body), format);
}

std::string BegunBody(std::string_view id, Version read_version, Format format) {
  std::string body;
  BodyWriter writer(format, body);
  writer.BeginObject(2);
  writer.Name("id");
  writer.Text(id);
  writer.Name("read_version");
  writer.Number(read_version.value());
  writer.EndObject();
  return Finish(std::move(body), format);
}

void AppendItemLine(const proto::Item& item, Form form, std::string* out) {
  BodyWriter writer(Format::kJson, *out);
  WriteItem(item, form, &writer);
  out->push_back('\n');
}

std::string EndLine(Version version, std::uint64_t count) {
  std::string line;
  BodyWriter writer(Format::kJson, line);
  writer.BeginObject(3);
  writer.Name("end");
  writer.Boolean(true);
  writer.Name("version");
  writer.Number(version.value());
  writer.Name("count");
  writer.Number(count);
  writer.EndObject();
  return line + "\n";
}

}  // namespace bedrock::router
