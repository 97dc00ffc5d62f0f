/* SPDX-License-Identifier: Apache-2.0 */
/* object_priv.h - shared by the files that make up object.h. */
#pragma once

#include <stddef.h>

#include "loader/object.h"
#include "loader/pins.h"

struct bpf_object;

#define LOADER_ADDED_MAX 4u	/* further images beside the first */
#define SET_NAME_MAX 48u

struct loader_set {
	char root[PATH_MAX - 512];
	char name[SET_NAME_MAX];   /* directory under the root */
	unsigned run;		   /* run-<run> in it holds this load's programs */
	bool adopted;
	char main_prog[64], xdp_prog[64];
	int entry_fd, xdp_entry_fd; /* -1: none */
	struct bpf_object *obj;
	struct bpf_object *added[LOADER_ADDED_MAX];
	size_t nadded;
};

/* "v1-0123456789abcdef-3" in its parts. -EINVAL. */
int set_name_parse(const char *name, uint32_t *ret_abi, uint64_t *ret_layout, uint32_t *ret_n);

/* Writes integers into the image's .rodata by name, before loading. */
int rodata_set(struct bpf_object *obj, const struct loader_const *c, size_t n, struct fail_list *f);

/* Opens an image; what the library says meanwhile is kept for load_fail(). */
int image_open(const struct loader_image *img, struct fail_list *f, struct bpf_object **ret);
/* Adds a fail with the last lines that the library or the verifier said. Returns err. */
int load_fail(struct fail_list *f, int err, const struct loader_image *img, const char *what);
