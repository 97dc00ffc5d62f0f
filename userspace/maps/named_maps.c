/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/named_maps.h"

#include <bpf/bpf.h>
#include <string.h>

#include "maps/maps_priv.h"

/*
 * The text backwards, so that what a longer name ends in comes first. An exact name ends in a zero,
 * which no name has inside; "*.example.com" ends in the dot that must follow.
 */
static int pattern_key(const char *pattern, struct cw_dns_pattern_key *ret)
{
	bool wild = !strncmp(pattern, "*.", 2);
	const char *body = wild ? pattern + 2 : pattern;
	size_t n = strlen(body);

	if (!n || n >= CW_DNS_NAME_MAX || body[n - 1] == '.')
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < n; i++)
		ret->text[i] = body[n - 1 - i];
	if (wild)
		ret->text[n] = '.';
	ret->plen = (uint32_t)(n + 1) * 8;
	return 0;
}

int pattern_map_set(struct maps *m, const char *pattern, uint32_t cls)
{
	struct cw_dns_pattern_key k;
	int r = pattern_key(pattern, &k);

	return r < 0 ? r : map_full(bpf_map_update_elem(m->fd[M_DNS_PATTERN], &k, &cls, BPF_ANY));
}

int pattern_map_del(struct maps *m, const char *pattern)
{
	struct cw_dns_pattern_key k;
	int r = pattern_key(pattern, &k);

	r = r < 0 ? r : bpf_map_delete_elem(m->fd[M_DNS_PATTERN], &k);
	return r == -ENOENT ? 0 : r;
}

int pattern_map_match(const struct maps *m, const char *name, uint32_t *ret)
{
	struct cw_dns_pattern_key k;
	uint32_t cls;
	int r = pattern_key(name, &k);

	if (r < 0)
		return r;
	r = bpf_map_lookup_elem(m->fd[M_DNS_PATTERN], &k, &cls);
	if (!r)
		*ret = cls;
	return r;
}

int named_map_set(struct maps *m, uint32_t eid, uint32_t cls, uint32_t named)
{
	struct cw_named_key k = { .eid = eid, .cls = cls };

	return map_full(bpf_map_update_elem(m->fd[M_NAMED], &k, &named, BPF_ANY));
}

int named_map_del(struct maps *m, uint32_t eid, uint32_t cls)
{
	struct cw_named_key k = { .eid = eid, .cls = cls };
	int r = bpf_map_delete_elem(m->fd[M_NAMED], &k);

	return r == -ENOENT ? 0 : r;
}

int named_map_get(const struct maps *m, uint32_t eid, uint32_t cls, uint32_t *ret)
{
	struct cw_named_key k = { .eid = eid, .cls = cls };
	uint32_t named;
	int r = bpf_map_lookup_elem(m->fd[M_NAMED], &k, &named);

	if (!r)
		*ret = named;
	return r;
}

void ctl_names(struct maps *m, uint32_t classes)
{
	struct cw_ctl *c = m->mem[M_CTL];

	__atomic_store_n(&c->names, classes, __ATOMIC_RELEASE);
}
