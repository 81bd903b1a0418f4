// brickwork._native: what Python calls of the native part. Each file binds what it holds.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_words(nb::module_&);
void bind_spans(nb::module_&);
void bind_tensor_view(nb::module_&);

NB_MODULE(_native, m) {
  m.doc() = "Atomic words, spans and views of tensors: the part of the data engine that Python cannot say.";
  nb::set_leak_warnings(false);  // an arena that a global still holds at the interpreter's exit is no leak
  bind_words(m);
  bind_spans(m);
  bind_tensor_view(m);
}
