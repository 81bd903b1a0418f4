// What crosses a connection of the tcp fabric. Little endian, fixed sizes, asserted below.
//
//   initiator                         target
//   Hello {version, nonce}      ->
//                               <-    Hello {version, nonce}      both refuse another version, in words
//   Claim {region, proof}       ->                                proof: HMAC of all that was said so far
//                               <-    Verdict {answer, size, proof}
//   Request [payload]           ->                                any number, executed in the order sent
//                               <-    Reply [payload]             to all but put and wake
//
// A put has no reply; that all earlier ones landed is what the reply to a flush says. A request that does not fit the
// region, or an unknown verb, ends the connection: the initiator checks before it sends, so only a broken peer sends it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "tcp_auth.hpp"

namespace brickwork::tcp {

static_assert(std::endian::native == std::endian::little, "structs go over the wire as they lie in memory");

constexpr std::array<char, 8> kMagic = {'b', 'r', 'k', 'w', '-', 't', 'c', 'p'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kMaxRecord = 1 << 20;   // bytes of one append; lanes of an inbox are smaller
constexpr uint64_t kWholeWords = 1 << 16;  // up to so many bytes a put or get moves each aligned word in one piece

struct Hello {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t zero = 0;
  Digest nonce{};
};

struct Claim {
  uint64_t region = 0;
  Digest proof{};
};

enum class Answer : uint32_t { welcome = 0, wrong_secret = 1, unknown_region = 2 };

struct Verdict {
  Answer answer = Answer::welcome;
  uint32_t zero = 0;
  uint64_t size = 0;  // bytes of the region
  Digest proof{};     // zeros with wrong_secret: a stranger gets no proof to work on
};

enum class Verb : uint32_t { put = 1, get = 2, compare_and_swap = 3, fetch_add = 4, append = 5, flush = 6, wake = 7 };

struct Request {
  Verb verb{};
  uint32_t zero = 0;
  uint64_t offset = 0;
  uint64_t length = 0;  // put, append: bytes that follow; get: bytes asked for; others: 0
  uint64_t a = 0;       // compare_and_swap: expected; fetch_add: addend; append: AppendTarget's
  uint64_t b = 0;       // compare_and_swap: desired; append: AppendTarget's
};

struct Reply {
  Verb verb{};
  uint32_t zero = 0;
  uint64_t value = 0;  // get: bytes that follow; atomics: the word as it was; append: AppendTarget's
};

static_assert(sizeof(Hello) == 48 && sizeof(Claim) == 40 && sizeof(Verdict) == 48);
static_assert(sizeof(Request) == 40 && sizeof(Reply) == 16);

// Both proofs cover all that was said before them; the first byte tells who speaks, so neither can be sent back.
Digest initiator_proof(Bytes secret, const Hello& initiator, const Hello& target, Claim claim);
Digest target_proof(Bytes secret, const Hello& initiator, const Hello& target, const Claim& claim, Verdict verdict);

}  // namespace brickwork::tcp
