/* SPDX-License-Identifier: Apache-2.0 */
/* end.c - what an end of an access is lifted to, and interning of ends and points. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/book.h"

/* Labels that differ between replicas or rollouts of one thing: never a selector. */
static const char *const noise[] = {
	"pod-template-hash", "controller-revision-hash", "pod-template-generation", "controller-uid",
	"job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name",
	"batch.kubernetes.io/job-completion-index", "statefulset.kubernetes.io/pod-name",
	"apps.kubernetes.io/pod-index", "cellwall.io/mode",
};

void access_end_free(void *p)
{
	struct access_end *e = p;

	if (!e)
		return;
	free(e->ref);
	free(e->ns);
	free(e->controller_kind);
	free(e->controller_name);
	free(e->pod);
	free(e->fqdn);
	labels_done(&e->labels);
	free(e);
}

void access_point_free(void *p)
{
	struct access_point *q = p;

	if (!q)
		return;
	free(q->ref);
	free(q->ns);
	free(q->name);
	free(q->uid);
	free(q);
}

static void end_freep(struct access_end **e)
{
	access_end_free(*e);
}

static void point_freep(struct access_point **p)
{
	access_point_free(*p);
}

static int dup_to(char **to, const char *s)
{
	if (!s || !*s)
		return 0;
	*to = strdup(s);
	return *to ? 0 : -ENOMEM;
}

static bool noisy(const struct access_book *b, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
		if (!strcmp(noise[i], key))
			return true;
	for (size_t i = 0; i < b->nignore_labels; i++)
		if (!strcmp(b->ignore_labels[i], key))
			return true;
	return false;
}

int book_end_add(struct access_book *b, struct access_end *e)
{
	int r = htab_set(b->ends, e->ref, strlen(e->ref), e, NULL);

	if (r < 0)
		return r;
	if (e->num >= b->next_end)
		b->next_end = e->num + 1;
	return 0;
}

/* The end of this ref, or a new one for the caller to fill and hand to intern_done. */
static struct access_end *intern_find(const struct access_book *b, const char *ref)
{
	return htab_get(b->ends, ref, strlen(ref));
}

static int intern_new(struct access_book *b, struct access_end **io, struct access_end **ret)
{
	struct access_end *e = *io;
	int r;

	r = vec_reserve(&b->dirty_ends, b->dirty_ends.n + 1);
	if (r < 0)
		return r;
	e->num = b->next_end;
	r = book_end_add(b, e);
	if (r < 0)
		return r;
	b->dirty_ends.v[b->dirty_ends.n++] = e;
	e->dirty = true;
	*ret = take_ptr(*io);
	return 0;
}

static struct access_end *end_begin(enum access_end_kind kind, const char *ref)
{
	struct access_end *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->kind = kind;
	e->ref = strdup(ref);
	if (!e->ref) {
		free(e);
		return NULL;
	}
	return e;
}

int book_end_of_pod(struct access_book *b, const char *ns, const char *name, struct access_end **ret)
{
	auto_cleanup(end_freep) struct access_end *e = NULL;
	char ref[ACCESS_REF_MAX];

	if ((size_t)snprintf(ref, sizeof(ref), "%s/pod/%s", ns, name) >= sizeof(ref))
		return -EINVAL;
	*ret = intern_find(b, ref);
	if (*ret)
		return 0;
	e = end_begin(ACCESS_POD, ref);
	if (!e || dup_to(&e->ns, ns) || dup_to(&e->pod, name))
		return -ENOMEM;
	return intern_new(b, &e, ret);
}

int book_end_of_service(struct access_book *b, const char *ns, const char *name, struct access_end **ret)
{
	auto_cleanup(end_freep) struct access_end *e = NULL;
	char ref[ACCESS_REF_MAX];

	if ((size_t)snprintf(ref, sizeof(ref), "%s/svc/%s", ns, name) >= sizeof(ref))
		return -EINVAL;
	*ret = intern_find(b, ref);
	if (*ret)
		return 0;
	e = end_begin(ACCESS_SERVICE, ref);
	if (!e || dup_to(&e->ns, ns) || dup_to(&e->pod, name))
		return -ENOMEM;
	return intern_new(b, &e, ret);
}

