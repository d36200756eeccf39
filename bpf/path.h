/* SPDX-License-Identifier: GPL-2.0-only */
/* path.h -- the path of an open file, as /proc shows it */
#ifndef TASK_ITER_PATH_H
#define TASK_ITER_PATH_H
#ifndef DESCRIBE

#include "row.h"

/* Iterators may call bpf_d_path since 5.12, which has bpf_check_mtu for its mark. */
#define HAVE_D_PATH bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_check_mtu)

#endif
#endif
