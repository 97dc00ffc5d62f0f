/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - one question to the agent over its unix socket. HTTP as our own server speaks it; the
 * command line's client costs this program its few milliseconds.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ASK_ANSWER_MAX (1u << 20)

struct ask_answer {
	int status;	/* of HTTP */
	char *body;	/* NUL-terminated, owned */
	size_t len;
};

/*
 * Blocks until deadline_ms (monotonic) at most. 0 whatever the status; -ENOENT or -ECONNREFUSED
 * nobody is there, -ETIMEDOUT,
 * -ECONNRESET went away in the middle, -EPROTO, -E2BIG, -EACCES, -ENOMEM.
 */
int ask(const char *socket, const char *method, const char *path, const char *body, size_t len,
	int64_t deadline_ms, struct ask_answer *ret);
/* Reads a whole answer as it came; for ask() and tests. 0, -EPROTO, -E2BIG, -ENOMEM. */
int ask_parse(const char *s, size_t len, struct ask_answer *ret);
int64_t ask_now_ms(void);
void ask_sleep_ms(unsigned ms);
