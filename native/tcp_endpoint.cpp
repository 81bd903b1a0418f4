#include "tcp_endpoint.hpp"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace brickwork::tcp {
namespace {

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

template <typename T>
Bytes bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

template <typename T>
std::span<std::byte> writable_bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

std::string name_of(const Address& address, const std::string& host, uint16_t port) {
  const bool is_ipv6 = address.storage.ss_family == AF_INET6;
  return "tcp peer " + (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace

TcpEndpoint::TcpEndpoint(const std::string& host, uint16_t port, std::vector<std::byte> secret, uint64_t region,
                         Seconds timeout)
    : owner_pid_(getpid()), peer_(name_of(parse_address(host, port), host, port)), timeout_(timeout) {
  const auto deadline = from_now();
  connect_to(parse_address(host, port), deadline);
  greet(secret, region, deadline);
}

void TcpEndpoint::put(uint64_t offset, std::span<const std::byte> source) {
  demand_fits("put", offset, source.size(), 1);
  const Request request{.verb = Verb::put, .offset = offset, .length = source.size()};
  ask(request, source, {}, false);
}

void TcpEndpoint::get(uint64_t offset, std::span<std::byte> target) {
  demand_fits("get", offset, target.size(), 1);
  const Request request{.verb = Verb::get, .offset = offset, .length = target.size()};
  ask(request, {}, target, true);
}

uint64_t TcpEndpoint::compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) {
  demand_fits("compare_and_swap", offset, 8, 8);
  const Request request{.verb = Verb::compare_and_swap, .offset = offset, .a = expected, .b = desired};
  return ask(request, {}, {}, true);
}

uint64_t TcpEndpoint::fetch_add(uint64_t offset, uint64_t addend) {
  demand_fits("fetch_add", offset, 8, 8);
  const Request request{.verb = Verb::fetch_add, .offset = offset, .a = addend};
  return ask(request, {}, {}, true);
}

void TcpEndpoint::flush() { ask(Request{.verb = Verb::flush}, {}, {}, true); }

void TcpEndpoint::wake(uint64_t offset) {
  demand_fits("wake", offset, 4, 4);
  ask(Request{.verb = Verb::wake, .offset = offset}, {}, {}, false);
}

uint64_t TcpEndpoint::append(uint64_t a, uint64_t b, std::span<const std::byte> record) {
  if (record.size() > kMaxRecord)
    throw FabricError(Fault::out_of_range, "append: a record of " + std::to_string(record.size()) + " bytes; at most " +
                                               std::to_string(kMaxRecord) + " go over tcp");
  return ask(Request{Verb::append, 0, 0, record.size(), a, b}, record, {}, true);
}

void TcpEndpoint::fail(Fault fault, const std::string& what) const { throw FabricError(fault, peer_ + ": " + what); }

// Returns the reply's value. Whatever goes wrong on the way leaves the endpoint broken.
uint64_t TcpEndpoint::ask(const Request& request, Bytes payload, std::span<std::byte> into, bool has_reply) {
  if (getpid() != owner_pid_) fail(Fault::refused, "this endpoint was made before a fork; make one in this process");
  const auto deadline = from_now();
  const Turn turn(turns_, deadline);
  if (!turn.is_mine()) fail(Fault::timed_out, "calls of other threads took all the time");
  if (!broken_.empty()) fail(Fault::peer_lost, "this endpoint is broken, make a new one (" + broken_ + ")");
  try {
    send(bytes_of(request), payload, deadline);
    if (!has_reply) return 0;
    Reply reply;
    receive(writable_bytes_of(reply), into, deadline);
    if (reply.verb != request.verb || (request.verb == Verb::get && reply.value != request.length))
      fail(Fault::peer_lost, "it does not keep to the protocol");
    return reply.value;
  } catch (const FabricError& error) {
    broken_ = error.what();
    fd_ = Descriptor();
    throw;
  }
}

void TcpEndpoint::connect_to(const Address& address, Clock::time_point deadline) {
  const auto cannot = [this](int error) {
    fail(Fault::peer_lost, std::string("cannot connect: ") + std::strerror(error));
  };
  fd_ = Descriptor(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd_.get() < 0) cannot(errno);
  tune(fd_.get(), 2 * timeout_ + Seconds(10));  // the kernel gives up later than any call, so the call says timed_out
  if (connect(fd_.get(), address.get(), address.size) == 0) return;
  if (errno != EINPROGRESS) cannot(errno);
  if (!wait_for(fd_.get(), POLLOUT, deadline)) fail(Fault::timed_out, "no connection within the time-out");
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) cannot(error);
}

void TcpEndpoint::greet(Bytes secret, uint64_t region, Clock::time_point deadline) {
  Hello own, target;
  own.nonce = random_nonce();
  send(bytes_of(own), {}, deadline);
  receive(writable_bytes_of(target.magic), {}, deadline);
  if (target.magic != kMagic) fail(Fault::refused, "that is not a brickwork peer; is the port right?");
  receive(writable_bytes_of(target).subspan(sizeof target.magic), {}, deadline);
  if (target.version != kVersion)
    fail(Fault::refused, "it speaks version " + std::to_string(target.version) + " of the tcp fabric, this process " +
                             std::to_string(kVersion) + "; run the same release on both sides");
  claim(secret, region, own, target, deadline);
}

void TcpEndpoint::claim(Bytes secret, uint64_t region, const Hello& own, const Hello& target,
                        Clock::time_point deadline) {
  Claim claim{.region = region};
  claim.proof = initiator_proof(secret, own, target, claim);
  send(bytes_of(claim), {}, deadline);
  Verdict verdict;
  receive(writable_bytes_of(verdict), {}, deadline);
  if (verdict.answer == Answer::wrong_secret ||
      !equal_constant_time(verdict.proof, target_proof(secret, own, target, claim, verdict)))
    fail(Fault::refused, "the secrets differ; give both sides the same one");
  if (verdict.answer != Answer::welcome)
    fail(Fault::refused, "it has no region " + std::to_string(region) + "; its process may have started anew");
  size_ = verdict.size;
}

void TcpEndpoint::send(Bytes head, Bytes payload, Clock::time_point deadline) {
  while (!head.empty() || !payload.empty()) {
    iovec parts[2] = {{const_cast<std::byte*>(head.data()), head.size()},
                      {const_cast<std::byte*>(payload.data()), payload.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0 && !would_block())
      fail(Fault::peer_lost, std::string("the connection was cut: ") + std::strerror(errno));
    if (sent < 0) {
      if (!wait_for(fd_.get(), POLLOUT, deadline))
        fail(Fault::timed_out, "it took not all bytes within the time-out");
      continue;
    }
    const size_t of_head = std::min(static_cast<size_t>(sent), head.size());
    head = head.subspan(of_head);
    payload = payload.subspan(static_cast<size_t>(sent) - of_head);
  }
}

void TcpEndpoint::receive(std::span<std::byte> head, std::span<std::byte> payload, Clock::time_point deadline) {
  while (!head.empty() || !payload.empty()) {
    const iovec parts[2] = {{head.data(), head.size()}, {payload.data(), payload.size()}};
    const ssize_t got = readv(fd_.get(), parts, 2);
    if (got == 0) fail(Fault::peer_lost, "it closed the connection");
    if (got < 0 && !would_block())
      fail(Fault::peer_lost, std::string("the connection was cut: ") + std::strerror(errno));
    if (got < 0) {
      if (!wait_for(fd_.get(), POLLIN, deadline)) fail(Fault::timed_out, "no reply within the time-out");
      continue;
    }
    const size_t of_head = std::min(static_cast<size_t>(got), head.size());
    head = head.subspan(of_head);
    payload = payload.subspan(static_cast<size_t>(got) - of_head);
  }
}

}  // namespace brickwork::tcp
