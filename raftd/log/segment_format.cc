#include "raftd/log/segment_format.h"

#include "common/codec/coding.h"
#include "common/codec/crc32c.h"

namespace bedrock::raft {
namespace {

constexpr std::uint64_t kSegmentMagic = 0x4745534C52444542;  // "BEDRLSEG"
constexpr std::uint64_t kVoteMagic = 0x45544F5652444542;     // "BEDRVOTE"
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kCrcOffset = 8;
constexpr std::size_t kCheckedOffset = 12;
constexpr std::size_t kHeaderCheckedEnd = 136;
constexpr std::size_t kSlotCheckedEnd = 88;
constexpr std::size_t kLostTermOffset = kSlotCheckedEnd;
constexpr std::size_t kLostTermCrcOffset = 96;
constexpr std::size_t kBatchEndBytes = 40;
constexpr std::size_t kNameDigits = 16;

std::uint32_t CheckedCrc(std::string_view page, std::size_t end) {
  return Crc32c(page.substr(kCheckedOffset, end - kCheckedOffset));
}

std::uint32_t LostTermCrc(std::string_view page) {
  return Crc32c(page.substr(kLostTermOffset, kLostTermCrcOffset - kLostTermOffset));
}

/// Stores one 64-bit field after the other.
class FieldWriter {
 public:
  FieldWriter(std::string& page, std::size_t offset) : at_(page.data() + offset) {}
  FieldWriter& Put(std::uint64_t value) {
    StoreFixed(at_, value);
    at_ += sizeof(value);
    return *this;
  }

 private:
  char* at_;
};

class FieldReader {
 public:
  FieldReader(std::string_view page, std::size_t offset) : at_(page.data() + offset) {}
  std::uint64_t Take() {
    const auto value = LoadFixed<std::uint64_t>(at_);
    at_ += sizeof(value);
    return value;
  }

