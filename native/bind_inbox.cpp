// Python's view of the inbox. A call that may wait releases the GIL; the others take less than a microsecond each.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "buffer.hpp"
#include "inbox.hpp"
#include "inbox_target.hpp"
#include "shm.hpp"
#include "watcher.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace brickwork;

namespace {

struct Message {
  uint64_t number, life, sequence;
  uint32_t kind;
  bool redelivered;
  nb::bytes payload;
};

Message copied(const Delivery& delivery) {
  return {delivery.number, delivery.life, delivery.sequence, delivery.kind, delivery.redelivered,
          nb::bytes(delivery.payload.data(), delivery.payload.size())};
}

// Far futures would overflow the clock's 64 bits.
nanoseconds seconds(double value) {
  return nanoseconds(static_cast<int64_t>(std::min(std::max(value, 0.0), 1e9) * 1e9));
}

nb::list receive(Consumer& consumer, size_t at_most, double timeout_s) {
  nb::list messages;
  std::optional<Delivery> delivery = consumer.poll();
  if (!delivery && timeout_s > 0) {
    const nb::gil_scoped_release released;
    delivery = consumer.receive(seconds(timeout_s));
  }
  while (delivery) {
    messages.append(copied(*delivery));
    if (nb::len(messages) >= at_most) break;
    delivery = consumer.poll();
  }
  return messages;
}

Append append(Producer& producer, uint32_t kind, nb::handle payload, double timeout_s) {
  const Buffer buffer(payload);
  if (producer.is_local()) {  // less than it costs to let go of the GIL
    const Append outcome = producer.try_append(kind, buffer.bytes());
    if (outcome != Append::full || timeout_s <= 0) return outcome;
  }
  const nb::gil_scoped_release released;
  return producer.append(kind, buffer.bytes(), seconds(timeout_s));
}

Append try_append(Producer& producer, uint32_t kind, nb::handle payload) {
  return append(producer, kind, payload, 0.0);
}

void bind_shape(nb::module_& m) {
  nb::enum_<Ring>(m, "Ring").value("lossless", Ring::lossless).value("locked", Ring::locked).value("lanes", Ring::lanes);
  nb::enum_<Append>(m, "Append")
      .value("committed", Append::committed)
      .value("full", Append::full)
      .value("too_large", Append::too_large)
      .value("fenced", Append::fenced);
  m.def("inbox_bytes", [](Ring ring, uint64_t slots, uint64_t lanes, uint64_t lane_bytes) {
    return layout_of({ring, slots, lanes, lane_bytes}).bytes();
  }, "ring"_a, "slots"_a, "lanes"_a, "lane_bytes"_a);
  m.def("format_inbox", [](const Region& region, Ring ring, uint64_t slots, uint64_t lanes, uint64_t lane_bytes,
                           uint64_t grace_min_ns, uint64_t grace_max_ns, uint64_t lock_lease_ns) {
    format_inbox(region, {ring, slots, lanes, lane_bytes}, {grace_min_ns, grace_max_ns}, lock_lease_ns);
  }, "region"_a, "ring"_a, "slots"_a, "lanes"_a, "lane_bytes"_a, "grace_min_ns"_a, "grace_max_ns"_a, "lock_lease_ns"_a);
  m.def("crc32c", [](nb::handle bytes) { return crc32c(0, Buffer(bytes).bytes()); }, "bytes"_a);
}

void bind_producer(nb::module_& m) {
  nb::class_<LaneHold>(m, "LaneHold", "One producer life's right to a lane; ends with `leave` or the process.")
      .def("__init__", [](LaneHold* self, std::shared_ptr<Region> region) { new (self) LaneHold(std::move(region)); },
           "region"_a)
      .def_prop_ro("lane", &LaneHold::lane)
      .def_prop_ro("life", &LaneHold::life)
      .def("leave", &LaneHold::leave);
  nb::class_<InboxTarget, AppendTarget>(m, "InboxTarget", "Carries out appends for remote producers.")
      .def("__init__", [](InboxTarget* self, std::shared_ptr<Region> region, double lease_s) {
        new (self) InboxTarget(std::move(region), seconds(lease_s));
      }, "region"_a, "lease_s"_a)
      .def("append", [](InboxTarget& target, uint64_t a, uint64_t b, nb::handle record) {
        return target.append(a, b, Buffer(record).bytes());
      }, "a"_a, "b"_a, "record"_a);
  nb::class_<Producer>(m, "Producer", "One producer life. Not for two threads at once.")
      .def_static("local", [](std::shared_ptr<Endpoint> endpoint, uint32_t lane, uint64_t life) {
        const nb::gil_scoped_release released;
        return std::shared_ptr<Producer>(make_producer(std::move(endpoint), lane, life));
      }, "endpoint"_a, "lane"_a, "life"_a)
      .def_static("remote", [](std::shared_ptr<Endpoint> endpoint) {
        const nb::gil_scoped_release released;
        return std::shared_ptr<Producer>(make_remote_producer(std::move(endpoint)));
      }, "endpoint"_a)
      .def("append", append, "kind"_a, "payload"_a, "timeout_s"_a)
      .def("try_append", try_append, "kind"_a, "payload"_a)
      .def("acknowledged", &Producer::acknowledged, nb::call_guard<nb::gil_scoped_release>())
      .def("reconnect", [](Producer& self, std::shared_ptr<Endpoint> endpoint) { self.reconnect(std::move(endpoint)); },
           "endpoint"_a)
      .def_prop_ro("life", &Producer::life)
      .def_prop_ro("appended", &Producer::appended)
      .def_prop_ro("skipped", &Producer::skipped);
}

void bind_consumer(nb::module_& m) {
  nb::class_<Message>(m, "Message")
      .def_ro("number", &Message::number)
      .def_ro("life", &Message::life)
      .def_ro("sequence", &Message::sequence)
      .def_ro("kind", &Message::kind)
      .def_ro("redelivered", &Message::redelivered)
      .def_ro("payload", &Message::payload);
  nb::class_<Counters>(m, "Counters")
      .def_ro("delivered", &Counters::delivered)
      .def_ro("skipped", &Counters::skipped)
      .def_ro("duplicates", &Counters::duplicates)
      .def_ro("damaged", &Counters::damaged)
      .def_ro("recycled", &Counters::recycled);
  nb::class_<Consumer>(m, "Consumer", "The one consumer of an inbox. Not for two threads at once.")
      .def_static("attach", [](std::shared_ptr<Region> region, double spin_s) {
        return std::shared_ptr<Consumer>(make_consumer(std::move(region), seconds(spin_s)));
      }, "region"_a, "spin_s"_a)
      .def("receive", receive, "at_most"_a, "timeout_s"_a)
      .def("acknowledge", &Consumer::acknowledge, "number"_a)
      .def_prop_ro("counters", &Consumer::counters)
      .def_prop_ro("epoch", &Consumer::epoch)
      .def_prop_ro("depth", &Consumer::depth);
}

}  // namespace

void bind_inbox(nb::module_& m) {
  bind_shape(m);
  bind_producer(m);
  bind_consumer(m);
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Watcher>(m, "Watcher", "A thread that sleeps on many inboxes and tells through one eventfd.")
      .def(nb::init<>())
      .def_prop_ro("fd", &Watcher::fd)
      .def("watch_consumer", [](Watcher& self, uint64_t id, std::shared_ptr<Consumer> it) { self.watch(id, it); }, "id"_a,
           "consumer"_a, Release())
      .def("watch_credit", [](Watcher& self, uint64_t id, std::shared_ptr<Producer> it) { self.watch(id, it); }, "id"_a,
           "producer"_a, Release())
      .def("forget", &Watcher::forget, "id"_a, Release())
      .def("take_ready", &Watcher::take_ready, Release());
}
