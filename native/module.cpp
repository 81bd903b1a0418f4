// brickwork._native: what Python calls of the native part. Each file binds what it holds.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_words(nb::module_&);
void bind_ranking(nb::module_&);
void bind_spans(nb::module_&);
void bind_tensor_view(nb::module_&);
void bind_fabric(nb::module_&);
void bind_inbox(nb::module_&);
void bind_tcp(nb::module_&);
void bind_ucx(nb::module_&);

NB_MODULE(_native, m) {
  m.doc() =
      "Atomic words, fabrics, inboxes: the part of the data engine that Python cannot say; and what control does most.";
  nb::set_leak_warnings(false);  // an arena that a global holds at exit is no leak
  bind_words(m);
  bind_ranking(m);
  bind_spans(m);
  bind_tensor_view(m);
  bind_fabric(m);
  bind_inbox(m);
  bind_tcp(m);
  bind_ucx(m);
}
