#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/record/record_format.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

// The Raft log on disk.
//
//   LOCK                           held by the process that has the log open
//   vote                           two slots, below
//   members                        who takes part (membership_file.h)
//   log/SSSSSSSSSSSSSSSS.seg       a segment in use; S: its number in hex, ascending without a gap
//   log/NNNNNNNNNNNNNNNN.spare     zero-filled or recycled, of full size, synced; N means nothing
//   log/NNNNNNNNNNNNNNNN.tmp       a spare, or a reset's segment, in the making; removed at open
//
// A segment:
//
//   0      header, one page (4 KiB), below; it is synced before the file gets its name
//   4096   batch, batch, …: each starts at a page, is padded with zeroes to a page, is written by
//   one
//          WriteAt and made durable by one Sync
//   …      zeroes, or in a recycled file what it held before. Records carry the segment's number as
//          their `stream`, so leftovers never parse.
//
// A batch is records (common/record), the last of them END:
//
//   type     ordinal       aux                     payload
//   ENTRY 1  index         term                    fixed64 time_ms, u8 kind, the entry's bytes
//   VOTE  2  candidate     term                    -
//   CUT   3  first gone    term of the one before  -        entries from `first gone` on are gone
//   MARK  4  index         term                    -        nobody needs entries up to here
//            or, in the first batch of a reset:    fixed64 membership index, the configuration
//   HINT  5  commit index  0                       -        a lower bound, when it was written
//   END   6  last index    last term               fixed64 seq            counts batches, all
//   segments
//                                                  fixed64 bytes          of the batch before END
//                                                  fixed64 synced segment everything before this
//                                                  fixed64 synced offset  position was durable
//                                                                         when the batch was
//                                                                         written
//                                                  fixed32 crc            of the batch before END
//                                                  fixed32 chain          CRC-32C of this payload
//                                                  up
//                                                                         to here, continuing the
//                                                                         chain of the batch before
//
// The segment header (little-endian; the rest of the page is zero):
//
//   0  8 magic            32  8 segment number   64  8 previous term      96  8 vote's candidate
//   8  4 crc of 12..135   40  8 file's bytes     72  8 previous seg. end  104 8 commit hint
//   12 4 format           48  8 first index      80  8 previous batch seq 112 8 mark
//   16 8 cluster          56  8 previous index   88  8 vote's term        120 4 chain
//   24 8 node                                                             124 4 reset bytes
//                                                                         128 8 membership index
//
// Where "reset bytes" is not 0, a snapshot took the place of the whole log: it begins anew behind
// the previous index and term, and nothing of an older segment counts. The first batch is of so
// many bytes, holds a MARK with the configuration in effect, which came with entry "membership
// index", and was synced together with the header before the file got its name: the rename is the
// reset.
//
// "first index" is where this segment's entries begin unless a CUT in it goes lower; it is
// `previous index` + 1.
//
// The vote file is two such slots at 0 and 4096; slot `seq % 2` is the one written:
//
//   0  8 magic            16 8 cluster   40  8 vote's term        64 8 index before that segment
//   8  4 crc of 12..87    24 8 node      48  8 vote's candidate   72 8 proved index
//   12 4 format           32 8 seq       56  8 newest segment     80 8 mark
//   88 8 lost term        96 4 crc of 88..95
//
// Where that second crc is wrong, as in files of older releases, the lost term is not known.

inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kSegmentBytesMin = 4 * kPageBytes;
/// No segment file is larger: what is, isn't ours.
inline constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{1} << 30;
inline constexpr std::size_t kEntryPrefixBytes = 9;  ///< time_ms and kind before an entry's bytes.
/// No index is higher: what claims to be is no log of ours.
inline constexpr LogIndex kIndexMax(std::uint64_t{1} << 56);
/// No entry's bytes are more: some entries have to fit the memory of a node at once.
inline constexpr std::size_t kEntryBytesMax = (std::size_t{64} << 20) - kEntryPrefixBytes;
static_assert(kEntryBytesMax + kEntryPrefixBytes <= record::kPayloadBytesMax);
/// What the smallest ENTRY takes: bounds how many entries damaged bytes can have held.
inline constexpr std::uint64_t kEntryRecordBytesMin = record::EncodedSize(kEntryPrefixBytes);

