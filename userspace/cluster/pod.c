/* SPDX-License-Identifier: Apache-2.0 */
/* pod.c - a Pod, reduced to what a workload is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "cluster/priv.h"

#define IMAGE_MAX 1024u
#define DIGEST_HEX 64u

/* Which lists of spec and status describe the same containers. */
static const struct { const char *spec, *status; bool init; } lists[] = {
	{ "containers", "containerStatuses", false }, /* first: of a name given twice the first stands */
	{ "initContainers", "initContainerStatuses", true },
};

static bool is_sidecar(const cJSON *container)
{
	const char *s = json_str(container, "restartPolicy");

	return s && strcmp(s, "Always") == 0;
}

/* ---- how much there is ------------------------------------------------------------------- */

struct sizes { size_t labels, ports, images, addrs; };

static size_t count(const cJSON *list)
{
	const cJSON *i;
	size_t n = 0;

	if (cJSON_IsArray(list))
		cJSON_ArrayForEach(i, list)
			n++;
	return n;
}

static struct sizes sizes_of(const struct meta *m, const cJSON *spec, const cJSON *status)
{
	struct sizes n = { .labels = rd_labels_count(m->o) };
	const cJSON *i;

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		const cJSON *list = json_get(spec, lists[k].spec);

		if (!cJSON_IsArray(list))
			continue;
		cJSON_ArrayForEach(i, list) {
			n.images++;
			n.ports += count(json_get(i, "ports"));
		}
	}
	n.addrs = count(json_get(status, "podIPs")) + 1;
	/* What is beyond is refused while it is read. */
	n.ports = n.ports < CLUSTER_PORTS_MAX ? n.ports : CLUSTER_PORTS_MAX;
	n.images = n.images < 2 * CLUSTER_CONTAINERS_MAX ? n.images : 2 * CLUSTER_CONTAINERS_MAX;
	n.addrs = n.addrs < CLUSTER_ADDRS_MAX ? n.addrs : CLUSTER_ADDRS_MAX;
	return n;
}

/* One block: pod, labels, ports, images, claims; all but the last two counts are known by now. */
static struct pod *pod_new(const struct sizes *n)
{
	size_t size = sizeof(struct pod) + n->labels * sizeof(struct kv) + n->ports * sizeof(struct named_port) +
		      n->images * sizeof(struct container_image) + n->addrs * sizeof(struct claim);
	struct pod *p = calloc(1, size);

	if (!p)
		return NULL;
	p->labels = (struct kv *)(p + 1);
	p->ports = (struct named_port *)(p->labels + n->labels);
	p->images = (struct container_image *)(p->ports + n->ports);
	p->claims = (struct claim *)(p->images + n->images);
	return p;
}

static void pod_free(struct cluster *c, void *body)
{
	struct pod *p = body;

	pool_put(&c->pool, p->account);
	pool_put(&c->pool, p->node);
	pool_put(&c->pool, p->mode);
	pool_put(&c->pool, p->ref_kind);
	pool_put(&c->pool, p->ref_name);
	pool_put(&c->pool, p->guess_name);
	for (size_t i = 0; i < p->nlabels; i++) {
		pool_put(&c->pool, p->labels[i].key);
		pool_put(&c->pool, p->labels[i].value);
	}
	for (size_t i = 0; i < p->nports; i++)
		pool_put(&c->pool, p->ports[i].name);
	for (size_t i = 0; i < p->nimages; i++) {
		pool_put(&c->pool, p->images[i].name);
		pool_put(&c->pool, p->images[i].digest);
	}
	for (size_t i = 0; i < p->nclaims; i++)
		slot_put(c, p->claims[i].slot);
	if (p->owner)
		owner_put(c, p->owner);
	free(p);
}

/* ---- containers -------------------------------------------------------------------------- */

