/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - one call of the plugin: environment and standard input, checked. Pure.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cni-adapters/plugin/span.h"

struct buf;

#define CNI_STDIN_MAX (1u << 20)
#define CNI_ID_MAX 128u		/* bytes of a container id */
#define CNI_IFNAME_MAX 15u
#define CNI_SOCKET_DEFAULT "/run/cellwall/api.sock"
#define CNI_TIMEOUT_MS 10000u
#define CNI_TIMEOUT_MS_MAX 120000u

/* Codes of CNI's error object; those from 100 on are the plugin's own. */
enum cni_code {
	CNI_E_VERSION = 1, CNI_E_UNKNOWN_CONTAINER = 3, CNI_E_ENV = 4, CNI_E_IO = 5, CNI_E_DECODE = 6,
	CNI_E_CONFIG = 7, CNI_E_AGAIN = 11, CNI_E_UNAVAILABLE = 50, CNI_E_ATTACH = 100, CNI_E_MISSING = 101,
};

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION };

struct cni_call {
	enum cni_command command;
	char version[16];	/* of the configuration, in which is answered */
	char id[CNI_ID_MAX + 1], ifname[CNI_IFNAME_MAX + 1], netns[4096];
	char pod_ns[64], pod_name[254], pod_uid[129]; /* of CNI_ARGS; "" when not given */
	char network[256];
	char socket[108], dir[4096]; /* the agent's socket; where what stands is noted */
	bool closed;		/* agentDown: closed */
	uint32_t timeout_ms;
	struct span conf, prev;	/* prev.p NULL: none */
	struct span valid;	/* GC: the attachments that stay */
};

struct cni_error {
	enum cni_code code;	/* 0: none */
	char msg[128], details[512];
};

/* The environment as getenv() gives it; tests pass their own. */
typedef const char *cni_env_fn(void *arg, const char *name);

/* in/len is standard input, of which ret keeps spans. 0, or -EINVAL with *e set; then
 * ret->version is what is known of it. */
int cni_call_read(cni_env_fn *env, void *arg, const char *in, size_t len, struct cni_call *ret,
		  struct cni_error *e);
/* Sets *e and gives -EINVAL. */
int cni_fail(struct cni_error *e, enum cni_code code, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What the agent is asked, and what is noted of a standing attachment (record.h). */
void cni_call_body(const struct cni_call *c, struct buf *b);
/* {"cniVersion","code","msg","details"} */
void cni_error_json(const struct cni_call *c, const struct cni_error *e, struct buf *b);
/* {"cniVersion","supportedVersions"} */
void cni_version_json(const struct cni_call *c, struct buf *b);
/* A JSON string with its quotes. */
void cni_json_str(struct buf *b, const char *s);