static int end_of_controller(struct access_book *b, const struct workload *w, struct access_end **ret)
{
	auto_cleanup(end_freep) struct access_end *e = NULL;
	char ref[ACCESS_REF_MAX];

	if ((size_t)snprintf(ref, sizeof(ref), "%s/%s/%s", w->ns, kind_short(w->controller_kind),
			     w->controller_name) >= sizeof(ref))
		return -EINVAL;
	*ret = intern_find(b, ref);
	if (*ret)
		return 0;
	e = end_begin(ACCESS_CONTROLLER, ref);
	if (!e || dup_to(&e->ns, w->ns) || dup_to(&e->controller_kind, w->controller_kind) ||
	    dup_to(&e->controller_name, w->controller_name))
		return -ENOMEM;
	return intern_new(b, &e, ret);
}

static int stable_labels(const struct access_book *b, const struct labels *from, struct labels *to)
{
	for (size_t i = 0; i < from->n; i++) {
		int r;

		if (noisy(b, from->v[i].key))
			continue;
		r = labels_set(to, from->v[i].key, from->v[i].value);
		if (r < 0)
			return r;
	}
	return 0;
}

int book_end_of_workload(struct access_book *b, struct book_workload *bw, struct access_end **ret)
{
	auto_cleanup(end_freep) struct access_end *e = NULL;
	auto_cleanup(labels_done) struct labels l = { };
	auto_free char *text = NULL;
	char ref[ACCESS_REF_MAX];
	const struct workload *w = &bw->w;
	int r;

	if (bw->end) {
		*ret = bw->end;
		return 0;
	}
	if (w->controller_kind && *w->controller_kind && w->controller_name && *w->controller_name) {
		r = end_of_controller(b, w, &bw->end);
		goto out;
	}
	r = stable_labels(b, &w->labels, &l);
	if (r < 0)
		return r;
	if (l.n) {
		text = labels_str(&l);
		if (!text)
			return -ENOMEM;
	}
	/* A label set too long to be shown and typed again is no better name than the pod's. */
	if (!l.n || (size_t)snprintf(ref, sizeof(ref), "%s/%s", w->ns, text) >= sizeof(ref)) {
		r = book_end_of_pod(b, w->ns, w->name, &bw->end);
		goto out;
	}
	bw->end = intern_find(b, ref);
	if (bw->end) {
		*ret = bw->end;
		return 0;
	}
	e = end_begin(ACCESS_LABELS, ref);
	if (!e || dup_to(&e->ns, w->ns))
		return -ENOMEM;
	e->labels = l;
	l = (struct labels){ };
	r = intern_new(b, &e, &bw->end);
out:
	if (r < 0)
		return r;
	*ret = bw->end;
	return 0;
}

int book_end_of_reserved(struct access_book *b, uint32_t id, struct access_end **ret)
{
	auto_cleanup(end_freep) struct access_end *e = NULL;
	const char *ref = reserved_str(id);

	if (!ref)
		return -EINVAL;
	*ret = intern_find(b, ref);
	if (*ret)
		return 0;
	e = end_begin(ACCESS_RESERVED, ref);
	if (!e)
		return -ENOMEM;
	e->reserved = id;
	return intern_new(b, &e, ret);
}

static int end_of_prefix(struct access_book *b, enum access_end_kind kind, const char *ref,
			 const struct prefix *p, struct access_end **ret)
{
	auto_cleanup(end_freep) struct access_end *e = NULL;

	*ret = intern_find(b, ref);
	if (*ret)
		return 0;
	e = end_begin(kind, ref);
	if (!e)
		return -ENOMEM;
	e->prefix = *p;
	return intern_new(b, &e, ret);
}

static struct prefix full_prefix(const struct addr *a)
{
	bool v4 = addr_is_v4(a);

	return (struct prefix){ .addr = *a, .plen = v4 ? 32 : 128, .v6 = !v4 };
}

int book_end_of_world(struct access_book *b, const char *ns, const char *name, const struct addr *a,
		      const char *fqdn, bool single, struct access_end **ret)
{
	auto_cleanup(end_freep) struct access_end *e = NULL;
	char text[PREFIX_STR_MAX], ref[ACCESS_REF_MAX];
	const struct prefix *best = NULL;
	struct prefix p;

	if (addr_is_zero(a))
		return book_end_of_reserved(b, CW_ID_WORLD, ret);
	for (size_t i = 0; i < b->nfold_cidrs; i++)
		if (prefix_has(&b->fold_cidrs[i], a) && (!best || b->fold_cidrs[i].plen > best->plen))
			best = &b->fold_cidrs[i];
	if (best)
		return end_of_prefix(b, ACCESS_CIDR, prefix_str(best, text), best, ret);
	if (!single)
		return book_end_of_reserved(b, CW_ID_WORLD, ret);
	if (!fqdn && b->fqdn)
		fqdn = b->fqdn(b->fqdn_arg, ns, name, a);
	if (fqdn && *fqdn && (size_t)snprintf(ref, sizeof(ref), "fqdn/%s", fqdn) < sizeof(ref)) {
		*ret = intern_find(b, ref);
		if (*ret)
			return 0;
		e = end_begin(ACCESS_FQDN, ref);
		if (!e || dup_to(&e->fqdn, fqdn))
			return -ENOMEM;
		return intern_new(b, &e, ret);
	}
	p = full_prefix(a);
	return end_of_prefix(b, ACCESS_ADDR, addr_str(a, text), &p, ret);
}