static void read_ports(struct rd *r, const cJSON *container, size_t room, struct pod *p)
{
	const cJSON *list = rd_list(r, container, "ports", CLUSTER_PORTS_MAX), *v;
	size_t mark = doc_enter(&r->d, "ports"), i = 0, item;

	cJSON_ArrayForEach(v, list) {
		const char *name;
		int64_t port = 0;
		uint8_t proto;
		bool had = false;

		item = doc_enter_index(&r->d, i++);
		name = rd_word(r, v, "name", is_port_name, "15 lowercase letters, digits and single inner '-', at most");
		proto = rd_proto(r, v, "protocol");
		if (name && !rd_int(r, v, "containerPort", 1, 65535, &port) && !json_get(v, "containerPort"))
			rd_fault(r, NULL, "missing-field", "containerPort: ...", "the field \"containerPort\" is missing");
		for (size_t k = 0; k < p->nports && name && !had; k++)
			had = p->ports[k].name && p->ports[k].proto == proto && strcmp(p->ports[k].name, name) == 0;
		if (name && port && !had && p->nports >= room)
			rd_fault(r, NULL, "too-many", "fewer named ports", "the pod names more than %u ports", CLUSTER_PORTS_MAX);
		else if (name && port && !had)
			p->ports[p->nports++] = (struct named_port){ (char *)rd_pool(r, name), proto, (uint16_t)port };
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
}

/* "sha256:..." of "docker-pullable://registry/web@sha256:...", or NULL. Points into s. */
static const char *digest_of(const char *s)
{
	const char *d = NULL;

	for (const char *at = s; (at = strstr(at, "sha256:")); at++)
		d = at;
	if (!d || strlen(d) != 7 + DIGEST_HEX || strspn(d + 7, "0123456789abcdef") != DIGEST_HEX ||
	    (d != s && d[-1] != '@' && d[-1] != '/'))
		return NULL;
	return d;
}

static const cJSON *status_of(const cJSON *statuses, const char *name)
{
	const cJSON *v;

	if (!cJSON_IsArray(statuses) || !name)
		return NULL;
	cJSON_ArrayForEach(v, statuses) {
		const char *s = json_str(v, "name");

		if (s && strcmp(s, name) == 0)
			return v;
	}
	return NULL;
}

static void add_image(struct rd *r, const cJSON *container, const cJSON *statuses, size_t room, struct pod *p)
{
	const char *image = rd_text(r, container, "image", IMAGE_MAX);
	const char *id = json_str(status_of(statuses, json_str(container, "name")), "imageID");
	const char *name = image && *image ? rd_pool(r, image) : NULL, *digest;

	if (!name)
		return;
	digest = id ? rd_pool(r, digest_of(id)) : NULL;
	/* Pooled: the same text is the same pointer. */
	for (size_t i = 0; i < p->nimages; i++) {
		if (p->images[i].name != name || p->images[i].digest != digest)
			continue;
		pool_put(&r->c->pool, name);
		pool_put(&r->c->pool, digest);
		return;
	}
	if (p->nimages < room) {
		p->images[p->nimages++] = (struct container_image){ (char *)name, (char *)digest };
	} else {
		pool_put(&r->c->pool, name);
		pool_put(&r->c->pool, digest);
	}
}

static void read_containers(struct rd *r, const cJSON *spec, const cJSON *status, const struct sizes *n, struct pod *p)
{
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t mark = doc_enter(&r->d, "spec"), i = 0, item;
		const cJSON *list = rd_list(r, spec, lists[k].spec, CLUSTER_CONTAINERS_MAX), *v;
		const cJSON *statuses = json_get(status, lists[k].status);

		doc_enter(&r->d, lists[k].spec);
		if (count(statuses) > CLUSTER_CONTAINERS_MAX)
			statuses = NULL;
		cJSON_ArrayForEach(v, list) {
			item = doc_enter_index(&r->d, i++);
			if (!cJSON_IsObject(v))
				rd_fault(r, v, "type", "an object", "this is no container");
			/* What has run before the others start listens no more. */
			if (!lists[k].init || is_sidecar(v))
				read_ports(r, v, n->ports, p);
			add_image(r, v, statuses, n->images, p);
			doc_leave(&r->d, item);
		}
		doc_leave(&r->d, mark);
	}
}

/* ---- does it live ------------------------------------------------------------------------ */

static bool is_terminated(const cJSON *status)
{
	return cJSON_IsObject(json_get(json_get(status, "state"), "terminated"));
}

static bool any_running(const cJSON *statuses)
{
	const cJSON *v;

	if (cJSON_IsArray(statuses))
		cJSON_ArrayForEach(v, statuses)
			if (cJSON_IsObject(json_get(json_get(v, "state"), "running")))
				return true;
	return false;
}

/* A pod that is being deleted keeps sending until its last container has ended. */
static bool lives(const struct meta *m, const cJSON *spec, const cJSON *status)
{
	const char *phase = json_str(status, "phase");
	const cJSON *statuses = json_get(status, "containerStatuses"), *v;

	if (phase && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0))
		return false;
	if (!m->deleting || !count(statuses) || count(statuses) < count(json_get(spec, "containers")))
		return true;
	cJSON_ArrayForEach(v, statuses)
		if (!is_terminated(v))
			return true;
	return any_running(json_get(status, "initContainerStatuses")) ||
	       any_running(json_get(status, "ephemeralContainerStatuses"));
}

