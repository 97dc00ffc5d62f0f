/* SPDX-License-Identifier: Apache-2.0 */
/* rule_docs.c - the typed arrays that documents become, and which names are taken. */
#include "policy/rule_doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "policy/doc_priv.h"

/* Remembers the name; *ret_first says where it stood before, NULL if nowhere. */
int docs_claim(struct htab *names, const char *space, const char *ns, const char *name,
		 const struct doc_pos *pos, const struct doc_pos **ret_first)
{
	struct doc_pos *keep;
	char key[1024];
	int n = snprintf(key, sizeof(key), "%s %s %s", space, ns ? ns : "", name), r;

	if (n < 0 || (size_t)n >= sizeof(key))
		return -EINVAL; /* names were bounded when they were read */
	*ret_first = htab_get(names, key, (size_t)n);
	if (*ret_first)
		return 0;
	keep = malloc(sizeof(*keep));
	if (!keep)
		return -ENOMEM;
	*keep = *pos;
	r = htab_set(names, key, (size_t)n, keep, NULL);
	if (r < 0)
		free(keep);
	return r;
}

static int claim_workload(struct htab *names, const struct inventory_workload *w, const struct doc_pos *pos)
{
	char text[ADDR_STR_MAX];
	const struct doc_pos *first;
	int r = docs_claim(names, "workload", w->w.ns, w->w.name, pos, &first);

	if (r == 0)
		r = docs_claim(names, "network namespace", NULL, w->netns, pos, &first);
	for (size_t i = 0; r == 0 && i < w->w.naddrs; i++)
		r = docs_claim(names, "address", NULL, addr_str(&w->w.addrs[i], text), pos, &first);
	return r;
}

/* What former calls have added. */
int docs_claim_former(struct htab *names, const struct rule_docs *docs)
{
	const struct doc_pos *first;
	int r = 0;

	for (size_t i = 0; r == 0 && i < docs->nrules; i++)
		r = docs_claim(names, "rule", docs->rules[i].ns, docs->rules[i].name, &docs->rules_at[i], &first);
	for (size_t i = 0; r == 0 && i < docs->nmodes; i++)
		r = docs_claim(names, "mode profile", NULL, docs->modes[i].name, &docs->modes_at[i], &first);
	for (size_t i = 0; r == 0 && i < docs->nquarantines; i++)
		r = docs_claim(names, "quarantine", NULL, docs->quarantines[i].name,
			  &docs->quarantines_at[i], &first);
	for (size_t i = 0; r == 0 && i < docs->nkpolicies; i++)
		r = docs_claim(names, kpolicy_kind_str(docs->kpolicies[i].kind), docs->kpolicies[i].ns,
			       docs->kpolicies[i].name, &docs->kpolicies_at[i], &first);
	for (size_t i = 0; r == 0 && i < docs->nnamespaces; i++)
		r = docs_claim(names, "namespace", NULL, docs->namespaces[i].name, &docs->namespaces_at[i],
			  &first);
	for (size_t i = 0; r == 0 && i < docs->nservices; i++)
		r = docs_claim(names, "service", docs->services[i].ns, docs->services[i].name, &docs->services_at[i],
			       &first);
	for (size_t i = 0; r == 0 && i < docs->nworkloads; i++)
		r = claim_workload(names, &docs->workloads[i], &docs->workloads_at[i]);
	return r;
}

/* Room for one more in an array and in its positions; grown at powers of two. */
int docs_grow(void **v, struct doc_pos **at, size_t n, size_t size)
{
	size_t cap = n ? n * 2 : 1;
	void *p;

	if (n & (n - 1))
		return 0;
	p = realloc(*v, cap * size);
	if (!p)
		return -ENOMEM;
	*v = p;
	p = realloc(*at, cap * sizeof(**at));
	if (!p)
		return -ENOMEM;
	*at = p;
	return 0;
}

static void pos_free(struct rule_docs *d)
{
	free(d->rules_at);
	free(d->modes_at);
	free(d->quarantines_at);
	free(d->workloads_at);
	free(d->namespaces_at);
	free(d->kpolicies_at);
	free(d->services_at);
}

void rule_docs_done(struct rule_docs *d)
{
	for (size_t i = 0; i < d->nrules; i++)
		rule_done(&d->rules[i]);
	for (size_t i = 0; i < d->nmodes; i++)
		mode_setting_done(&d->modes[i]);
	for (size_t i = 0; i < d->nquarantines; i++)
		quarantine_done(&d->quarantines[i]);
	for (size_t i = 0; i < d->nworkloads; i++)
		inventory_workload_done(&d->workloads[i]);
	for (size_t i = 0; i < d->nnamespaces; i++)
		namespace_done(&d->namespaces[i]);
	for (size_t i = 0; i < d->nkpolicies; i++)
		kpolicy_done(&d->kpolicies[i]);
	for (size_t i = 0; i < d->nservices; i++)
		service_done(&d->services[i]);
	for (size_t i = 0; i < d->nfiles; i++)
		free(d->files[i]);
	free(d->rules);
	free(d->modes);
	free(d->quarantines);
	free(d->workloads);
	free(d->namespaces);
	free(d->kpolicies);
	free(d->services);
	free(d->files);
	pos_free(d);
	*d = (struct rule_docs){};
}

/* Room for all first, so that the move itself cannot fail half-way. */
int docs_move(struct rule_docs *from, struct rule_docs *to)
{
#define ROOM(list) ({ \
	void *v_ = NULL, *at_ = NULL; \
	size_t n_ = from->n##list + to->n##list; \
	if (from->n##list) { \
		v_ = realloc(to->list, n_ * sizeof(*to->list)); \
		if (v_) \
			to->list = v_; \
		at_ = realloc(to->list##_at, n_ * sizeof(*to->list##_at)); \
		if (at_) \
			to->list##_at = at_; \
	} \
	!from->n##list || (v_ && at_); })
#define MOVE(list) ({ \
	if (from->n##list) { \
		memcpy(to->list + to->n##list, from->list, from->n##list * sizeof(*to->list)); \
		memcpy(to->list##_at + to->n##list, from->list##_at, \
		       from->n##list * sizeof(*to->list##_at)); \
	} \
	to->n##list += from->n##list; \
	free(from->list); })
	char **files = realloc(to->files, (to->nfiles + 1) * sizeof(*files));

	if (!files)
		return -ENOMEM;
	to->files = files;
	if (!ROOM(rules) || !ROOM(modes) || !ROOM(quarantines) || !ROOM(workloads) || !ROOM(namespaces) ||
	    !ROOM(kpolicies) || !ROOM(services))
		return -ENOMEM;
	MOVE(rules);
	MOVE(modes);
	MOVE(quarantines);
	MOVE(workloads);
	MOVE(namespaces);
	MOVE(kpolicies);
	MOVE(services);
	to->files[to->nfiles++] = from->files[0];
	free(from->files);
	pos_free(from);
	*from = (struct rule_docs){};
	return 0;
#undef ROOM
#undef MOVE
}
