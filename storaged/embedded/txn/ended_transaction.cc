#include "storaged/embedded/txn/ended_transaction.h"

#include <string>
#include <utility>

#include "storaged/engine/read/iterator.h"

namespace bedrock::embedded {
namespace {

class EndedTransaction final : public Transaction {
 public:
  explicit EndedTransaction(Status why) : why_(std::move(why)) {}

  Status Get(std::string_view /*key*/, std::string* /*value*/) override { return why_; }
  Status GetForUpdate(std::string_view /*key*/, std::string* /*value*/) override { return why_; }
  Status Put(std::string_view /*key*/, std::string_view /*value*/) override { return why_; }
  Status Delete(std::string_view /*key*/) override { return why_; }
  Status DeleteRange(std::string_view /*begin*/, std::string_view /*end*/) override { return why_; }
  std::unique_ptr<Iterator> NewIterator(Range /*bounds*/) override {
    return engine::NewFailedIterator(why_);
  }
  void SetSavepoint() override {}
  Status RollbackToSavepoint() override { return why_; }
  Result<Version> Commit() override { return why_; }
  void Rollback() override {}

 private:
  const Status why_;
};

}  // namespace

std::unique_ptr<Transaction> NewEndedTransaction(Status why) {
  return std::make_unique<EndedTransaction>(std::move(why));
}

}  // namespace bedrock::embedded
