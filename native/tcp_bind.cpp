// What Python sees of the tcp fabric. Calls that wait release the interpreter lock.
#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <system_error>

#include "held.hpp"
#include "tcp_endpoint.hpp"
#include "tcp_target.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace brickwork;

namespace {

std::vector<std::byte> vector_of(const nb::bytes& bytes) {
  const auto* data = static_cast<const std::byte*>(bytes.data());
  return {data, data + bytes.size()};
}

nb::bytes bytes_of(const tcp::Digest& digest) { return nb::bytes(digest.data(), digest.size()); }

tcp::Bytes span_of(const nb::bytes& bytes) { return {static_cast<const std::byte*>(bytes.data()), bytes.size()}; }

void make_target(tcp::Target* self, const std::string& host, uint16_t port, const nb::bytes& secret, double hello_s,
                 double stall_s) {
  tcp::Limits limits;
  limits.hello = tcp::Seconds(hello_s);
  limits.stall = tcp::Seconds(stall_s);
  try {
    new (self) tcp::Target(host, port, vector_of(secret), limits);
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, (host + ":" + std::to_string(port)).c_str());
    throw nb::python_error();
  }
}

void make_endpoint(tcp::TcpEndpoint* self, const std::string& host, uint16_t port, const nb::bytes& secret,
                   uint64_t region, double timeout_s) {
  auto copy = vector_of(secret);
  nb::gil_scoped_release released;
  new (self) tcp::TcpEndpoint(host, port, std::move(copy), region, tcp::Seconds(timeout_s));
}

void add_region(tcp::Target& self, uint64_t id, nb::handle memory, std::shared_ptr<AppendTarget> append) {
  const auto held = hold_buffer(memory);
  nb::gil_scoped_release released;
  self.add_region(id, {held->writable(), std::move(append), held});
}

}  // namespace

void bind_tcp(nb::module_& m) {
  using Released = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<tcp::Target>(m, "TcpTarget", "One thread that carries out on this process's regions what peers ask for.")
      .def("__init__", &make_target, "host"_a, "port"_a, "secret"_a, "hello_s"_a = 5.0, "stall_s"_a = 30.0)
      .def_prop_ro("port", &tcp::Target::port)
      .def("add_region", &add_region, "region_id"_a, "memory"_a, "append"_a = nb::none(),
           "Lets peers reach `memory`, a writable buffer, which is held until the region is removed.")
      .def("remove_region", &tcp::Target::remove_region, "region_id"_a, Released(),
           "When it returns, nothing that a peer sent can touch the region any more.")
      .def("counts",
           [](const tcp::Target& self) {
             const auto& counts = self.counts();
             return nb::make_tuple(counts.accepted.load(), counts.refused.load(), counts.ended.load());
           }, "Connections so far: accepted, refused, ended.")
      .def("close", &tcp::Target::close, Released());

  nb::class_<tcp::TcpEndpoint, Endpoint>(m, "TcpEndpoint")
      .def("__init__", &make_endpoint, "host"_a, "port"_a, "secret"_a, "region_id"_a, "timeout_s"_a);

  m.def("tcp_sha256", [](const nb::bytes& message) { return bytes_of(tcp::sha256(span_of(message))); });
  m.def("tcp_hmac_sha256", [](const nb::bytes& key, const nb::bytes& message) {
    return bytes_of(tcp::hmac_sha256(span_of(key), span_of(message)));
  });
  m.attr("TCP_VERSION") = tcp::kVersion;
}
