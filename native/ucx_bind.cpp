// What Python sees of the ucx fabric. Calls that wait release the interpreter lock.
#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include "held.hpp"
#include "ucx_endpoint.hpp"
#include "ucx_target.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace brickwork;

namespace {

using Released = nb::call_guard<nb::gil_scoped_release>;

nb::bytes bytes_of(const std::string& text) { return nb::bytes(text.data(), text.size()); }

nb::bytes add_region(ucx::Target& self, uint64_t id, nb::handle memory) {
  const auto held = hold_buffer(memory);
  std::string descriptor;
  {
    nb::gil_scoped_release released;
    descriptor = self.add_region(id, held->writable(), held);
  }
  return bytes_of(descriptor);
}

void make_endpoint(ucx::UcxEndpoint* self, std::shared_ptr<ucx::Context> context, const nb::bytes& descriptor,
                   double timeout_s, bool native_put, bool native_get, bool native_atomics) {
  const Capability capability{.native_put = native_put, .native_get = native_get, .native_atomics = native_atomics,
                              .needs_target_progress = !(native_put && native_get && native_atomics)};
  const std::string copy(descriptor.c_str(), descriptor.size());
  nb::gil_scoped_release released;
  new (self) ucx::UcxEndpoint(std::move(context), copy, ucx::Seconds(timeout_s), capability);
}

}  // namespace

void bind_ucx(nb::module_& m) {
  m.def("ucx_load", &ucx::load, "path"_a, "Load UCX for the life of the process. RuntimeError tells why not.");
  m.def("ucx_version", [] { return std::string(ucx::api().ucp_get_version_string()); });

  nb::class_<ucx::Context>(m, "UcxContext")
      .def(nb::init<const std::string&>(), "transports"_a = "", Released())
      .def("devices", &ucx::Context::devices, Released());

  nb::class_<ucx::Target>(m, "UcxTarget")
      .def(nb::init<std::shared_ptr<ucx::Context>>(), "context"_a, Released())
      .def("add_region", &add_region, "region_id"_a, "memory"_a, "Returns the descriptor that initiators need.")
      .def("allocate",
           [](ucx::Target& self, uint64_t id, uint64_t bytes) { return bytes_of(self.allocate(id, bytes)); },
           "region_id"_a, "bytes"_a, "Memory of UCX's own; returns its descriptor.")
      .def("memory",
           [](ucx::Target& self, uint64_t id) {
             const auto memory = self.memory(id);
             return nb::steal(PyMemoryView_FromMemory(reinterpret_cast<char*>(memory.data()),
                                                      static_cast<Py_ssize_t>(memory.size()), PyBUF_WRITE));
           }, "region_id"_a, "The bytes of a region; valid until it is removed.")
      .def("remove_region", &ucx::Target::remove_region, "region_id"_a, Released())
      .def("close", &ucx::Target::close, Released());

  nb::class_<ucx::UcxEndpoint, Endpoint>(m, "UcxEndpoint")
      .def("__init__", &make_endpoint, "context"_a, "descriptor"_a, "timeout_s"_a,
           "native_put"_a = false, "native_get"_a = false, "native_atomics"_a = false)
      .def("transports", &ucx::UcxEndpoint::transports, Released());
}
