/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - the plugin's commands. */
#pragma once

#include "cni-adapters/plugin/call.h"

/* One call: what goes to standard output in out, to standard error in err. The exit code. */
int cni_run(cni_env_fn *env, void *arg, const char *in, size_t len, struct buf *out, struct buf *err);
