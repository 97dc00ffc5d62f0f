/* SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

#include "base/cleanup.h"

static const struct cni_adapter *const all[] = {
	&cni_cilium,
	&cni_generic_veth, /* last: fits everywhere, so it must not win an even match */
};

const struct cni_adapter *cni_adapter_surest(const struct cni_adapter *const *a, size_t n,
					     int confdir_fd)
{
	const struct cni_adapter *best = NULL;
	int best_sure = 0;

	for (size_t i = 0; i < n; i++) {
		int sure = a[i]->probe(confdir_fd);

		if (sure > best_sure) {
			best = a[i];
			best_sure = sure;
		}
	}
	return best;
}

const struct cni_adapter *cni_adapter_pick(int confdir_fd)
{
	const struct cni_adapter *a = cni_adapter_surest(all, ARRAY_SIZE(all), confdir_fd);

	return a ? a : &cni_generic_veth;
}

bool cni_at_ingress(const struct cni_place *p, enum cni_way w)
{
	return (p->side == CNI_SIDE_HOST) == (w == CNI_FROM_POD);
}

bool cni_place_same(const struct cni_place *a, const struct cni_place *b)
{
	return a->side == b->side && a->hook == b->hook && a->ifindex == b->ifindex &&
	       (a->hook == CNI_HOOK_NONE || netns_key_same(&a->netns, &b->netns));
}

enum cni_guard cni_endpoint_guard(const struct cni_endpoint *e)
{
	enum cni_guard f = e->way[CNI_FROM_POD].guard, t = e->way[CNI_TO_POD].guard;

	return f > t ? f : t;
}

bool cni_endpoint_hooked(const struct cni_endpoint *e)
{
	return e->way[CNI_FROM_POD].hook != CNI_HOOK_NONE || e->way[CNI_TO_POD].hook != CNI_HOOK_NONE;
}

const char *cni_side_str(enum cni_side s)
{
	static const char *const t[] = {
		[CNI_SIDE_NONE] = "-", [CNI_SIDE_HOST] = "host", [CNI_SIDE_POD] = "pod",
	};

	return (size_t)s < ARRAY_SIZE(t) ? t[s] : "?";
}

const char *cni_guard_str(enum cni_guard g)
{
	static const char *const t[] = {
		[CNI_GUARDED] = "guarded", [CNI_BYPASSABLE] = "bypassable", [CNI_BLIND] = "blind",
	};

	return (size_t)g < ARRAY_SIZE(t) ? t[g] : "?";
}
