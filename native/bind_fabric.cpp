// Python's view of regions, endpoints and their errors. Every verb releases the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include "buffer.hpp"
#include "shm.hpp"

namespace nb = nanobind;
using namespace brickwork;

namespace {

PyObject* fabric_error = nullptr;  // the Python class; lives as long as the interpreter

const char* name_of(Fault fault) {
  switch (fault) {
    case Fault::peer_lost: return "peer_lost";
    case Fault::timed_out: return "timed_out";
    case Fault::out_of_range: return "out_of_range";
    case Fault::refused: return "refused";
  }
  return "unknown";
}

void translate(const std::exception_ptr& thrown, void*) try {
  std::rethrow_exception(thrown);
} catch (const FabricError& error) {
  nb::object raised = nb::borrow(fabric_error)(error.what());
  raised.attr("fault") = name_of(error.fault);
  PyErr_SetObject(fabric_error, raised.ptr());
}

void bind_region(nb::module_& m) {
  nb::class_<Region>(m, "Region", "Memory shared by file descriptor; all of the file is mapped.")
      .def_static("create", &Region::create, nb::arg("bytes"), "A new memfd of zeros; the caller closes it.")
      .def(nb::init<int>(), nb::arg("fd"))
      .def_prop_ro("fd", &Region::fd)
      .def("__len__", &Region::size)
      .def("view", [](Region& region) {
        return nb::steal(PyMemoryView_FromMemory(reinterpret_cast<char*>(region.at(0)),
                                                 static_cast<Py_ssize_t>(region.size()), PyBUF_WRITE));
      }, "The bytes, writable. Keep the region for as long as the view is used.");
}

void bind_endpoint(nb::module_& m) {
  nb::class_<Capability>(m, "Capability", "What a fabric can do, found by a test with the target asleep.")
      .def_ro("native_put", &Capability::native_put)
      .def_ro("native_get", &Capability::native_get)
      .def_ro("native_atomics", &Capability::native_atomics)
      .def_ro("needs_target_progress", &Capability::needs_target_progress)
      .def_ro("composite_append", &Capability::composite_append);
  nb::class_<AppendTarget>(m, "AppendTarget", "What a software fabric's target calls for `append`.");
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Endpoint>(m, "Endpoint", "Somebody's way to one region of a peer: the verbs.")
      .def_prop_ro("capability", &Endpoint::capability)
      .def("__len__", &Endpoint::size)
      .def("put", [](Endpoint& endpoint, uint64_t offset, nb::handle source) {
        const Buffer buffer(source);
        const nb::gil_scoped_release released;
        endpoint.put(offset, buffer.bytes());
      }, nb::arg("offset"), nb::arg("source"))
      .def("get", [](Endpoint& endpoint, uint64_t offset, nb::handle target) {
        const Buffer buffer(target, PyBUF_WRITABLE);
        const nb::gil_scoped_release released;
        endpoint.get(offset, buffer.writable());
      }, nb::arg("offset"), nb::arg("target"))
      .def("compare_and_swap", &Endpoint::compare_and_swap, nb::arg("offset"), nb::arg("expected"), nb::arg("desired"),
           Release())
      .def("fetch_add", &Endpoint::fetch_add, nb::arg("offset"), nb::arg("addend"), Release())
      .def("flush", &Endpoint::flush, Release())
      .def("wake", &Endpoint::wake, nb::arg("offset"), Release())
      .def("append", [](Endpoint& endpoint, uint64_t a, uint64_t b, nb::handle record) {
        const Buffer buffer(record);
        const nb::gil_scoped_release released;
        return endpoint.append(a, b, buffer.bytes());
      }, nb::arg("a"), nb::arg("b"), nb::arg("record"));
  nb::class_<ShmEndpoint, Endpoint>(m, "ShmEndpoint", "The verbs on a region that this process maps itself.")
      .def("__init__", [](ShmEndpoint* self, std::shared_ptr<Region> region) {
        new (self) ShmEndpoint(std::move(region));
      }, nb::arg("region"));
}

}  // namespace

void bind_fabric(nb::module_& m) {
  fabric_error = PyErr_NewExceptionWithDoc(
      "brickwork._native.FabricError",
      "A verb failed. `fault`: peer_lost, timed_out (may have happened), out_of_range, refused (did not happen).",
      PyExc_ConnectionError, nullptr);
  if (fabric_error == nullptr) throw nb::python_error();
  m.attr("FabricError") = nb::borrow(fabric_error);
  nb::register_exception_translator(translate);
  bind_region(m);
  bind_endpoint(m);
}
