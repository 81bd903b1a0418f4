// Which class serves which ring.
#include "lanes.hpp"
#include "locked.hpp"
#include "lossless.hpp"

namespace brickwork {

std::unique_ptr<Producer> make_producer(std::shared_ptr<Endpoint> endpoint, uint32_t lane, uint64_t life) {
  const Layout layout = read_layout(*endpoint);
  if (lane >= layout.shape.lanes)
    throw std::invalid_argument("lane: " + std::to_string(lane) + " of " + std::to_string(layout.shape.lanes));
  switch (layout.shape.ring) {
    case Ring::locked:
      return std::make_unique<LockedProducer>(std::move(endpoint), layout, lane, life);
    case Ring::lanes:
      return std::make_unique<LanesProducer>(std::move(endpoint), layout, lane, life);
    default:
      return std::make_unique<LosslessProducer>(std::move(endpoint), layout, lane, life);
  }
}

std::unique_ptr<Consumer> make_consumer(std::shared_ptr<const Region> region, nanoseconds spin) {
  switch (read_layout(*region).shape.ring) {
    case Ring::locked:
      return std::make_unique<LockedConsumer>(std::move(region), spin);
    case Ring::lanes:
      return std::make_unique<LanesConsumer>(std::move(region), spin);
    default:
      return std::make_unique<LosslessConsumer>(std::move(region), spin);
  }
}

}  // namespace brickwork
