// A tensor in a mapped arena as an object that numpy, torch and others read in place: DLPack and the buffer protocol.
//
// The memory below is mapped read-only. DLPack says so to those who ask for version 1; torch has no read-only tensors, so
// there a write in place faults, and the process ends instead of another reader's tensor changing.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <vector>

namespace nb = nanobind;

using View = nb::ndarray<nb::array_api, nb::ro, nb::device::cpu>;

namespace {

// Address of `nbytes` at `offset` of a buffer. Whoever owns the view keeps the buffer's memory alive.
void* address_in(nb::handle buffer, size_t offset, size_t nbytes) {
  Py_buffer view{};
  if (PyObject_GetBuffer(buffer.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
  const auto size = static_cast<size_t>(view.len);
  void* const start = view.buf;
  PyBuffer_Release(&view);
  if (offset > size || nbytes > size - offset) throw nb::value_error("tensor_view: reaches beyond the end of the buffer");
  return static_cast<char*>(start) + offset;
}

View tensor_view(nb::handle buffer, size_t offset, const std::vector<size_t>& shape, uint8_t code, uint8_t bits,
                 nb::handle owner) {
  size_t nbytes = bits / 8;
  for (const size_t extent : shape) nbytes *= extent;
  const nb::dlpack::dtype dtype{code, bits, 1};
  return View(address_in(buffer, offset, nbytes), shape.size(), shape.data(), owner, nullptr, dtype);
}

}  // namespace

void bind_tensor_view(nb::module_& m) {
  m.def("tensor_view", &tensor_view, nb::arg("buffer"), nb::arg("offset"), nb::arg("shape"), nb::arg("code"),
        nb::arg("bits"), nb::arg("owner"),
        "The bytes at `offset` as a read-only, C-contiguous tensor; `owner` lives until its last view is gone.\n\n"
        "code, bits    of the DLPack data type (0 int, 1 uint, 2 float, 4 bfloat, 6 bool)");
}
