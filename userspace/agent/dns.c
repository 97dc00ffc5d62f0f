/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.c - the part of names that is not done packet by packet: whose answers are believed, how long
 * a mapping lives, and what becomes of it when a workload or this process goes.
 *
 * A mapping lives for the time its record gave, a grace, and as long as a flow uses it: what a
 * workload has open is not cut because a change came after the name's time. Tables are walked in
 * pieces from the sweep's timer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "dns"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/vec.h"
#include "maps/dns_maps.h"

#define SCAN_NS 5000000000ull	    /* between two looks for what is over */
#define NAMES_NS 60000000000ull	    /* between two looks for names that nothing refers to */
#define DUE_MAX 8192u		    /* mappings of one look; the rest waits for the next */
#define FLOW_BUDGET 20000u	    /* flows looked at per tick */
#define NAME_IDLE_S 60u		    /* a name just told may be about to be referred to */
#define NAME_EVICT_S 10u
#define UNSEEN_NS 3600000000000ull  /* between two notes about one workload */
#define SERVICES_MAX 1024u	    /* addresses of DNS services; the table of resolvers has 4096 */
#define PORT_DNS 53u
#define PORT_DNS_TLS 853u

enum { DUE = 1, DUE_USED };

struct agent_dns {
	uint32_t names_max;	/* per workload, as configured */
	bool cluster;		/* believe every resolver of the cluster */
	struct prefixes { struct prefix *v; size_t n, cap; } services, next; /* addresses of DNS services */
	struct htab *due;	/* keys whose time is over, during a look */
	struct htab *kept;	/* and that a flow used lately: when, in seconds since the start */
	struct htab *unseen;	/* workload number to seconds of the last note */
	struct flow_cursor flows;
	bool looking;
	uint64_t scan_ns, names_ns, start_ns;
	uint64_t no_room;	/* of the counters, at the last look */
	uint8_t *gone;		/* a bit per workload number that was given back */
	bool any_gone;
	uint64_t expired, dropped_names;
};

/* ---- resolvers ------------------------------------------------------------------------------------- */

static struct prefix full(const struct addr *a)
{
	bool v6 = !addr_is_v4(a);

	return (struct prefix){ .addr = *a, .plen = v6 ? 128 : 32, .v6 = v6 };
}

static bool prefixes_have(const struct prefixes *l, const struct prefix *p)
{
	for (size_t i = 0; i < l->n; i++)
		if (!prefix_cmp(&l->v[i], p))
			return true;
	return false;
}

/*
 * Nobody inside needs to be named: a workload's resolver is the cluster's own. Outside it could be
 * anybody's: with a resolver of its own a workload could give any address any name. Who trusts
 * not even the other workloads names the resolvers, and then those alone count.
 */
static int resolvers_set(struct agent *a)
{
	static const char *const all[] = { "0.0.0.0/0", "::/0" };
	struct prefix p;
	int r = 0;

	for (size_t i = 0; !r && i < a->cfg.nresolvers; i++)
		r = dns_resolver_set(a->maps, &a->cfg.resolvers[i], CW_RESOLVER_YES);
	for (size_t i = 0; !r && !a->cfg.nresolvers && i < ARRAY_SIZE(all); i++) {
		r = prefix_parse(all[i], &p);
		if (!r)
			r = dns_resolver_set(a->maps, &p, CW_RESOLVER_CLUSTER);
	}
	return r;
}

static bool service_answers_dns(const struct service *s)
{
	for (size_t i = 0; i < s->nports; i++)
		if (s->ports[i].proto == IPPROTO_UDP && s->ports[i].port == PORT_DNS)
			return true;
	return false;
}

/* A DNS service's address may lie outside of the cluster's CIDRs, and is the cluster's own still. */
int agent_dns_prepare(struct agent *a, const struct policy_state *next)
{
	struct agent_dns *d = a->dns;

	d->next.n = 0;
	for (size_t i = 0; d->cluster && i < next->nservices; i++) {
		const struct service *s = &next->services[i];

		for (size_t k = 0; service_answers_dns(s) && k < s->naddrs && d->next.n < SERVICES_MAX; k++)
			if (vec_push(&d->next, full(&s->addrs[k])))
				return -ENOMEM;
	}
	return 0;
}

