// How two ends of the tcp fabric prove that they know one secret without saying it: HMAC-SHA256 over both nonces.
//
// Written here and not taken from a library because the progress thread must never wait for Python's interpreter lock
// (hmac) and the package links nothing (OpenSSL). The tests hold it against published vectors and Python's hmac.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace brickwork::tcp {

using Digest = std::array<std::byte, 32>;
using Bytes = std::span<const std::byte>;

Digest sha256(Bytes message);
Digest hmac_sha256(Bytes key, Bytes message);

// Takes the same time whichever bytes differ, so that a proof cannot be guessed byte by byte.
bool equal_constant_time(const Digest& left, const Digest& right);

// 32 bytes from the kernel's random source. Throws std::system_error.
Digest random_nonce();

}  // namespace brickwork::tcp
