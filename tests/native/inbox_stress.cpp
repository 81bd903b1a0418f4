// Threads instead of processes, so that the thread sanitizer sees every access: producers that come and go and a
// consumer that starts again, on a ring so small that it wraps all the time. Ends with 0 when every record came whole,
// in order and once, and the sanitizer had nothing to say.
//
// The locked ring is not run here: its races are what it is.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "inbox_target.hpp"
#include "shm.hpp"

using namespace brickwork;

namespace {

constexpr int kProducers = 3;
constexpr int kLivesEach = 4;
constexpr uint64_t kRecords = 250;
constexpr auto kPatience = std::chrono::seconds(60);

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "inbox_stress: %s\n", what);
  std::abort();
}

std::vector<std::byte> payload_of(uint64_t life, uint64_t sequence) {
  std::vector<std::byte> payload(16 + (life * 31 + sequence * 17) % 300, static_cast<std::byte>(life + sequence));
  std::memcpy(payload.data(), &life, 8);
  std::memcpy(payload.data() + 8, &sequence, 8);
  return payload;
}

std::unique_ptr<LaneHold> take_lane(const std::shared_ptr<const Region>& region) {
  for (const auto until = Clock::now() + kPatience; Clock::now() < until; std::this_thread::yield()) try {
      return std::make_unique<LaneHold>(region);
    } catch (const FabricError&) {  // the consumer has not given one back yet
    }
  require(false, "no lane came free");
  return nullptr;
}

void produce(const std::shared_ptr<const Region>& region) {
  for (int i = 0; i < kLivesEach; ++i) {
    const auto hold = take_lane(region);
    const auto producer = make_producer(std::make_shared<ShmEndpoint>(region), hold->lane(), hold->life());
    for (uint64_t sequence = 0; sequence < kRecords; ++sequence)
      require(producer->append(7, payload_of(hold->life(), sequence), kPatience) == Append::committed, "no credit");
  }
}

void handle(const Delivery& delivery, std::map<uint64_t, uint64_t>& handled) {
  const auto expected = payload_of(delivery.life, delivery.sequence);
  require(delivery.payload.size() == expected.size() &&
              std::memcmp(delivery.payload.data(), expected.data(), expected.size()) == 0, "torn");
  uint64_t& next = handled[delivery.life];
  require(delivery.sequence <= next, "a gap");
  require(delivery.sequence == next || delivery.redelivered, "twice");
  next = std::max(next, delivery.sequence + 1);
}

void consume(const std::shared_ptr<const Region>& region) {
  std::mt19937 random(1);
  std::map<uint64_t, uint64_t> handled;
  uint64_t total = 0;
  while (total < kProducers * kLivesEach * kRecords) {
    const auto consumer = make_consumer(region, std::chrono::microseconds(1));
    for (int left = static_cast<int>(random() % 500) + 20; left > 0; --left) {
      const auto delivery = consumer->receive(std::chrono::milliseconds(1));
      if (!delivery) continue;
      handle(*delivery, handled);
      if (random() % 4 != 0) consumer->acknowledge(delivery->number);
    }
    total = 0;
    for (const auto& [life, next] : handled) total += next;
  }
}

void run(Ring ring) {
  const Shape shape{ring, 8, kProducers, 1024};
  const int fd = Region::create(layout_of(shape).bytes());
  const auto region = std::make_shared<const Region>(fd);
  close(fd);
  format_inbox(*region, shape, {200'000, 100'000'000}, 5'000'000);  // a short grace: skips happen
  std::vector<std::thread> threads;
  for (int i = 0; i < kProducers; ++i) threads.emplace_back(produce, region);
  consume(region);
  for (auto& thread : threads) thread.join();
}

}  // namespace

int main() {
  run(Ring::lossless);
  run(Ring::lanes);
  std::puts("ok");
}