static void services_commit(struct agent *a)
{
	struct agent_dns *d = a->dns;
	struct prefixes old;

	for (size_t i = 0; i < d->next.n; i++)
		if (!prefixes_have(&d->services, &d->next.v[i]) &&
		    dns_resolver_set(a->maps, &d->next.v[i], CW_RESOLVER_YES))
			log_warn(-ENOSPC, "no room for a resolver's address");
	for (size_t i = 0; i < d->services.n; i++)
		if (!prefixes_have(&d->next, &d->services.v[i]))
			(void)dns_resolver_del(a->maps, &d->services.v[i]); /* only believed too long */
	old = d->services;
	d->services = d->next;
	d->next = old;
}

/* ---- workloads that are gone ----------------------------------------------------------------------- */

void agent_dns_wl_gone(struct agent *a, uint32_t wl)
{
	if (wl >= a->room.wls)
		return;
	a->dns->gone[wl / 8] |= (uint8_t)(1u << wl % 8);
	a->dns->any_gone = true;
}

static void gone_clear(struct agent *a);

void agent_dns_wl_taken(struct agent *a, uint32_t wl)
{
	if (wl < a->room.wls && a->dns->gone[wl / 8] & 1u << wl % 8)
		gone_clear(a);
}

struct keys {
	struct agent *a;
	struct { struct cw_fqdn_key *v; size_t n, cap; } l;
};

static int gone_one(void *arg, const struct cw_fqdn_key *k, const struct cw_fqdn *v)
{
	struct keys *x = arg;
	const uint8_t *gone = x->a->dns->gone;

	(void)v;
	if (k->wl >= x->a->room.wls || !(gone[k->wl / 8] & 1u << k->wl % 8))
		return 0;
	return vec_push(&x->l, *k);
}

/* Before the number can mean another workload, what it stood for has no names any more. */
static void gone_clear(struct agent *a)
{
	struct agent_dns *d = a->dns;
	struct keys x = { .a = a };
	struct addr addr;
	int r;

	if (!d->any_gone)
		return;
	r = dns_addr_walk(a->maps, gone_one, &x);
	for (size_t i = 0; i < x.l.n; i++) {
		memcpy(addr.b, x.l.v[i].addr, 16);
		if (!r)
			r = dns_del(a->maps, x.l.v[i].wl, &addr);
	}
	vec_done(&x.l);
	if (r < 0) {
		log_warn(r, "names of workloads that are gone not cleared, retrying");
		return;
	}
	memset(d->gone, 0, (a->room.wls + 7) / 8);
	d->any_gone = false;
}

void agent_dns_commit(struct agent *a)
{
	services_commit(a);
	gone_clear(a);
}

void agent_dns_share(struct agent *a)
{
	uint32_t n = a->nwls > 8 ? (uint32_t)a->nwls : 8, fair = a->room.fqdns / n;

	if (a->dns)
		dns_share(a->maps, a->dns->names_max < fair ? a->dns->names_max : fair);
}

/* ---- time -------------------------------------------------------------------------------------------- */

static uintptr_t secs(const struct agent_dns *d)
{
	return (uintptr_t)((agent_mono_ns() - d->start_ns) / 1000000000ull) + 1;
}

struct look {
	struct agent *a;
	uint32_t now;
	int r;
};

static int due_one(void *arg, const struct cw_fqdn_key *k, const struct cw_fqdn *v)
{
	struct look *x = arg;
	struct agent_dns *d = x->a->dns;
	bool over = false;

	for (unsigned i = 0; i < CW_FQDN_NAMES; i++)
		over |= v->name[i].hash && (int32_t)(v->name[i].until - x->now) < 0;
	if (!over || htab_count(d->due) >= DUE_MAX)
		return 0;
	return htab_set(d->due, k, sizeof(*k), (void *)(uintptr_t)DUE, NULL);
}

