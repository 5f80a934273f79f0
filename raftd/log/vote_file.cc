#include "raftd/log/vote_file.h"

#include "common/base/status_macros.h"

namespace bedrock::raft {

std::optional<Vote> NewerVote(const Vote& a, const Vote& b) {
  if (a.term != b.term) return a.term > b.term ? a : b;
  if (a.candidate == b.candidate || !b.candidate) return a;
  if (!a.candidate) return b;
  return std::nullopt;
}

Status VoteFile::Create(FileSystem& file_system, const std::string& path, VoteSlot content) {
  content.seq = 0;
  std::string both = EncodeVoteSlot(content);
  content.seq = 1;
  both += EncodeVoteSlot(content);
  return ReplaceFile(file_system, path, both);
}

Result<std::unique_ptr<VoteFile>> VoteFile::Open(FileSystem& file_system, const std::string& path) {
  ASSIGN_OR_RETURN(auto file, file_system.Open(path, FileSystem::OpenMode::kReadWrite));
  std::string both(2 * kPageBytes, '\0');
  ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, both.size(), both.data()));
  const std::string_view read = std::string_view(both).substr(0, n);
  std::optional<VoteSlot> newest;
  bool lost = false;
  for (std::uint64_t i = 0; i < 2; ++i) {
    const auto slot = DecodeVoteSlot(read.substr(std::min<std::size_t>(n, i * kPageBytes)));
    if (!slot || slot->seq % 2 != i) {
      lost = true;
    } else if (!newest || slot->seq > newest->seq) {
      newest = slot;
    }
  }
  if (!newest) {
    return Status::Corruption(path +
                              " can't be read, so this node doesn't know whom it voted for: wipe "
                              "its data and add it again under a new id");
  }
  return std::unique_ptr<VoteFile>(new VoteFile(std::move(file), *newest, lost));
}

Status VoteFile::Write(VoteSlot content) {
  content.seq = content_.seq + 1;
  RETURN_IF_ERROR(file_->WriteAt(content.seq % 2 * kPageBytes, EncodeVoteSlot(content)));
  RETURN_IF_ERROR(file_->Sync());
  content_ = content;
  return Status::Ok();
}

}  // namespace bedrock::raft
