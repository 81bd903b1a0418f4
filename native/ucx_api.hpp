// UCX, found at run time: the functions of libucp that the ucx fabric calls.
#pragma once

#include <ucp/api/ucp.h>

#include <string>

namespace brickwork::ucx {

#define BRICKWORK_UCX_FUNCTIONS(F)                                                                                    \
  F(ucp_get_version) F(ucp_get_version_string) F(ucp_config_read) F(ucp_config_modify) F(ucp_config_release)          \
  F(ucp_init_version) F(ucp_cleanup) F(ucp_context_print_info) F(ucp_worker_create) F(ucp_worker_destroy)             \
  F(ucp_worker_get_address) F(ucp_worker_release_address) F(ucp_worker_progress) F(ucp_worker_get_efd)                \
  F(ucp_worker_arm) F(ucp_worker_set_am_recv_handler) F(ucp_mem_map) F(ucp_mem_unmap) F(ucp_mem_query)                \
  F(ucp_rkey_pack) F(ucp_rkey_buffer_release) F(ucp_ep_rkey_unpack) F(ucp_rkey_destroy) F(ucp_ep_create)              \
  F(ucp_ep_print_info) F(ucp_ep_flush_nbx) F(ucp_put_nbx) F(ucp_get_nbx) F(ucp_atomic_op_nbx) F(ucp_am_send_nbx)      \
  F(ucp_request_check_status) F(ucp_request_free) F(ucs_status_string)

struct Api {
#define BRICKWORK_UCX_POINTER(name) decltype(&::name) name = nullptr;
  BRICKWORK_UCX_FUNCTIONS(BRICKWORK_UCX_POINTER)
#undef BRICKWORK_UCX_POINTER
};

// Loads UCX for the life of the process; `path` is what dlopen takes. The first that works stays.
// Throws std::runtime_error.
void load(const std::string& path);

// Throws std::runtime_error before a successful `load`.
const Api& api();

}  // namespace brickwork::ucx