 private:
  const char* at_;
};

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string page(kPageBytes, '\0');
  StoreFixed(page.data(), kSegmentMagic);
  StoreFixed(page.data() + kCheckedOffset, kFormat);
  FieldWriter(page, 16)
      .Put(header.cluster.value())
      .Put(header.node.value())
      .Put(header.segment)
      .Put(header.bytes)
      .Put(header.prev_index.value() + 1)
      .Put(header.prev_index.value())
      .Put(header.prev_term.value())
      .Put(header.prev_end)
      .Put(header.prev_seq)
      .Put(header.vote.term.value())
      .Put(header.vote.candidate.value())
      .Put(header.commit_hint.value())
      .Put(header.mark.value())
      .Put(header.chain | std::uint64_t{header.reset_bytes} << 32U)
      .Put(header.membership_index.value());
  StoreFixed(page.data() + kCrcOffset, CheckedCrc(page, kHeaderCheckedEnd));
  return page;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view page) {
  if (page.size() < kPageBytes) return Status::Corruption("the header is cut short");
  if (LoadFixed<std::uint64_t>(page.data()) != kSegmentMagic)
    return Status::Corruption("the header is damaged, or this is no Raft log segment");
  if (LoadFixed<std::uint32_t>(page.data() + kCrcOffset) != CheckedCrc(page, kHeaderCheckedEnd))
    return Status::Corruption("the header is damaged: bad checksum");
  const auto format = LoadFixed<std::uint32_t>(page.data() + kCheckedOffset);
  if (format != kFormat) {
    return Status::Corruption("the segment has format " + std::to_string(format) +
                              "; this program reads format " + std::to_string(kFormat));
  }
  FieldReader in(page, 16);
  SegmentHeader header;
  header.cluster = ClusterId(in.Take());
  header.node = NodeId(in.Take());
  header.segment = in.Take();
  header.bytes = in.Take();
  const std::uint64_t first_index = in.Take();
  header.prev_index = LogIndex(in.Take());
  header.prev_term = Term(in.Take());
  header.prev_end = in.Take();
  header.prev_seq = in.Take();
  header.vote.term = Term(in.Take());
  header.vote.candidate = NodeId(in.Take());
  header.commit_hint = LogIndex(in.Take());
  header.mark = LogIndex(in.Take());
  const std::uint64_t chain_and_reset = in.Take();
  header.chain = static_cast<std::uint32_t>(chain_and_reset);
  header.reset_bytes = static_cast<std::uint32_t>(chain_and_reset >> 32U);
  header.membership_index = LogIndex(in.Take());
  const bool reset_fits =
      header.resets() ? header.reset_bytes % kPageBytes == 0 &&
                            header.reset_bytes <= kSegmentBytesMax - kPageBytes &&
                            header.prev_index && header.membership_index <= header.prev_index
                      : !header.membership_index;
  const bool plausible = header.prev_index <= kIndexMax && header.commit_hint <= kIndexMax &&
                         header.mark <= kIndexMax && header.prev_end <= kSegmentBytesMax &&
                         reset_fits;
  if (first_index != header.prev_index.value() + 1 || !plausible)
    return Status::Corruption("the header contradicts itself");
  return header;
}

std::string EncodeVoteSlot(const VoteSlot& slot) {
  std::string page(kPageBytes, '\0');
  StoreFixed(page.data(), kVoteMagic);
  StoreFixed(page.data() + kCheckedOffset, kFormat);
  FieldWriter(page, 16)
      .Put(slot.cluster.value())
      .Put(slot.node.value())
      .Put(slot.seq)
      .Put(slot.vote.term.value())
      .Put(slot.vote.candidate.value())
      .Put(slot.segment)
      .Put(slot.segment_prev_index.value())
      .Put(slot.proved_index.value())
      .Put(slot.mark.value());
  StoreFixed(page.data() + kCrcOffset, CheckedCrc(page, kSlotCheckedEnd));
  StoreFixed(page.data() + kLostTermOffset, slot.lost_term.value());
  StoreFixed(page.data() + kLostTermCrcOffset, LostTermCrc(page));
  return page;
}

std::optional<VoteSlot> DecodeVoteSlot(std::string_view page) {
  if (page.size() < kSlotCheckedEnd) return std::nullopt;
  if (LoadFixed<std::uint64_t>(page.data()) != kVoteMagic) return std::nullopt;
  if (LoadFixed<std::uint32_t>(page.data() + kCrcOffset) != CheckedCrc(page, kSlotCheckedEnd))
    return std::nullopt;
  if (LoadFixed<std::uint32_t>(page.data() + kCheckedOffset) != kFormat) return std::nullopt;
  FieldReader in(page, 16);
  VoteSlot slot;
  slot.cluster = ClusterId(in.Take());
  slot.node = NodeId(in.Take());
  slot.seq = in.Take();
  slot.vote.term = Term(in.Take());
  slot.vote.candidate = NodeId(in.Take());
  slot.segment = in.Take();
  slot.segment_prev_index = LogIndex(in.Take());
  slot.proved_index = LogIndex(in.Take());
  slot.mark = LogIndex(in.Take());
  if (page.size() >= kPageBytes &&
      LoadFixed<std::uint32_t>(page.data() + kLostTermCrcOffset) == LostTermCrc(page)) {
    slot.lost_term = Term(in.Take());
  }
  const bool plausible = slot.segment_prev_index <= kIndexMax && slot.proved_index <= kIndexMax &&
                         slot.mark <= kIndexMax;
  if (!plausible) return std::nullopt;
  return slot;
}

std::string EncodeBatchEnd(BatchEnd end, std::uint32_t chain_before) {
  std::string payload;
  PutFixed(payload, end.seq);
  PutFixed(payload, end.bytes);
  PutFixed(payload, end.synced.segment);
  PutFixed(payload, end.synced.offset);
  PutFixed(payload, end.crc);
  PutFixed(payload, ExtendCrc32c(chain_before, payload));
  return payload;
}

std::optional<BatchEnd> DecodeBatchEnd(std::string_view payload) {
  if (payload.size() != kBatchEndBytes) return std::nullopt;
  BatchEnd end;
  end.seq = LoadFixed<std::uint64_t>(payload.data());
  end.bytes = LoadFixed<std::uint64_t>(payload.data() + 8);
  end.synced.segment = LoadFixed<std::uint64_t>(payload.data() + 16);
  end.synced.offset = LoadFixed<std::uint64_t>(payload.data() + 24);
  end.crc = LoadFixed<std::uint32_t>(payload.data() + 32);
  end.chain = LoadFixed<std::uint32_t>(payload.data() + 36);
  return end;
}

std::uint32_t ChainOf(std::string_view payload, std::uint32_t chain_before) {
  return ExtendCrc32c(chain_before, payload.substr(0, kBatchEndBytes - sizeof(std::uint32_t)));
}

std::string SegmentFileName(std::uint64_t number, std::string_view suffix) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string name(kNameDigits, '0');
  for (std::size_t i = kNameDigits; i-- > 0; number >>= 4) name[i] = kDigits[number & 15];
  name += suffix;
  return name;
}

std::optional<std::uint64_t> ParseSegmentFileName(std::string_view name, std::string_view suffix) {
  if (name.size() != kNameDigits + suffix.size() || name.substr(kNameDigits) != suffix)
    return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : name.substr(0, kNameDigits)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    number = number * 16 + static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return number;
}

}  // namespace bedrock::raft
