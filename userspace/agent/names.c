/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - what effective identities and workload numbers mean, on disk.
 *
 * The kernel's tables outlive this process, and so must the meaning of the numbers in them: an
 * access that was counted before a crash is told by name after it. One line of JSON per number,
 * appended before the number is published; a line that was cut by a crash names nothing yet.
 * The file belongs to one set of maps (`instance`) and goes with it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#define NAMES_BYTES_MAX (256u << 20)

struct entry {
	struct named n;
};

struct names {
	int fd, dir;
	char file[64];
	struct htab *eids, *wls;
	uint32_t next_eid;
};

static void entry_free(void *p)
{
	struct entry *e = p;

	if (!e)
		return;
	free((char *)e->n.ns);
	free((char *)e->n.name);
	free((char *)e->n.uid);
	free(e);
}

static int dup_into(const char *s, const char **ret)
{
	char *c;

	if (!s)
		return 0;
	c = strdup(s);
	if (!c)
		return -ENOMEM;
	*ret = c;
	return 0;
}

static int put(struct htab *t, uint32_t num, const struct named *n)
{
	struct entry *e = calloc(1, sizeof(*e));
	uint64_t k = num;
	void *old = NULL;
	int r;

	if (!e)
		return -ENOMEM;
	e->n.reserved = n->reserved;
	e->n.service = n->service;
	r = dup_into(n->ns, &e->n.ns) || dup_into(n->name, &e->n.name) || dup_into(n->uid, &e->n.uid) ?
		    -ENOMEM : htab_set(t, &k, sizeof(k), e, &old);
	if (r < 0) {
		entry_free(e);
		return r;
	}
	entry_free(old);
	return 0;
}

static void take_line(struct names *n, const char *line, size_t len)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	struct named w = { };
	int64_t num;

	if (!len || json_parse(line, len, "names", NULL, &j) < 0)
		return;
	w.reserved = (uint32_t)json_i64(j, "reserved", 0);
	w.service = json_i64(j, "service", 0) != 0;
	w.ns = json_str(j, "ns");
	w.name = json_str(j, "name");
	w.uid = json_str(j, "uid");
	num = json_i64(j, "eid", 0);
	if (num > 0 && num <= UINT32_MAX) {
		(void)put(n->eids, (uint32_t)num, &w);
		if (num >= n->next_eid)
			n->next_eid = (uint32_t)num + 1;
	}
	num = json_i64(j, "wl", 0);
	if (num > 0 && num <= UINT32_MAX)
		(void)put(n->wls, (uint32_t)num, &w);
}

void names_drop_others(const struct names *n)
{
	int fd = openat(n->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "names-", 6) && strcmp(e->d_name, n->file))
			(void)unlinkat(n->dir, e->d_name, 0); /* a leftover costs only its bytes */
	closedir(d);
}

int names_open(const char *dir, uint64_t instance, bool create, struct names **ret)
{
	auto_free char *text = NULL;
	struct names *n;
	size_t len = 0;
	int r = create ? mkdir_p(dir, 0700) : 0;

	if (r < 0)
		return r;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->fd = -1;
	n->next_eid = CW_ID_FIRST_USER;
	n->eids = htab_new();
	n->wls = htab_new();
	snprintf(n->file, sizeof(n->file), "names-%016" PRIx64 ".jsonl", instance);
	n->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->dir < 0)
		r = -errno;
	if (!r) {
		n->fd = openat(n->dir, n->file,
			       create ? O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW :
					O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (n->fd < 0)
			r = -errno;
	}
	if (!r)
		r = n->eids && n->wls ? read_all_fd(n->fd, NAMES_BYTES_MAX, &text, &len) : -ENOMEM;
	/* A line without its end was cut: start on a fresh one. */
	if (!r && create && len && text[len - 1] != '\n' && write(n->fd, "\n", 1) != 1)
		r = -EIO;
	if (r < 0) {
		names_free(n);
		return r;
	}
	for (char *p = text, *end; p && (end = memchr(p, '\n', len - (size_t)(p - text))); p = end + 1)
		take_line(n, p, (size_t)(end - p));
	*ret = n;
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	if (n->fd >= 0)
		close(n->fd);
	if (n->dir >= 0)
		close(n->dir);
	if (n->eids)
		htab_free(n->eids, entry_free);
	if (n->wls)
		htab_free(n->wls, entry_free);
	free(n);
}

