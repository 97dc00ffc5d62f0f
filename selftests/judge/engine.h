/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - who answers a `reach` question: the evaluator, the programs, or real sockets.
 *
 * An engine lives as long as the judge: each question is an update of what the one before left.
 * engine_ask() answers every row: true, the connection is let through.
 */
#pragma once

#include <stdbool.h>

#include "base/fail.h"
#include "selftests/judge/world.h"

struct engine;

struct engine_ops {
	const char *name;
	int (*open)(struct fail_list *f, struct engine **ret);
	/* 0; a negative errno with a fault: the question is refused, the next one may be asked. */
	int (*ask)(struct engine *e, const struct world *w, struct fail_list *f, bool *ret);
	void (*close)(struct engine *e);
};

extern const struct engine_ops engine_evaluator, engine_prog, engine_netns;
