/* SPDX-License-Identifier: Apache-2.0 */
/* image_open.c - images from memory, their constants, and what went wrong in words. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "loader/object_priv.h"

#define SAID_MAX 8192u	/* verifier logs are long; the reason is in the last lines */
#define SAID_SHOWN 600u

/* Loading is single-threaded (object.h), and the library's print hook has no argument. */
static char said[SAID_MAX];
static size_t said_n;

/* Keeps the end of all that was said. */
static void said_add(const char *p, size_t n)
{
	if (n >= SAID_MAX) {
		p += n - SAID_MAX;
		n = SAID_MAX;
	}
	if (said_n + n > SAID_MAX) {
		size_t keep = SAID_MAX - n;

		memmove(said, said + said_n - keep, keep);
		said_n = keep;
	}
	memcpy(said + said_n, p, n);
	said_n += n;
}

static int said_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	auto_free char *text = NULL;
	int n;

	if (level == LIBBPF_DEBUG)
		return 0;
	n = vasprintf(&text, fmt, ap); /* a refused program's whole log comes in one call */
	if (n < 0) {
		text = NULL; /* not defined by the C library on failure */
		return 0;
	}
	said_add(text, (size_t)n);
	return n;
}

int load_fail(struct fail_list *f, int err, const struct loader_image *img, const char *what)
{
	char line[SAID_SHOWN + 1];
	size_t n = said_n < SAID_SHOWN ? said_n : SAID_SHOWN;

	memcpy(line, said + said_n - n, n);
	line[n] = '\0';
	for (char *s = line; *s; s++) {
		if (*s == '\n')
			*s = s[1] ? ';' : '\0';
	}
	return fail_add(f, err, "bpf.load", img->name, NULL,
			err == -EPERM ? "run as root, or with CAP_BPF and CAP_NET_ADMIN" : NULL,
			"%s: %s%s%s", what, strerror(-err), n ? ": " : "", line);
}

int image_open(const struct loader_image *img, struct fail_list *f, struct bpf_object **ret)
{
	LIBBPF_OPTS(bpf_object_open_opts, o, .object_name = img->name);
	struct bpf_object *obj;
	int r;

	said_n = 0;
	(void)libbpf_set_print(said_print);
	obj = bpf_object__open_mem(img->elf, img->size, &o);
	if (!obj) {
		r = -errno;
		return load_fail(f, r, img, "the image cannot be read");
	}
	*ret = obj;
	return 0;
}

static struct bpf_map *rodata_map(struct bpf_object *obj)
{
	struct bpf_map *m;
	const char *suffix;

	bpf_object__for_each_map(m, obj) {
		suffix = strrchr(bpf_map__name(m), '.');
		if (bpf_map__is_internal(m) && suffix && !strcmp(suffix, ".rodata"))
			return m;
	}
	return NULL;
}

static int rodata_find(const struct btf *btf, const char *name, uint32_t *ret_off, uint32_t *ret_size)
{
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *sec = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);

	for (uint32_t i = 0; sec && i < btf_vlen(sec); i++) {
		const struct btf_var_secinfo *v = btf_var_secinfos(sec) + i;
		const struct btf_type *t = btf__type_by_id(btf, v->type);

		if (!strcmp(btf__name_by_offset(btf, t->name_off), name)) {
			*ret_off = v->offset;
			*ret_size = v->size;
			return 0;
		}
	}
	return -ENOENT;
}

int rodata_set(struct bpf_object *obj, const struct loader_const *c, size_t n, struct fail_list *f)
{
	struct bpf_map *m = rodata_map(obj);
	const struct btf *btf = bpf_object__btf(obj);
	uint32_t off, size;
	size_t have = 0;
	char *p = m ? (char *)bpf_map__initial_value(m, &have) : NULL;

	for (size_t i = 0; i < n; i++) {
		if (!p || !btf || rodata_find(btf, c[i].name, &off, &size) || off + size > have)
			return fail_add(f, -ENOENT, "bpf.const", NULL, NULL, NULL,
					"the image has no constant '%s'", c[i].name);
		/* Little-endian images on little-endian machines: the low bytes come first. */
		if (size > 8 || (size < 8 && c[i].value >> (8 * size)))
			return fail_add(f, -ERANGE, "bpf.const", NULL, NULL, NULL,
					"constant '%s' does not hold %llu", c[i].name,
					(unsigned long long)c[i].value);
		memcpy(p + off, &c[i].value, size);
	}
	return 0;
}