static void later(int64_t *t, const char *text)
{
	int64_t ns;

	if (text && parse_time_ns(text, &ns) == 0 && ns > *t)
		*t = ns;
}

/*
 * When it showed last that its network is new, or was there to start something in: that tells who has an
 * address since a node came up again and gave old pods other ones, each by what another one still says.
 * What cannot be read says nothing.
 */
static int64_t fresh(const struct meta *m, const cJSON *status)
{
	const cJSON *conditions = json_get(status, "conditions"), *v;
	int64_t t = m->created_ns;

	if (cJSON_IsArray(conditions))
		cJSON_ArrayForEach(v, conditions) {
			const char *type = json_str(v, "type"), *is = json_str(v, "status");

			if (type && is && strcmp(is, "True") == 0 &&
			    (strcmp(type, "PodReadyToStartContainers") == 0 || strcmp(type, "PodHasNetwork") == 0))
				later(&t, json_str(v, "lastTransitionTime"));
		}
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		const cJSON *statuses = json_get(status, lists[k].status);

		if (cJSON_IsArray(statuses))
			cJSON_ArrayForEach(v, statuses)
				later(&t, json_str(json_get(json_get(v, "state"), "running"), "startedAt"));
	}
	return t;
}

static void add_claim(struct rd *r, const cJSON *v, size_t room, struct pod *p)
{
	struct slot *s;
	struct addr a;

	if (!rd_addr(r, v, &a))
		return;
	if ((addr_is_v4(&a) && a.b[12] == 169 && a.b[13] == 254) ||
	    (!addr_is_v4(&a) && a.b[0] == 0xfe && (a.b[1] & 0xc0) == 0x80))
		return; /* link-local: the endpoint's own */
	for (size_t i = 0; i < p->nclaims; i++)
		if (addr_cmp(&p->claims[i].slot->addr, &a) == 0)
			return;
	if (p->nclaims >= room)
		return;
	s = slot_get(r->c, &a);
	if (!s) {
		rd_nomem(r);
		return;
	}
	p->claims[p->nclaims++] = (struct claim){ .slot = s, .pod = p };
}

