/* SPDX-License-Identifier: Apache-2.0 */
/* cni_doc.c - an attachment as the plugin describes it: names, and the addresses of a CNI result. */
#include <errno.h>
#include <string.h>

#include "agent/cni.h"
#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/vec.h"

#define TEXT_MAX 4096u

static int bad(struct fail_list *f, const char *key, const char *expected)
{
	(void)fail_add(f, -EINVAL, "cni.field", key, expected, NULL, "the field is missing or has a wrong value");
	return -EINVAL;
}

/* Absent: NULL when it may be. */
static int text(const cJSON *o, const char *key, bool required, struct fail_list *f, char **ret)
{
	const cJSON *v = json_get(o, key);
	const char *s = json_str(o, key);

	if (!v && !required)
		return 0;
	if (!s || (!*s && required) || strlen(s) > TEXT_MAX)
		return bad(f, key, "a string");
	free(*ret);
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

/* Addresses that the workload itself has: those of interfaces inside its sandbox, or of no interface. */
static bool in_sandbox(const cJSON *result, const cJSON *ip)
{
	const cJSON *ifs = json_get(result, "interfaces"), *k = json_get(ip, "interface"), *i;

	if (!cJSON_IsNumber(k) || !cJSON_IsArray(ifs) || k->valuedouble < 0 || k->valuedouble > 1e6)
		return true;
	i = cJSON_GetArrayItem(ifs, (int)k->valuedouble);
	return !i || (json_str(i, "sandbox") && *json_str(i, "sandbox"));
}

static int addresses(const cJSON *result, struct fail_list *f, struct cni_attachment *at)
{
	const cJSON *ips = json_get(result, "ips"), *ip;
	struct { struct addr *v; size_t n, cap; } all = { };

	if (!ips || cJSON_IsNull(ips))
		return 0;
	if (!cJSON_IsArray(ips))
		return bad(f, "body.result.ips", "a list");
	cJSON_ArrayForEach(ip, ips) {
		const char *s = json_str(ip, "address");
		char buf[PREFIX_STR_MAX];
		struct addr a;

		if (!s || strlen(s) >= sizeof(buf)) {
			vec_done(&all);
			return bad(f, "body.result.ips[].address", "an address with its prefix length");
		}
		memcpy(buf, s, strlen(s) + 1);
		buf[strcspn(buf, "/")] = 0;
		if (addr_parse(buf, &a)) {
			vec_done(&all);
			return bad(f, "body.result.ips[].address", "an address with its prefix length");
		}
		if (!in_sandbox(result, ip))
			continue;
		/* Beyond the limit they are found inside, and not waited for. */
		if (all.n < CNI_ADDRS_MAX && vec_push(&all, a)) {
			vec_done(&all);
			return -ENOMEM;
		}
	}
	at->addrs = all.v;
	at->naddrs = all.n;
	return 0;
}

/* Without a pod's name the container's id is the name. */
static int named(struct fail_list *f, struct cni_attachment *at)
{
	char name[64];
	size_t n = 0;

	if (!at->ns != !at->name)
		return bad(f, "namespace, name", "both or none");
	if (at->ns)
		return is_dns_label(at->ns) && is_dns_name(at->name) ? 0 : bad(f, "namespace, name", "names of Kubernetes");
	for (const char *s = at->id; *s && n < sizeof(name) - 1; s++)
		name[n++] = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s == '_' ? '-' : *s;
	while (n && (name[n - 1] == '-' || name[n - 1] == '.'))
		n--;
	name[n] = 0;
	at->ns = strdup("default");
	at->name = strdup(is_dns_name(name) ? name : "container");
	return at->ns && at->name ? 0 : -ENOMEM;
}

int cni_attachment_read(const cJSON *o, struct fail_list *f, struct cni_attachment *ret)
{
	struct cni_attachment at = { };
	const cJSON *result = json_get(o, "result");
	int r = cJSON_IsObject(o) ? 0 : bad(f, "body", "an object");

	r = r ?: text(o, "containerID", true, f, &at.id);
	r = r ?: text(o, "ifname", true, f, &at.ifname);
	r = r ?: text(o, "network", true, f, &at.network);
	r = r ?: text(o, "netns", false, f, &at.netns);
	r = r ?: text(o, "namespace", false, f, &at.ns);
	r = r ?: text(o, "name", false, f, &at.name);
	r = r ?: text(o, "uid", false, f, &at.uid);
	if (!r && (strlen(at.id) > 128 || strchr(at.id, '/') || *at.id == '.'))
		r = bad(f, "containerID", "an id of at most 128 bytes");
	if (!r && (strlen(at.ifname) >= LINK_NAME_MAX || strchr(at.ifname, '/')))
		r = bad(f, "ifname", "the name of an interface");
	if (!r && at.netns && *at.netns != '/')
		r = bad(f, "netns", "an absolute path");
	r = r ?: named(f, &at);
	if (!r && result && !cJSON_IsObject(result))
		r = bad(f, "result", "an object");
	r = r ?: addresses(result, f, &at);
	if (r) {
		free(at.id);
		free(at.ifname);
		free(at.network);
		free(at.netns);
		free(at.ns);
		free(at.name);
		free(at.uid);
		free(at.addrs);
		return r;
	}
	*ret = at;
	return 0;
}

void cni_attachment_free(struct cni_attachment *at)
{
	if (!at)
		return;
	free(at->id);
	free(at->ifname);
	free(at->network);
	free(at->netns);
	free(at->ns);
	free(at->name);
	free(at->uid);
	free(at->addrs);
	free(at);
}