static bool same(const struct named *a, const struct named *b)
{
#define SAME_STR(x, y) (!strcmp((x) ? (x) : "", (y) ? (y) : ""))
	return a->reserved == b->reserved && a->service == b->service && SAME_STR(a->ns, b->ns) &&
	       SAME_STR(a->name, b->name) && SAME_STR(a->uid, b->uid);
#undef SAME_STR
}

static int note(struct names *n, struct htab *t, const char *what, uint32_t num, const struct named *w)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	const struct named *have = NULL;
	auto_free char *s = NULL;
	uint64_t k = num;
	struct entry *e = htab_get(t, &k, sizeof(k));
	size_t len;
	int r;

	if (e)
		have = &e->n;
	if (have && same(have, w))
		return 0;
	j = cJSON_CreateObject();
	if (!j || !cJSON_AddNumberToObject(j, what, num) ||
	    (w->reserved && !cJSON_AddNumberToObject(j, "reserved", w->reserved)) ||
	    (w->service && !cJSON_AddNumberToObject(j, "service", 1)) ||
	    (w->ns && !cJSON_AddStringToObject(j, "ns", w->ns)) ||
	    (w->name && !cJSON_AddStringToObject(j, "name", w->name)) ||
	    (w->uid && !cJSON_AddStringToObject(j, "uid", w->uid)))
		return -ENOMEM;
	s = cJSON_PrintUnformatted(j);
	if (!s)
		return -ENOMEM;
	len = strlen(s);
	s[len] = '\n'; /* where the NUL was: written, not read as text again */
	if (write(n->fd, s, len + 1) != (ssize_t)(len + 1))
		return -EIO;
	r = put(t, num, w);
	return r;
}

static int note_eid(void *arg, const struct policy_eid *e)
{
	struct names *n = arg;
	struct named w = { .reserved = e->reserved, .ns = e->ns, .name = e->name, .uid = e->uid };
	uint64_t k = e->eid;

	if (e->svc_name)
		w = (struct named){ .service = true, .ns = e->svc_ns, .name = e->svc_name };
	if (e->eid >= n->next_eid)
		n->next_eid = e->eid + 1;
	/* A representative that is gone keeps standing for the identity it had. */
	if (!w.reserved && !w.ns && htab_has(n->eids, &k, sizeof(k)))
		return 0;
	if (!w.reserved && !w.ns)
		return 0;
	return note(n, n->eids, "eid", e->eid, &w);
}

static int note_wl(void *arg, const struct policy_wl *w)
{
	struct names *n = arg;
	struct named v = { .ns = w->ns, .name = w->name, .uid = w->uid };

	return note(n, n->wls, "wl", w->wl, &v);
}

int names_note(struct names *n, const struct policy_set *set)
{
	int r = policy_set_eid_each(set, note_eid, n);

	return r ? r : policy_set_wl_each(set, note_wl, n);
}

static const struct named *get(const struct htab *t, uint32_t num)
{
	uint64_t k = num;
	const struct entry *e = htab_get(t, &k, sizeof(k));

	return e ? &e->n : NULL;
}

const struct named *names_eid(const struct names *n, uint32_t eid)
{
	return get(n->eids, eid);
}

const struct named *names_wl(const struct names *n, uint32_t wl)
{
	return get(n->wls, wl);
}

uint32_t names_next_eid(const struct names *n)
{
	return n->next_eid;
}

int names_each_wl(const struct names *n, int (*fn)(void *arg, uint32_t wl, const struct named *w), void *arg)
{
	const void *k;
	void *v;
	size_t len, it = 0;

	while (htab_next(n->wls, &it, &k, &len, &v)) {
		uint64_t num;
		int r;

		memcpy(&num, k, sizeof(num));
		r = fn(arg, (uint32_t)num, &((struct entry *)v)->n);
		if (r)
			return r;
	}
	return 0;
}