enum class RecordType : std::uint8_t {
  kEntry = 1,
  kVote = 2,
  kCut = 3,
  kMark = 4,
  kHint = 5,
  kEnd = 6,
};

/// A place in the stream of segments.
struct Position {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;

  friend auto operator<=>(const Position&, const Position&) = default;
};

struct SegmentHeader {
  ClusterId cluster;
  NodeId node;
  std::uint64_t segment = 0;
  std::uint64_t bytes = 0;  ///< The file's size.
  LogIndex prev_index;      ///< The last entry when the segment was begun.
  Term prev_term;
  std::uint64_t prev_end = 0;  ///< Where the segment before ends: all of it was durable.
  std::uint64_t prev_seq = 0;  ///< The batch before.
  Vote vote;
  LogIndex commit_hint;
  LogIndex mark;
  std::uint32_t chain = 0;
  std::uint32_t reset_bytes = 0;  ///< 0: the segment continues the one before.
  LogIndex membership_index = {};

  bool resets() const { return reset_bytes > 0; }

  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

/// What END says, without its ordinal and aux.
struct BatchEnd {
  std::uint64_t seq = 0;
  std::uint64_t bytes = 0;
  Position synced;
  std::uint32_t crc = 0;
  std::uint32_t chain = 0;

  friend bool operator==(const BatchEnd&, const BatchEnd&) = default;
};

/// One slot of the vote file.
struct VoteSlot {
  ClusterId cluster;
  NodeId node;
  std::uint64_t seq = 0;
  Vote vote = {};
  std::uint64_t segment = 0;         ///< The newest segment; 0: none was ever begun.
  LogIndex segment_prev_index = {};  ///< Its SegmentHeader::prev_index.
  LogIndex proved_index = {};        ///< Entries up to here were durable and are never cut.
  LogIndex mark = {};
  Term lost_term = {};  ///< No entry up to proved_index that is lost was newer; 0: not known.

  friend bool operator==(const VoteSlot&, const VoteSlot&) = default;
};

/// One page.
std::string EncodeSegmentHeader(const SegmentHeader& header);
/// corruption where `page` isn't a whole, valid header of a format this code knows.
Result<SegmentHeader> DecodeSegmentHeader(std::string_view page);

/// One page.
std::string EncodeVoteSlot(const VoteSlot& slot);
/// None where `page` isn't a whole, valid slot.
std::optional<VoteSlot> DecodeVoteSlot(std::string_view page);

/// END's payload with `end.chain` worked out from the chain before.
std::string EncodeBatchEnd(BatchEnd end, std::uint32_t chain_before);
std::optional<BatchEnd> DecodeBatchEnd(std::string_view payload);
/// What END's chain must be if `payload` follows a batch whose chain was `chain_before`.
/// REQUIRES: DecodeBatchEnd takes the payload.
std::uint32_t ChainOf(std::string_view payload, std::uint32_t chain_before);

/// "000000000000002a.seg" for (42, ".seg").
std::string SegmentFileName(std::uint64_t number, std::string_view suffix);
/// 42 for ("000000000000002a.seg", ".seg"); none for any other shape.
std::optional<std::uint64_t> ParseSegmentFileName(std::string_view name, std::string_view suffix);
inline constexpr std::string_view kSegmentSuffix = ".seg";
inline constexpr std::string_view kSpareSuffix = ".spare";
inline constexpr std::string_view kTemporarySuffix = ".tmp";

/// The next multiple of a page.
constexpr std::uint64_t PageAligned(std::uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

}  // namespace bedrock::raft
