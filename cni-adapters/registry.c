/* SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

#include "base/cleanup.h"

static const struct cni_adapter *const all[] = {
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

bool cni_from_pod_is_ingress(const struct cni_endpoint *e)
{
	return e->side == CNI_SIDE_HOST;
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