int book_end_of_unresolved(struct access_book *b, const struct addr *a, struct access_end **ret)
{
	char text[ADDR_STR_MAX], ref[ADDR_STR_MAX + 16];
	struct prefix p = full_prefix(a);

	if (addr_is_zero(a))
		return book_end_of_reserved(b, CW_ID_UNKNOWN, ret);
	(void)snprintf(ref, sizeof(ref), "unknown/%s", addr_str(a, text)); /* fits: sizes above */
	return end_of_prefix(b, ACCESS_UNRESOLVED, ref, &p, ret);
}

/* "ref\0uid": a successor of the same name is somebody else. 0: too long. */
static size_t point_key(const char *ref, const char *uid, char out[BOOK_POINT_KEY])
{
	int n = snprintf(out, BOOK_POINT_KEY, "%s%c%.126s", ref, 0, uid ? uid : "");

	return n < 0 || n >= BOOK_POINT_KEY ? 0 : (size_t)n;
}

size_t book_point_key(const char *ns, const char *name, const char *uid, char out[BOOK_POINT_KEY])
{
	char ref[ACCESS_REF_MAX];
	int n = snprintf(ref, sizeof(ref), "%s/pod/%s", ns, name);

	return n < 0 || n >= (int)sizeof(ref) ? 0 : point_key(ref, uid, out);
}

int book_point_add(struct access_book *b, struct access_point *p)
{
	char key[BOOK_POINT_KEY];
	size_t len = point_key(p->ref, p->uid, key);
	int r;

	if (!len || htab_has(b->points, key, len))
		return -EEXIST;
	r = htab_set(b->points, key, len, p, NULL);
	if (!r && p->num >= b->next_point)
		b->next_point = p->num + 1;
	return r;
}

static int point_get(struct access_book *b, const char key[BOOK_POINT_KEY], size_t len, const char *ns,
		     const char *name, const char *uid, uint32_t reserved, const struct addr *a,
		     struct access_point **ret)
{
	auto_cleanup(point_freep) struct access_point *p = NULL;
	int r;

	if (!len)
		return -EINVAL;
	*ret = htab_get(b->points, key, len);
	if (*ret)
		return 0;
	if (htab_count(b->points) >= ACCESS_POINTS_MAX)
		return -ENOSPC;
	p = calloc(1, sizeof(*p));
	if (!p || dup_to(&p->ref, key))
		return -ENOMEM;
	if (ns && (dup_to(&p->ns, ns) || dup_to(&p->name, name) || dup_to(&p->uid, uid)))
		return -ENOMEM;
	p->reserved = ns ? 0 : reserved;
	if (a)
		p->addr = *a;
	p->num = b->next_point;
	r = vec_reserve(&b->dirty_points, b->dirty_points.n + 1);
	if (!r)
		r = book_point_add(b, p);
	if (r < 0)
		return r;
	b->dirty_points.v[b->dirty_points.n++] = p;
	p->dirty = true;
	*ret = take_ptr(p);
	return 0;
}

int book_point(struct access_book *b, const char *ns, const char *name, const char *uid,
	       uint32_t reserved, const struct addr *a, struct access_point **ret)
{
	char key[BOOK_POINT_KEY], text[ADDR_STR_MAX];
	const char *word;
	size_t len;

	if (ns) {
		len = book_point_key(ns, name, uid, key);
	} else {
		word = reserved_str(reserved);
		len = point_key(a && !addr_is_zero(a) ? addr_str(a, text) : word ? word : "unknown", NULL, key);
	}
	return point_get(b, key, len, ns, name, uid, reserved, a, ret);
}

int book_point_of_service(struct access_book *b, const struct access_end *e, struct access_point **ret)
{
	char key[BOOK_POINT_KEY];

	return point_get(b, key, point_key(e->ref, NULL, key), NULL, NULL, NULL, 0, NULL, ret);
}