/* A flow that a local workload opened keeps what its destination goes by. */
static int flow_one(void *arg, const struct flow_row *r)
{
	struct look *x = arg;
	struct agent *a = x->a;
	uint32_t ep = r->flow.side[CW_EGRESS].ep;
	const struct addr *dst = r->flow.flags & CW_FLOW_F_B_ORIG ? &r->a : &r->b;
	struct cw_fqdn_key k = { };

	if (!ep || ep >= a->room.eps || !a->wl_of_ep[ep] || r->flow.state == CW_FLOW_CLOSED)
		return 0;
	k.wl = a->wl_of_ep[ep]->wl;
	memcpy(k.addr, dst->b, 16);
	if (htab_has(a->dns->due, &k, sizeof(k)))
		(void)htab_set(a->dns->due, &k, sizeof(k), (void *)(uintptr_t)DUE_USED, NULL); /* it is there: no memory needed */
	return 0;
}

static void due_apply(struct agent *a, uint32_t now)
{
	struct agent_dns *d = a->dns;
	uintptr_t t = secs(d), last;
	struct cw_fqdn_key k;
	size_t it = 0, len;
	const void *key;
	void *v;

	while (htab_next(d->due, &it, &key, &len, &v)) {
		memcpy(&k, key, sizeof(k));
		if ((uintptr_t)v == DUE_USED) {
			(void)htab_set(d->kept, &k, sizeof(k), (void *)t, NULL); /* forgotten: it ends with its flow */
			continue;
		}
		last = (uintptr_t)htab_get(d->kept, &k, sizeof(k));
		if (last && t - last < a->cfg.dns_grace)
			continue;
		(void)htab_del(d->kept, &k, sizeof(k));
		if (dns_expire(a->maps, &k, now) == 1)
			d->expired++;
	}
	/* Renewed by an answer meanwhile, or its workload is gone. */
	it = 0;
	while (htab_next(d->kept, &it, &key, &len, &v)) {
		memcpy(&k, key, sizeof(k));
		if (t - (uintptr_t)v > 2 * (uintptr_t)a->cfg.dns_grace)
			(void)htab_del(d->kept, &k, sizeof(k));
	}
	it = 0;
	while (htab_next(d->due, &it, &key, &len, &v)) {
		memcpy(&k, key, sizeof(k));
		(void)htab_del(d->due, &k, sizeof(k));
	}
}

/* ---- names nothing refers to ---------------------------------------------------------------------------- */

struct orphan { uint64_t hash; struct cw_dns_name v; };
struct orphans {
	struct agent *a;
	struct htab *refs;
	uint32_t now, all;
	bool tight;	/* the table is nearly full: what no rule speaks of goes too */
	struct { struct orphan *v; size_t n, cap; } l;
};

static int ref_one(void *arg, const struct cw_fqdn_key *k, const struct cw_fqdn *v)
{
	struct orphans *o = arg;

	(void)k;
	for (unsigned i = 0; i < CW_FQDN_NAMES; i++)
		if (v->name[i].hash && htab_set_u64(o->refs, v->name[i].hash, o))
			return -ENOMEM;
	return 0;
}

static int count_one(void *arg, uint64_t hash, const struct cw_dns_name *v)
{
	(void)hash;
	(void)v;
	++*(uint32_t *)arg;
	return 0;
}

static int orphan_one(void *arg, uint64_t hash, const struct cw_dns_name *v)
{
	struct orphans *o = arg;
	uint32_t idle = o->now - v->last, hz = o->a->hz;
	bool unused = !htab_get_u64(o->refs, hash) && idle > NAME_IDLE_S * hz;
	struct orphan x = { .hash = hash, .v = *v };

	if ((int32_t)idle < 0 || !(unused || (o->tight && !v->cls && idle > NAME_EVICT_S * hz)))
		return 0;
	return vec_push(&o->l, x);
}

