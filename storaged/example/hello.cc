// The shortest program: one transaction, one read. The database is the folder "data" where it runs.

#include <bedrock/db.h>

#include <iostream>
#include <string>

int main() {
  // clang-format off
auto db = bedrock::DB::Open("data").value();                 // Result<std::unique_ptr<DB>>; Options{} by default
auto txn = db->BeginTransaction();
txn->Put("hello", "embedded world");                         // Status: may wait for a lock, or say why not
txn->Put("status", "ok");
if (bedrock::Status s = txn->Commit(); !s.ok()) std::cerr << s.ToString();   // a rolled back or destroyed transaction leaves nothing
std::string value;
bedrock::Status s = db->Get("hello", &value);                // s.IsNotFound() where absent
  // clang-format on
  std::cout << (s.ok() ? value : s.ToString()) << "\n";
}
