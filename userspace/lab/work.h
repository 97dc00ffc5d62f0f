/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - what the helper program does inside the network namespace of a workload. Each
 * function runs until it is done or told to end (SIGTERM), and returns 0 or a negative errno.
 * What happened is written to DIR/status/ as one JSON object per file, whole or not at all.
 */
#pragma once

#include <stdint.h>

/* Servers and the delivery counter of one workload. SIGUSR1: write the status file now. */
int work_serve(const char *dir, const char *name);
/* The client streams of one workload, for that long and at most 2 s more. */
int work_drive(const char *dir, const char *name, uint32_t seconds);
/* The attacker: tries the database, sends `probes` marked scan packets and `forged` ones. */
int work_attack(const char *dir, uint32_t seconds, uint32_t probes, uint32_t forged);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t work_now_ms(void);
/* Writes DIR/status/NAME.json from a format of JSON text. 0 or a negative errno. */
int work_status(const char *dir, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
