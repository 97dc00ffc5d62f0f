/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h - ownership of locals. `auto_free char *s = NULL;`, leave with take_ptr(s). */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define auto_cleanup(fn) __attribute__((cleanup(fn)))
#define auto_free auto_cleanup(cw_freep)
#define auto_close auto_cleanup(cw_closep)

static inline void cw_freep(void *p)
{
	free(*(void **)p);
}

static inline void cw_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define take_ptr(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })
#define take_fd(fd) ({ int taken_ = (fd); (fd) = -1; taken_; })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