static void read_addrs(struct rd *r, const cJSON *status, size_t room, struct pod *p)
{
	size_t mark = doc_enter(&r->d, "status"), i = 0, item;
	const cJSON *ips = rd_list(r, status, "podIPs", CLUSTER_ADDRS_MAX), *v, *ip = json_get(status, "podIP");

	doc_enter(&r->d, "podIPs");
	cJSON_ArrayForEach(v, ips) {
		const cJSON *text = cJSON_IsObject(v) ? json_get(v, "ip") : v;

		item = doc_enter_index(&r->d, i++);
		if (text)
			add_claim(r, text, room, p);
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
	if (i || !ip || (cJSON_IsString(ip) && !*ip->valuestring) || cJSON_IsNull(ip))
		return;
	mark = doc_enter(&r->d, "status.podIP");
	add_claim(r, ip, room, p);
	doc_leave(&r->d, mark);
}

/* ---- who owns it ------------------------------------------------------------------------- */

/* Deployments name their ReplicaSets NAME-HASH, with letters that make no words. */
static const char *guess(struct rd *r, const struct meta *m, const struct owner_ref *ref)
{
	const char *hash = json_str(json_get(m->o, "labels"), "pod-template-hash");
	const char *generate = json_str(m->o, "generateName");
	size_t n = strlen(ref->name), h = hash ? strlen(hash) : 0;
	const char *p;

	if (strcmp(ref->kind, "ReplicaSet") != 0 || !ref->api || strncmp(ref->api, "apps/", 5) != 0)
		return NULL;
	if (!h || h > 10 || hash[strspn(hash, "bcdfghjklmnpqrstvwxz2456789")] || n < h + 2)
		return NULL;
	if (ref->name[n - h - 1] != '-' || strcmp(ref->name + n - h, hash) != 0)
		return NULL;
	if (!generate || strncmp(generate, ref->name, n) != 0 || strcmp(generate + n, "-") != 0)
		return NULL;
	p = pool_get_n(&r->c->pool, ref->name, n - h - 1);
	if (!p)
		rd_nomem(r);
	return p;
}

static void read_owner(struct rd *r, const struct meta *m, struct pod *p)
{
	struct owner_ref ref;

	if (!meta_controller(r, m, &ref) || strcmp(ref.kind, "Node") == 0)
		return; /* static pods have no controller */
	p->ref_kind = rd_pool(r, ref.kind);
	p->ref_name = rd_pool(r, ref.name);
	p->owner = ref.uid ? owner_get(r, ref.uid) : NULL;
	p->guess_name = guess(r, m, &ref);
}

/* ---- the body ---------------------------------------------------------------------------- */

static void read_spec(struct rd *r, const cJSON *spec, struct pod *p)
{
	size_t mark = doc_enter(&r->d, "spec");
	const char *account = rd_word(r, spec, "serviceAccountName", is_dns_name, "the name of a service account");

	p->account = rd_pool(r, account);
	p->node = rd_pool(r, rd_word(r, spec, "nodeName", is_dns_name, "the name of a node"));
	p->host_network = rd_bool(r, spec, "hostNetwork", false);
	doc_leave(&r->d, mark);
}

static void *pod_read(struct rd *r, const struct meta *m, const cJSON *obj)
{
	const cJSON *spec = rd_object(r, obj, "spec"), *status = rd_object(r, obj, "status");
	const struct sizes n = sizes_of(m, spec, status);
	struct pod *p = pod_new(&n);
	size_t labels = 0;

	if (!p) {
		rd_nomem(r);
		return NULL;
	}
	rd_labels_pooled(r, m->o, p->labels, &labels);
	p->nlabels = (uint16_t)labels;
	read_spec(r, spec, p);
	read_containers(r, spec, status, &n, p);
	read_owner(r, m, p);
	p->alive = lives(m, spec, status);
	if (p->alive && !p->host_network)
		read_addrs(r, status, n.addrs, p);
	p->fresh_ns = fresh(m, status);
	if (r->d.faults || r->nomem) {
		pod_free(r->c, p);
		return NULL;
	}
	p->mode = rd_pool(r, rd_mode(r, m->o));
	return p;
}

static void pod_link(struct cluster *c, struct obj *o)
{
	struct pod *p = o->body;

	p->obj = o;
	if (p->owner)
		owner_add_pod(p->owner, p);
	for (size_t i = 0; i < p->nclaims; i++)
		claim_add(c, &p->claims[i]);
}

static void pod_unlink(struct cluster *c, struct obj *o)
{
	struct pod *p = o->body;

	if (p->owner)
		owner_del_pod(p->owner, p);
	for (size_t i = 0; i < p->nclaims; i++)
		claim_del(c, &p->claims[i]);
}

const struct kind_ops pod_ops = { .read = pod_read, .free = pod_free, .link = pod_link, .unlink = pod_unlink };

/* ---- what is told of it ------------------------------------------------------------------ */

bool pod_is_workload(const struct pod *p)
{
	return p && p->alive && !p->host_network;
}

void pod_view(const struct pod *p, bool only_kept, struct addr *addrs, struct workload *ret)
{
	const struct obj *o = p->obj;
	const char *kind, *name, *mode;
	size_t n = 0;

	owner_resolve(p, &kind, &name, &mode);
	for (size_t i = 0; i < p->nclaims; i++) {
		const struct slot *s = p->claims[i].slot;

		if (s->owner == p && (!only_kept || s->handed == o))
			addrs[n++] = s->addr;
	}
	*ret = (struct workload){
		.ns = (char *)o->ns, .name = (char *)o->name, .uid = *o->uid ? (char *)o->uid : NULL,
		.labels = { p->labels, p->nlabels }, .controller_kind = (char *)kind, .controller_name = (char *)name,
		.service_account = (char *)p->account, .node = (char *)p->node, .addrs = n ? addrs : NULL, .naddrs = n,
		.ports = p->ports, .nports = p->nports, .mode_label = (char *)mode,
		.images = p->images, .nimages = p->nimages,
	};
}

int pod_digest(struct cluster *c, const struct workload *w, uint64_t *ret)
{
	digest_labels(c, w->labels.v, w->labels.n);
	digest_text(c, w->controller_kind);
	digest_text(c, w->controller_name);
	digest_text(c, w->service_account);
	digest_text(c, w->node);
	digest_text(c, w->mode_label);
	digest_bytes(c, w->addrs, w->naddrs * sizeof(*w->addrs));
	digest_bytes(c, &w->nports, sizeof(w->nports));
	for (size_t i = 0; i < w->nports; i++) {
		const uint32_t port = (uint32_t)w->ports[i].proto << 16 | w->ports[i].port;

		digest_text(c, w->ports[i].name);
		digest_bytes(c, &port, sizeof(port));
	}
	for (size_t i = 0; i < w->nimages; i++) {
		digest_text(c, w->images[i].name);
		digest_text(c, w->images[i].digest);
	}
	return digest_done(c, ret);
}

void pod_release(struct cluster *c, struct obj *o)
{
	while (o->slots)
		slot_hand(c, o->slots, NULL);
}
