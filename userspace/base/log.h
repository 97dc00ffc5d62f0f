/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line per event on stderr: "<level> <unit>: <text>"; lower case, data as a
 * key=value tail, user data quoted. Only wiring (agent, controller, main) and callers that
 * give up log; library rooms return errors. Each file defines LOG_UNIT before including.
 */
#pragma once

#include <stdarg.h>

enum log_level { LOG_L_ERR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

void log_set_level(enum log_level level);
/* JSON lines instead of text when `json` is non-zero. */
void log_set_json(int json);
/* err: 0 or a negative errno whose text is appended. Returns err. Thread-safe. Control bytes are escaped. */
int log_write(enum log_level level, const char *unit, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int log_vwrite(enum log_level level, const char *unit, int err, const char *fmt, va_list ap);

#define log_err(err, fmt, ...) log_write(LOG_L_ERR, LOG_UNIT, err, fmt, ##__VA_ARGS__)
#define log_warn(err, fmt, ...) log_write(LOG_L_WARN, LOG_UNIT, err, fmt, ##__VA_ARGS__)
#define log_info(fmt, ...) log_write(LOG_L_INFO, LOG_UNIT, 0, fmt, ##__VA_ARGS__)
#define log_debug(fmt, ...) log_write(LOG_L_DEBUG, LOG_UNIT, 0, fmt, ##__VA_ARGS__)
