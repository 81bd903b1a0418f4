#include "tcp_connection.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "region.hpp"
#include "tcp_copy.hpp"

namespace brickwork::tcp {
namespace {

constexpr size_t kStrangerInput = sizeof(Hello) + sizeof(Claim);
constexpr size_t kInput = kWholeWords + sizeof(Request);
constexpr size_t kTurn = 4 << 20;  // bytes of one turn: others wait about a millisecond for it

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Connection::Connection(Descriptor fd, const Realm& realm) : fd_(std::move(fd)), realm_(realm), input_(kStrangerInput) {
  target_.nonce = random_nonce();
  tune(fd_.get(), realm.limits.stall);
}

Connection::Wants Connection::serve() {
  wants_ = serve_turn();
  return wants_;
}

Connection::Wants Connection::serve_turn() {
  size_t budget = kTurn;
  bool drained = false;
  while (true) {
    if (!send_owed(budget)) return Wants::output;
    if (phase_ == Phase::refused) throw Ended("refused");
    if (bulk_.empty() && step()) continue;
    if (drained || budget == 0) return Wants::input;
    drained = !receive(budget);
  }
}

Clock::time_point Connection::deadline() const {
  const bool is_between_requests = begin_ == end_ && bulk_.empty() && owed_head_.empty() && owed_.empty();
  if (is_stranger()) return moved_ + std::chrono::ceil<Clock::duration>(realm_.limits.hello);
  if (is_between_requests) return Clock::time_point::max();
  return moved_ + std::chrono::ceil<Clock::duration>(realm_.limits.stall);
}

// False: more is owed than the socket takes now, or than one turn allows.
bool Connection::send_owed(size_t& budget) {
  while (!owed_head_.empty() || !owed_.empty()) {
    if (budget == 0) return false;
    iovec parts[2] = {{const_cast<std::byte*>(owed_head_.data()), owed_head_.size()},
                      {const_cast<std::byte*>(owed_.data()), owed_.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0 && would_block()) return false;
    if (sent < 0) throw Ended("send failed");
    const size_t of_head = std::min(static_cast<size_t>(sent), owed_head_.size());
    owed_head_ = owed_head_.subspan(of_head);
    owed_ = owed_.subspan(static_cast<size_t>(sent) - of_head);
    budget -= std::min(budget, static_cast<size_t>(sent));
    if (!is_stranger()) moved_ = Clock::now();
  }
  return true;
}

// False: the socket holds nothing more now.
bool Connection::receive(size_t& budget) {
  if (begin_ > 0) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const size_t of_bulk = std::min(bulk_.size(), budget);
  const size_t of_input = of_bulk < bulk_.size() ? 0 : input_.size() - end_;
  iovec parts[2] = {{bulk_.data(), of_bulk}, {input_.data() + end_, of_input}};
  const ssize_t got = readv(fd_.get(), parts, 2);
  if (got < 0 && would_block()) return false;
  if (got <= 0) throw Ended(got == 0 ? "closed by the peer" : "receive failed");
  const size_t size = static_cast<size_t>(got), into_bulk = std::min(size, of_bulk);
  bulk_ = bulk_.subspan(into_bulk);
  end_ += size - into_bulk;
  budget -= std::min(budget, size);
  if (!is_stranger()) moved_ = Clock::now();  // a stranger's time runs from accept, however slowly it speaks
  if (of_bulk > 0 && bulk_.empty() && current_.verb == Verb::append) append(current_, record_);
  return size == of_bulk + of_input;
}

template <typename T>
bool Connection::take(T& value) {
  if (end_ - begin_ < sizeof value) return false;
  std::memcpy(static_cast<void*>(&value), input_.data() + begin_, sizeof value);
  begin_ += sizeof value;
  return true;
}

template <typename T>
void Connection::owe(const T& value, Bytes payload) {
  static_assert(sizeof value <= sizeof head_);
  std::memcpy(head_.data(), &value, sizeof value);
  owed_head_ = Bytes(head_).first(sizeof value);
  owed_ = payload;
}

// Consumes one message that is complete in the buffer. False: none is.
bool Connection::step() {
  if (phase_ == Phase::hello) {
    Hello hello;
    if (!take(hello)) return false;
    meet(hello);
    return true;
  }
  if (phase_ == Phase::claim) {
    Claim claim;
    if (!take(claim)) return false;
    judge(claim);
    return true;
  }
  Request request;
  if (!take(request)) return false;
  if (begin(request)) return true;
  begin_ -= sizeof request;  // its payload is not complete
  return false;
}

void Connection::meet(const Hello& initiator) {
  if (initiator.magic != kMagic) throw Ended("not a brickwork peer");
  initiator_ = initiator;
  owe(target_);  // another version hears ours, so that it can tell both
  phase_ = initiator.version == kVersion ? Phase::claim : Phase::refused;
}

void Connection::judge(const Claim& claim) {
  Verdict verdict;
  const auto found = realm_.regions.find(claim.region);
  if (!equal_constant_time(claim.proof, initiator_proof(realm_.secret, initiator_, target_, claim))) {
    verdict.answer = Answer::wrong_secret;
  } else {
    verdict.answer = found == realm_.regions.end() ? Answer::unknown_region : Answer::welcome;
    verdict.size = found == realm_.regions.end() ? 0 : found->second.memory.size();
    verdict.proof = target_proof(realm_.secret, initiator_, target_, claim, verdict);
  }
  owe(verdict);
  phase_ = Phase::refused;
  if (verdict.answer != Answer::welcome) return;
  phase_ = Phase::serving;
  region_id_ = claim.region;
  region_ = &found->second;
  input_.resize(kInput);
  moved_ = Clock::now();
}

// Throws when `request` does not fit; the sums cannot overflow.
void Connection::demand_fits(const Request& request) const {
  uint64_t length = 0, alignment = 1;
  switch (request.verb) {
    case Verb::flush: return;
    case Verb::append:
      if (region_->append == nullptr || request.length > kMaxRecord) throw Ended("an append that cannot be");
      return;
    case Verb::put:
    case Verb::get: length = request.length; break;
    case Verb::compare_and_swap:
    case Verb::fetch_add: length = alignment = 8; break;
    case Verb::wake: length = alignment = 4; break;
    default: throw Ended("an unknown verb");
  }
  const uint64_t size = region_->memory.size();
  if (request.offset > size || length > size - request.offset) throw Ended("beyond the region");
  if (reinterpret_cast<uintptr_t>(at(request.offset)) % alignment != 0) throw Ended("not aligned");
}

// Starts or completes `request`. False: its payload is small and not all here yet.
bool Connection::begin(const Request& request) {
  demand_fits(request);
  if (request.verb == Verb::put || request.verb == Verb::append) return begin_payload(request);
  execute(request);
  return true;
}

bool Connection::begin_payload(const Request& request) {
  const size_t here = end_ - begin_, length = request.length;
  if (length <= kWholeWords) {
    if (here < length) return false;
    const Bytes payload = Bytes(input_).subspan(begin_, length);
    begin_ += length;
    if (request.verb == Verb::put) copy_in(at(request.offset), payload.data(), length);
    if (request.verb == Verb::append) append(request, payload);
    return true;
  }
  if (request.verb == Verb::append) record_.resize(length);
  current_ = request;
  bulk_ = request.verb == Verb::put ? std::span(at(request.offset), length) : std::span(record_);
  std::memcpy(bulk_.data(), input_.data() + begin_, here);  // here <= kWholeWords < length
  bulk_ = bulk_.subspan(here);
  begin_ = end_;
  return true;
}

void Connection::append(const Request& request, Bytes record) {
  owe(Reply{Verb::append, 0, region_->append->append(request.a, request.b, record)});
  record_ = {};
}

// The atomics are sequentially consistent, like all of the CPU's domain that the owner and peers on shm use.
void Connection::execute(const Request& request) {
  const auto word = [&] { return std::atomic_ref(*reinterpret_cast<uint64_t*>(at(request.offset))); };
  switch (request.verb) {
    case Verb::get: {
      Bytes source(at(request.offset), request.length);
      if (source.size() <= kWholeWords) {
        staged_.resize(source.size());
        copy_out(staged_.data(), at(request.offset), source.size());
        source = staged_;
      }
      return owe(Reply{request.verb, 0, request.length}, source);
    }
    case Verb::compare_and_swap: {
      uint64_t was = request.a;
      word().compare_exchange_strong(was, request.b);
      return owe(Reply{request.verb, 0, was});
    }
    case Verb::fetch_add: return owe(Reply{request.verb, 0, word().fetch_add(request.a)});
    case Verb::wake: return futex_wake(at(request.offset));
    default:  // flush: earlier puts were carried out before it was read
      std::atomic_thread_fence(std::memory_order_seq_cst);
      return owe(Reply{request.verb, 0, 0});
  }
}

}  // namespace brickwork::tcp
