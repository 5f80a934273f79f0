// What the library can do, one thing after another, in the folder given as argument ("tour"
// otherwise).

#include <bedrock/db.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace {

// A program would look at each status where it stands; here the first error ends everything.
void Check(const bedrock::Status& status) {
  if (status.ok()) return;
  std::cerr << status.ToString() << "\n";
  std::exit(1);
}

std::string Get(bedrock::DB& db, std::string_view key, const bedrock::ReadOptions& options = {}) {
  std::string value;
  const bedrock::Status status = db.Get(key, &value, options);
  if (status.IsNotFound()) return "(absent)";
  Check(status);
  return value;
}

// Single writes. Each is one commit and gives its version.
void Write(bedrock::DB& db) {
  const bedrock::Result<bedrock::Version> put = db.Put("user/1", "Ada");  // durable when it returns
  Check(put);
  std::cout << "Ada was written at version " << put->value() << "\n";
  Check(db.Put("user/2", "Grace", {.sync = bedrock::Sync::kNo}));  // survives the process only

  bedrock::WriteBatch batch;  // all or nothing, one version
  batch.Put("user/3", "Edsger");
  batch.Put("user/4", "Barbara");
  batch.Delete("user/1");
  Check(db.Write(batch));
}

// Reads without a copy, of many keys at once, and over ranges in both directions.
void Read(bedrock::DB& db) {
  bedrock::PinnedValue pinned;
  Check(db.Get("user/2", &pinned));
  std::cout << pinned.value() << " is of version " << pinned.version().value() << "\n";

  const std::string_view keys[] = {"user/1", "user/3"};
  for (const auto& answer : db.MultiGet(keys))
    std::cout << (answer.ok() ? answer->value() : "(absent)") << "\n";

  auto users = db.Scan(bedrock::PrefixRange("user/"));
  for (const auto& [key, value, version] : users) std::cout << key << " = " << value << "\n";
  Check(users.status());  // an error ends the loop early

  const auto it = db.NewIterator();
  for (it->SeekForPrev("user/3"); it->Valid(); it->Prev())
    std::cout << "back: " << it->key() << "\n";
  Check(it->status());
}

// A snapshot holds a state readable, whatever comes.
void LookBack(bedrock::DB& db) {
  const bedrock::Snapshot before = db.GetSnapshot();
  Check(db.DeleteRange("user/", "user0"));
  std::cout << "now " << Get(db, "user/2") << ", before "
            << Get(db, "user/2", {.snapshot = &before}) << "\n";
}

// Transact runs its body again where somebody else was faster.
void Transfer(bedrock::DB& db) {
  Check(db.Put("account/a", "100"));
  Check(db.Put("account/b", "0"));
  Check(db.Transact([](bedrock::Transaction& t) {
    std::string a;
    std::string b;
    if (bedrock::Status s = t.GetForUpdate("account/a", &a); !s.ok()) return s;
    if (bedrock::Status s = t.GetForUpdate("account/b", &b); !s.ok()) return s;
    if (bedrock::Status s = t.Put("account/a", std::to_string(std::stoi(a) - 30)); !s.ok())
      return s;
    return t.Put("account/b", std::to_string(std::stoi(b) + 30));
  }));
  std::cout << "a has " << Get(db, "account/a") << ", b has " << Get(db, "account/b") << "\n";
}

// A copy of the database, made while it is used, and a check of every byte.
void Care(bedrock::DB& db, const std::string& copy) {
  Check(db.Checkpoint(copy));
  Check(db.CompactRange());
  Check(db.Verify());
  std::cout << "the copy has " << Get(*bedrock::DB::Open(copy).value(), "account/b") << "; "
            << db.Stats().commits << " commits so far\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "tour";
  bedrock::Options options;
  options.memory_budget = std::size_t{64} << 20;
  auto db = bedrock::DB::Open(directory, options);
  Check(db.status());
  Write(**db);
  Read(**db);
  LookBack(**db);
  Transfer(**db);
  Care(**db, directory + ".copy");
  Check((*db)->Close());
}