static void names_collect(struct agent *a, uint32_t now)
{
	struct orphans o = { .a = a, .now = now, .refs = htab_new() };
	int r = o.refs ? dns_name_walk(a->maps, count_one, &o.all) : -ENOMEM;

	o.tight = o.all >= a->room.dns_names / 8 * 7;
	if (!r)
		r = dns_addr_walk(a->maps, ref_one, &o);
	if (!r)
		r = dns_name_walk(a->maps, orphan_one, &o);
	for (size_t i = 0; !r && i < o.l.n; i++)
		r = dns_name_del(a->maps, o.l.v[i].hash);
	/* An answer may have taken one up between the look and the deletion. */
	htab_free(o.refs, NULL);
	o.refs = o.l.n ? htab_new() : NULL;
	if (!r && o.refs && !dns_addr_walk(a->maps, ref_one, &o))
		for (size_t i = 0; i < o.l.n; i++)
			if (o.l.v[i].v.cls && htab_get_u64(o.refs, o.l.v[i].hash))
				r = dns_name_restore(a->maps, o.l.v[i].hash, &o.l.v[i].v);
	a->dns->dropped_names += o.l.n;
	htab_free(o.refs, NULL);
	vec_done(&o.l);
	if (r < 0)
		log_warn(r, "names not collected, retrying");
}

void agent_dns_tick(struct agent *a)
{
	struct agent_dns *d = a->dns;
	uint64_t now_ns = agent_mono_ns(), stats[CW_DNS_COUNTS];
	struct look x = { .a = a };
	struct maps_clock c;
	int r;

	if (maps_clock(a->maps, loader_set_prog_fd(a->set, "cw_now"), a->hz, &c))
		return;
	x.now = (uint32_t)c.jiffies;
	gone_clear(a);
	if (!d->looking) {
		bool full = !dns_stats(a->maps, stats) && stats[CW_DNS_NO_ROOM] != d->no_room;

		if (full)
			d->no_room = stats[CW_DNS_NO_ROOM];
		if (full || now_ns - d->names_ns > NAMES_NS) {
			d->names_ns = now_ns;
			names_collect(a, x.now);
		}
		if (!full && now_ns - d->scan_ns < SCAN_NS)
			return;
		d->scan_ns = now_ns;
		r = dns_addr_walk(a->maps, due_one, &x);
		if (r < 0)
			log_warn(r, "names not looked through, retrying");
		d->looking = htab_count(d->due) != 0;
		d->flows = (struct flow_cursor){ };
		return;
	}
	if (flow_map_walk(a->maps, &d->flows, FLOW_BUDGET, flow_one, &x) < 0)
		d->flows.done = 1; /* taken for unused: the record's time and the grace were theirs */
	if (d->flows.done) {
		due_apply(a, x.now);
		d->looking = false;
	}
}

/* ---- learning ------------------------------------------------------------------------------------------ */

const char *agent_dns_name(const struct maps *m, uint32_t wl, const struct addr *addr, struct cw_dns_name *buf)
{
	struct cw_dns_name n;
	struct cw_fqdn v;
	uint32_t until = 0;
	bool any = false;

	if (!wl || dns_addr_get(m, wl, addr, &v))
		return NULL;
	/* Of several that one which a rule speaks of; else the one that lives longest. */
	for (unsigned i = 0; i < CW_FQDN_NAMES; i++) {
		uint32_t u = v.name[i].until;

		if (!v.name[i].hash || dns_name_get(m, v.name[i].hash, &n))
			continue;
		if (any && (!n.cls != !buf->cls ? !n.cls : (int32_t)(u - until) <= 0))
			continue;
		*buf = n;
		until = u;
		any = true;
	}
	return any ? buf->text : NULL;
}

void agent_dns_unseen(struct agent *a, const struct node_access *x, uint32_t wl)
{
	struct agent_dns *d = a->dns;
	uint64_t now = agent_mono_ns() - d->start_ns + UNSEEN_NS; /* never 0 */
	const struct agent_wl *w = wl ? htab_get_u64(a->by_num, wl) : NULL;
	uint64_t last;

	if (!w || !x->answered || !((x->proto == IPPROTO_TCP && x->port == PORT_DNS) || x->port == PORT_DNS_TLS))
		return;
	last = (uint64_t)(uintptr_t)htab_get_u64(d->unseen, wl);
	if (last && now - last < UNSEEN_NS)
		return;
	if (htab_set_u64(d->unseen, wl, (void *)(uintptr_t)now))
		return;
	agent_note(a, "dns-unseen", w, "DNS over %s: names in these answers cannot be read",
		   x->port == PORT_DNS ? "TCP" : "TLS");
}

