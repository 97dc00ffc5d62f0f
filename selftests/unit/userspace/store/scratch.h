/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h - a directory of its own for each store test, removed after it. */
#pragma once

#include <dirent.h>
#include <unistd.h>

#include "selftests/unit/userspace/flow/access_gen.h"
#include "store/store.h"
#include "store/store_access.h"

struct scratch { char dir[64], path[96]; };

static inline const char *scratch_path(void *state)
{
	return ((struct scratch *)state)->path;
}

static inline int scratch_make(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));

	if (!x)
		return -1;
	(void)snprintf(x->dir, sizeof(x->dir), "/tmp/cw-store-XXXXXX");
	if (!mkdtemp(x->dir)) {
		free(x);
		return -1;
	}
	(void)snprintf(x->path, sizeof(x->path), "%s/state.db", x->dir);
	*state = x;
	return 0;
}

/* Everything in the directory. */
static inline void scratch_wipe(void *state)
{
	struct scratch *x = state;
	DIR *d = opendir(x->dir);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

static inline int scratch_remove(void **state)
{
	struct scratch *x = *state;

	scratch_wipe(x);
	(void)rmdir(x->dir);
	free(x);
	return 0;
}

static inline struct store *scratch_open(void *state)
{
	struct fail_list f = { };
	struct store *s = NULL;
	int r = store_open(scratch_path(state), T0, &f, &s);

	if (r || f.n)
		print_error("store_open: %d %s\n", r, f.n ? f.items[0].message : "");
	assert_int_equal(r, 0);
	assert_int_equal(f.n, 0);
	return s;
}
