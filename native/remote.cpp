// A producer whose appends are carried out at the target: one round trip each, and an answer that was lost is asked for
// again, over a new connection too.
#include <algorithm>
#include <cstring>
#include <vector>

#include "inbox_target.hpp"
#include "lane.hpp"

namespace brickwork {

namespace {

class RemoteProducer final : public Producer {
 public:
  explicit RemoteProducer(std::shared_ptr<Endpoint> endpoint)
      : Producer(0), endpoint_(std::move(endpoint)), layout_(read_layout(*endpoint_)) {
    const uint64_t granted = call(RemoteCall::join, 0, {});
    if (granted == 0)
      throw FabricError(Fault::refused, "inbox: all its lanes are held; wait until dead producers' are given back");
    life_ = granted >> 16;
    lane_ = granted & 0xFFFF;
  }

  ~RemoteProducer() override {
    try {
      call(RemoteCall::leave, 0, {});
    } catch (const FabricError&) {  // then the session's lease ends it
    }
  }

  Append try_append(uint32_t kind, std::span<const std::byte> payload) override {
    const auto outcome = static_cast<Append>(call(RemoteCall::append, kind, payload));
    if (outcome == Append::committed) ++sequence_;
    return outcome;
  }

  void wait_for_credit(nanoseconds at_most) override {
    endpoint_->wait(kFreed, static_cast<uint32_t>(get_word(*endpoint_, kFreed)), at_most);
  }

  // In this order: a life that is still this one afterwards had the lane before.
  uint64_t acknowledged() override {
    const uint64_t entry = layout_.lane_entry(lane_), acknowledged = get_word(*endpoint_, entry + kLaneAcknowledged);
    if (get_word(*endpoint_, entry + kLaneLife) != life_)
      throw FabricError(Fault::refused, "inbox: this life was fenced; unknown what became of its last records");
    return acknowledged;
  }

  void reconnect(std::shared_ptr<Endpoint> endpoint) override { endpoint_ = std::move(endpoint); }

 private:
  uint64_t call(RemoteCall::Verb verb, uint32_t kind, std::span<const std::byte> payload) {
    const RemoteCall call{verb, kind};
    record_.resize(sizeof call + payload.size());
    std::memcpy(record_.data(), &call, sizeof call);
    std::copy(payload.begin(), payload.end(), record_.begin() + sizeof call);
    return endpoint_->append(life_, sequence_, record_);
  }

  std::shared_ptr<Endpoint> endpoint_;
  const Layout layout_;
  uint64_t lane_ = 0;
  std::vector<std::byte> record_;
};

}  // namespace

std::unique_ptr<Producer> make_remote_producer(std::shared_ptr<Endpoint> endpoint) {
  return std::make_unique<RemoteProducer>(std::move(endpoint));
}

}  // namespace brickwork