/* ---- from a former set --------------------------------------------------------------------------------------- */

static uint32_t carried_wl(void *arg, uint32_t wl)
{
	struct agent *a = arg;
	const struct named *n = a->former.names ? names_wl(a->former.names, wl) : NULL;
	struct policy_wl pw;

	if (!n || !n->ns || !n->name || policy_set_wl(a->policy, n->ns, n->name, &pw))
		return 0;
	/* Another incarnation asked nothing yet. */
	return !n->uid || !pw.uid || !strcmp(n->uid, pw.uid) ? pw.wl : 0;
}

static uint32_t carried_class(void *arg, const char *name)
{
	struct agent *a = arg;

	return policy_set_name_class(a->policy, name);
}

void agent_dns_carry(struct agent *a)
{
	struct loader_old old = { .set = a->set, .name = a->former.name };
	struct dns_carry c = { .wl_of = carried_wl, .cls_of = carried_class, .arg = a };
	struct maps_clock clock;
	uint32_t n = 0;
	int r;

	c.fqdn_fd = loader_old_fd_of(&old, "cw_fqdn");
	c.name_fd = loader_old_fd_of(&old, "cw_dns_name");
	r = c.fqdn_fd < 0 ? c.fqdn_fd : c.name_fd < 0 ? c.name_fd :
	    maps_clock(a->maps, loader_set_prog_fd(a->set, "cw_now"), a->hz, &clock);
	if (!r) {
		c.now = (uint32_t)clock.jiffies;
		r = dns_carry(a->maps, &c, &n);
	}
	loader_old_close(&old);
	if (r < 0)
		log_warn(r, "names of the former set cannot be carried over; they are known again when they are asked again");
	else
		log_info("names carried over; mappings=%u", n);
}

/* ---- figures, life --------------------------------------------------------------------------------------------- */

void agent_dns_counters(struct agent *a, struct cJSON *to)
{
	static const char *const words[] = {
		[CW_DNS_ANSWERS] = "answers", [CW_DNS_UNASKED] = "unasked", [CW_DNS_FOREIGN] = "foreign",
		[CW_DNS_UNREADABLE] = "unreadable", [CW_DNS_NO_ROOM] = "noRoom", [CW_DNS_DROPPED] = "dropped",
		[CW_DNS_UNSEEN] = "unseen", [CW_DNS_RECORDS] = "records",
	};
	uint64_t v[CW_DNS_COUNTS];
	cJSON *o = cJSON_AddObjectToObject(to, "dns");

	if (dns_stats(a->maps, v))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		cJSON_AddNumberToObject(o, words[i], (double)v[i]);
	cJSON_AddNumberToObject(o, "expired", (double)a->dns->expired);
}

int agent_dns_open(struct agent *a)
{
	struct agent_dns *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	a->dns = d;
	d->names_max = a->cfg.dns_names;
	d->cluster = !a->cfg.nresolvers;
	d->due = htab_new();
	d->kept = htab_new();
	d->unseen = htab_new();
	d->gone = calloc(1, (a->room.wls + 7) / 8);
	d->start_ns = d->names_ns = agent_mono_ns();
	r = d->due && d->kept && d->unseen && d->gone ? resolvers_set(a) : -ENOMEM;
	a->cfg.resolvers = NULL; /* lent for the call that opens the agent */
	agent_dns_share(a);
	return r;
}

void agent_dns_free(struct agent *a)
{
	struct agent_dns *d = a->dns;

	if (!d)
		return;
	vec_done(&d->services);
	vec_done(&d->next);
	htab_free(d->due, NULL);
	htab_free(d->kept, NULL);
	htab_free(d->unseen, NULL);
	free(d->gone);
	free(d);
	a->dns = NULL;
}
