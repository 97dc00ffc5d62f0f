/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "lab/work.h"

int64_t work_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int work_status(const char *dir, const char *name, const char *fmt, ...)
{
	char path[512], text[8192];
	va_list ap;
	int n;

	n = snprintf(path, sizeof(path), "%s/status/%s.json", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -E2BIG;
	return write_file_atomic(path, text, (size_t)n, 0644);
}
