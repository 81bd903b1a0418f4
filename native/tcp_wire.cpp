#include "tcp_wire.hpp"

#include <vector>

namespace brickwork::tcp {
namespace {

template <typename... Parts>
Digest proof(Bytes secret, char speaker, const Parts&... parts) {
  std::vector<std::byte> message = {static_cast<std::byte>(speaker)};
  const auto add = [&](Bytes bytes) { message.insert(message.end(), bytes.begin(), bytes.end()); };
  (add(std::as_bytes(std::span(&parts, 1))), ...);
  return hmac_sha256(secret, message);
}

}  // namespace

Digest initiator_proof(Bytes secret, const Hello& initiator, const Hello& target, Claim claim) {
  claim.proof = {};
  return proof(secret, 'i', initiator, target, claim);
}

Digest target_proof(Bytes secret, const Hello& initiator, const Hello& target, const Claim& claim, Verdict verdict) {
  verdict.proof = {};
  return proof(secret, 't', initiator, target, claim, verdict);
}

}  // namespace brickwork::tcp
