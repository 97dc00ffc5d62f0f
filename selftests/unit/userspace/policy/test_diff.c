/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The difference of two rule sets against brute force: on random small clusters each pair of addresses
 * is asked at each edge of each port range, in both sets and on both sides. Who answers is the
 * compiler, and in every sixteenth cluster the naive walk, which shares nothing with it.
 *
 * CW_DIFF_WORLDS: clusters per run (2000; 250 under a sanitizer, where each takes ten times as long).
 * CW_DIFF_SEED: the first seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/diff.h"
#include "policy/space.h"
#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"

#ifdef __SANITIZE_ADDRESS__
#define WORLDS 250
#else
#define WORLDS 2000
#endif

static const struct policy_limits limits = { .groups = 512, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 200000, .addrs = 1000, .nets = 1000,
					     .all_local = true };

/* ---- brute force ------------------------------------------------------------------------------- */

struct point {
	struct addr addr;
	const struct workload *w; /* NULL: nobody, or a node */
	enum cw_realm realm;
	uint32_t end;
	struct cw_addr means[2];
};
struct points { struct point *v; size_t n, cap; };

struct bench {
	struct world w[2];
	struct policy_set *set[2];
	struct policy_plan *plan[2];
	struct policy_diff d;
	bool naive;
	struct points pts;
	uint32_t *axes;
	size_t naxes, asked, differ, named;
	uint64_t seed;
};

static bool has(const uint32_t *v, uint32_t n, uint32_t x)
{
	for (uint32_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

static uint32_t end_of(const struct bench *b, const struct point *p, const struct naive_who *who)
{
	uint32_t best = UINT32_MAX;
	bool v6 = !addr_is_v4(&p->addr);

	for (uint32_t i = 0; i < b->d.nends; i++) {
		const struct diff_end *e = &b->d.ends[i];

		if (p->w) {
			if (e->kind == DIFF_WORKLOAD && !strcmp(e->ns, p->w->ns) && !strcmp(e->name, p->w->name) &&
			    (!e->part || !addr_cmp(&e->addr[v6], &p->addr)))
				return i;
		} else if (who->node) {
			if (e->kind == DIFF_NODE && !strcmp(e->name, who->node->name) &&
			    (!e->part || !addr_cmp(&e->addr[v6], &p->addr)))
				return i;
		} else if (e->kind == DIFF_NET && prefix_has(&e->net, &p->addr) &&
			   (best == UINT32_MAX || b->d.ends[best].net.plen < e->net.plen)) {
			best = i;
		}
	}
	return best;
}

static void points_make(struct bench *b)
{
	for (int k = 0; k < 2; k++) {
		size_t n;
		struct addr *v = world_addrs(&b->w[k], &n);

		for (size_t i = 0; i < n; i++) {
			struct naive_who who = naive_who(&b->w[0].st, &v[i]);
			struct point p = { .addr = v[i], .w = who.w, .realm = who.realm };
			bool known = false;

			for (size_t j = 0; j < b->pts.n && !known; j++)
				known = !addr_cmp(&b->pts.v[j].addr, &v[i]);
			if (known)
				continue;
			p.end = end_of(b, &p, &who);
			for (int j = 0; j < 2; j++)
				assert_int_equal(policy_plan_addr(b->plan[j], 0, &v[i], &p.means[j]), 0);
			if (p.end == UINT32_MAX)
				fail_msg("seed %llu: no end for an address", (unsigned long long)b->seed);
			assert_int_equal(vec_push(&b->pts, p), 0);
		}
		free(v);
	}
	for (int k = 0; k < 2; k++) {
		size_t n;
		uint32_t *v = world_axes(&b->w[k], &n);

		b->axes = realloc(b->axes, (b->naxes + n) * sizeof(*b->axes));
		for (size_t i = 0; i < n; i++)
			if (!has(b->axes, (uint32_t)b->naxes, v[i]))
				b->axes[b->naxes++] = v[i];
		free(v);
	}
}

/* What the items say about a point on a side; items of the pair are given. NULL: nothing. */
static const struct diff_item *said(const struct bench *b, const uint32_t *items, size_t n, int side, uint32_t axis)
{
	const struct diff_item *hit = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct diff_item *it = &b->d.items[items[i]];

		if (it->side != -1 && it->side != side)
			continue;
		for (uint32_t k = 0; k < it->nports; k++) {
			if (axis < it->ports[k].lo || axis > it->ports[k].hi)
				continue;
			if (hit)
				fail_msg("seed %llu: two items say the same thing", (unsigned long long)b->seed);
			hit = it;
		}
	}
	return hit;
}

static bool verdict_is(const struct diff_verdict *d, const struct cw_verdict *v)
{
	return d->rule == v->rule && d->action == v->action && d->tier == v->tier &&
	       d->flags == (v->flags & (CW_V_REJECT | CW_V_ALWAYS | CW_V_ISOLATED));
}

static struct cw_verdict ask(const struct bench *b, int k, const struct point *self, const struct point *peer,
			     enum cw_side side, uint32_t axis)
{
	struct policy_judgement j;
	struct naive_verdict v;

	if (b->naive) {
		naive_judge(&b->w[k].st, b->w[k].more, b->w[k].nmore,
			    &b->w[k].st.workloads[self->w - b->w[0].st.workloads], &self->addr, &peer->addr, side, axis, &v);
		return v.v;
	}
	assert_int_equal(policy_plan_judge(b->plan[k], self->means[k].group, side, peer->means[k].eid,
					   (enum cw_realm)peer->means[k].realm, axis, &j), 0);
	return j.v;
}

static void check_side(struct bench *b, const struct point *s, const struct point *d, enum cw_side side,
		       const uint32_t *items, size_t n)
{
	const struct point *self = side == CW_EGRESS ? s : d, *peer = side == CW_EGRESS ? d : s;

	if (!self->w)
		return;
	for (size_t i = 0; i < b->naxes; i++) {
		const struct diff_item *it = said(b, items, n, side, b->axes[i]);
		struct cw_verdict v[2];
		char x[40], sa[ADDR_STR_MAX], da[ADDR_STR_MAX];

		for (int k = 0; k < 2; k++)
			v[k] = ask(b, k, self, peer, side, b->axes[i]);
		b->asked++;
		b->differ += v[0].action != v[1].action;
		if ((v[0].action != v[1].action) != (it != NULL) ||
		    (it && (!verdict_is(&it->was, &v[0]) || !verdict_is(&it->by, &v[1]))))
			fail_msg("seed %llu: %s -> %s %s side %d: %u/%u -> %u/%u, items say %s", (unsigned long long)b->seed,
				 addr_str(&s->addr, sa), addr_str(&d->addr, da), axis_str(b->axes[i], x), side,
				 v[0].action, v[0].rule, v[1].action, v[1].rule, it ? "they differ" : "nothing");
	}
}

static void check_pair(struct bench *b, const struct point *s, const struct point *d)
{
	uint32_t *items;
	size_t n = 0;

	if (addr_is_v4(&s->addr) != addr_is_v4(&d->addr) || (s->w && s->w == d->w) || s->realm == CW_REALM_MULTICAST)
		return;
	items = calloc(b->d.n + 1, sizeof(*items));
	for (uint32_t i = 0; i < b->d.n; i++)
		if (has(b->d.items[i].src, b->d.items[i].nsrc, s->end) && has(b->d.items[i].dst, b->d.items[i].ndst, d->end))
			items[n++] = i;
	check_side(b, s, d, CW_EGRESS, items, n);
	if (s->realm != CW_REALM_HOST || b->w[0].st.local_node != CW_CTL_LOCAL_NODE_ALLOW)
		check_side(b, s, d, CW_INGRESS, items, n);
	free(items);
}

/* ---- names of the world --------------------------------------------------------------------------- */

/* The end that an address of a prefix is once it goes by a name: by the longest pattern, else the prefix. */
static uint32_t named_end(const struct bench *b, uint32_t net, const char *name)
{
	const struct prefix *p = &b->d.ends[net].net;
	uint32_t best = net;
	size_t len = 0;

	for (uint32_t i = 0; i < b->d.nends; i++) {
		const struct diff_end *e = &b->d.ends[i];
		size_t n = e->fqdn ? strlen(e->fqdn) : 0, m = strlen(name);

		if (e->kind != DIFF_NAME || e->net.v6 != p->v6 || e->net.plen != p->plen || addr_cmp(&e->net.addr, &p->addr))
			continue;
		if (*e->fqdn == '*' ? m >= n && !strcmp(name + m - (n - 1), e->fqdn + 1) && n > len : !strcmp(name, e->fqdn)) {
			best = i;
			len = *e->fqdn == '*' ? n : 1000;
		}
	}
	return best;
}

static void check_named(struct bench *b, const struct workload *w, uint32_t wend, uint32_t net, const char *name)
{
	uint32_t dst = named_end(b, net, name), *items = calloc(b->d.n + 1, sizeof(*items));
	bool v6 = b->d.ends[net].net.v6;
	size_t n = 0;

	for (uint32_t i = 0; i < b->d.n; i++)
		if (has(b->d.items[i].src, b->d.items[i].nsrc, wend) && has(b->d.items[i].dst, b->d.items[i].ndst, dst))
			items[n++] = i;
	for (size_t i = 0; i < b->naxes; i++) {
		struct policy_end q[2] = { { .ns = w->ns, .name = w->name, .addr = b->d.ends[wend].addr[v6] },
					   { .addr = b->d.ends[net].addr[v6], .names = &name, .nnames = 1 } };
		const struct diff_item *it = said(b, items, n, CW_EGRESS, b->axes[i]);
		struct policy_answer a[2];
		char x[40], d[ADDR_STR_MAX];

		for (int k = 0; k < 2; k++)
			assert_int_equal(policy_plan_query(b->plan[k], &q[0], &q[1], b->axes[i], &a[k]), 0);
		b->asked++;
		b->named++;
		b->differ += a[0].side[0].j.v.action != a[1].side[0].j.v.action;
		if ((a[0].side[0].j.v.action != a[1].side[0].j.v.action) != (it != NULL) ||
		    (it && (!verdict_is(&it->was, &a[0].side[0].j.v) || !verdict_is(&it->by, &a[1].side[0].j.v))))
			fail_msg("seed %llu: %s/%s -> %s (%s) %s: %u -> %u, items say %s", (unsigned long long)b->seed, w->ns,
				 w->name, addr_str(&q[1].addr, d), name, axis_str(b->axes[i], x), a[0].side[0].j.v.action,
				 a[1].side[0].j.v.action, it ? "they differ" : "nothing");
	}
	free(items);
}

static void check_all_named(struct bench *b)
{
	for (size_t i = 0; i < b->pts.n; i++) {
		if (!b->pts.v[i].w)
			continue;
		for (uint32_t e = 0; e < b->d.nends; e++) {
			const struct diff_end *d = &b->d.ends[e];

			if (d->kind != DIFF_NET || d->realm != CW_REALM_WORLD || d->net.v6 == addr_is_v4(&b->pts.v[i].addr))
				continue;
			for (uint32_t k = 0; k < WORLD_NAMES; k++)
				check_named(b, b->pts.v[i].w, b->pts.v[i].end, e, world_names[k]);
		}
	}
}

/* Every witness is a pair of the item, and the compiled sets say there what the item says. */
static void check_witness(const struct bench *b, const struct diff_item *it)
{
	const struct diff_end *e[2] = { &b->d.ends[it->wit_src], &b->d.ends[it->wit_dst] };
	int side = it->side == -1 ? CW_EGRESS : it->side;

	assert_true(has(it->src, it->nsrc, it->wit_src));
	assert_true(has(it->dst, it->ndst, it->wit_dst));
	assert_true(space_pair(e[0], e[1]));
	assert_true(it->was.action != it->by.action);
	for (int k = 0; k < 2; k++) {
		const struct diff_verdict *want = k ? &it->by : &it->was;
		struct policy_end q[2] = {};
		struct policy_answer a;
		const char *name;
		char text[600];

		for (int s = 0; s < 2; s++) {
			if (e[s]->kind == DIFF_WORKLOAD) {
				q[s].ns = e[s]->ns;
				q[s].name = e[s]->name;
			}
			q[s].addr = e[s]->addr[it->wit_v6];
			if (e[s]->kind == DIFF_NAME) {
				snprintf(text, sizeof(text), "%s", diff_end_text(e[s], false, text) + 5);
				name = text;
				q[s].names = &name;
				q[s].nnames = 1;
			}
			if (e[s]->kind == DIFF_HOST)
				return; /* has no address to ask about */
		}
		assert_int_equal(policy_plan_query(b->plan[k], &q[0], &q[1], it->wit_axis, &a), 0);
		assert_true(a.side[side].judged);
		assert_true(verdict_is(want, &a.side[side].j.v));
	}
}

/* ---- names ---------------------------------------------------------------------------------------- */

static bool net_named(const struct diff_end *e, const char *name)
{
	char text[4096], *except, *tok, *save = NULL;
	struct prefix p;

	snprintf(text, sizeof(text), "%s", name);
	except = strstr(text, " except ");
	if (except) {
		*except = 0;
		except += 8;
	}
	if (e->kind != DIFF_NET || prefix_parse(text, &p) || !prefix_covers(&p, &e->net))
		return false;
	for (tok = except ? strtok_r(except, ", ", &save) : NULL; tok; tok = strtok_r(NULL, ", ", &save))
		if (!prefix_parse(tok, &p) && prefix_covers(&p, &e->net))
			return false;
	return true;
}

/* Does a name of people's mean this end? */
static bool named(const struct diff_end *e, const char *name)
{
	char a[600], b[600], c[ADDR_STR_MAX];

	snprintf(a, sizeof(a), "ns/%s", e->ns ? e->ns : "");
	if (e->kind == DIFF_WORKLOAD) {
		snprintf(b, sizeof(b), "%s/%s/%s", e->ns, kind_short(e->ctl_kind), e->ctl_name);
		if (!strcmp(a, name) || (*e->ctl_name && !strcmp(b, name)))
			return true;
		snprintf(b, sizeof(b), "%s/pod/%s", e->ns, e->name);
		return !strcmp(b, name) || (e->part && !strcmp(addr_str(&e->addr[!(e->fam & 1)], c), name));
	}
	if (e->kind != DIFF_NET) {
		snprintf(b, sizeof(b), "node/%s", e->name ? e->name : "");
		return !strcmp(name, e->realm == CW_REALM_HOST ? "host" : "remote-node") || !strcmp(name, b) ||
		       (e->part && !strcmp(addr_str(&e->addr[!(e->fam & 1)], c), name));
	}
	if (e->kind == DIFF_NAME) {
		char p[PREFIX_STR_MAX];

		snprintf(a, sizeof(a), "fqdn/%s", e->fqdn);
		snprintf(b, sizeof(b), "fqdn/%s in %s", e->fqdn, prefix_str(&e->net, p));
		return !strcmp(a, name) || !strcmp(b, name);
	}
	return net_named(e, name) || (e->realm == CW_REALM_WORLD && !strcmp(name, "world")) ||
	       (e->realm == CW_REALM_UNKNOWN && !strcmp(name, "unknown")) ||
	       (e->realm == CW_REALM_MULTICAST && !strcmp(name, "multicast"));
}

/* The names mean all ends of the item, and none that could be meant and is not. */
static void check_names(const struct bench *b, const struct diff_item *it, bool dst)
{
	const uint32_t *mine = dst ? it->dst : it->src, *other = dst ? it->src : it->dst;
	uint32_t nmine = dst ? it->ndst : it->nsrc, nother = dst ? it->nsrc : it->ndst;
	struct diff_names l;

	assert_int_equal(diff_names_make(&b->d, it, dst, &l), 0);
	for (uint32_t i = 0; i < b->d.nends; i++) {
		const struct diff_end *e = &b->d.ends[i];
		bool means = false, can = false;

		for (size_t k = 0; k < l.n && !means; k++)
			means = named(e, l.v[k]);
		for (uint32_t k = 0; k < nother && !can; k++)
			can = space_pair(e, &b->d.ends[other[k]]) && (dst || e->realm != CW_REALM_MULTICAST);
		if (can && means != has(mine, nmine, i)) {
			char text[600];

			for (size_t k = 0; k < l.n; k++)
				fprintf(stderr, "  %s\n", l.v[k]);
			fail_msg("seed %llu: %s is%s named and is%s meant", (unsigned long long)b->seed,
				 diff_end_text(e, false, text), means ? "" : " not", means ? " not" : "");
		}
	}
	diff_names_done(&l);
}

static void one_world(uint64_t seed, bool naive, size_t *asked, size_t *differ, size_t *items,
		      size_t *named)
{
	struct bench b = { .seed = seed, .naive = naive };
	struct fail_list f = {};
	uint32_t steps;
	int r;

	for (int k = 0; k < 2; k++) {
		if (seed % 8)
			world_new(&b.w[k], seed);
		else
			world_new_named(&b.w[k], seed, 60);
	}
	b.w[1].quiet = seed % 5 ? 2 : 1;
	b.w[0].st.local_node = b.w[1].st.local_node = seed % 3 ? CW_CTL_LOCAL_NODE_ALLOW : CW_CTL_LOCAL_NODE_RULES;
	steps = 1 + rng_below(&b.w[0].rng, 4);
	for (uint32_t i = 0; i < steps; i++)
		world_mutate(&b.w[1]);
	r = policy_diff_make_ir((struct diff_input[2]){ { &b.w[0].st, b.w[0].more, b.w[0].nmore },
							{ &b.w[1].st, b.w[1].more, b.w[1].nmore } }, &f, &b.d);
	if (r)
		fail_msg("seed %llu: %d %s", (unsigned long long)seed, r, f.n ? f.items[0].message : "");
	*items += b.d.n;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(policy_set_new(&limits, &b.set[k]), 0);
		assert_int_equal(policy_set_prepare_ir(b.set[k], &b.w[k].st, b.w[k].more, b.w[k].nmore, NULL, &b.plan[k]), 0);
	}
	points_make(&b);
	for (size_t i = 0; i < b.pts.n; i++)
		for (size_t k = 0; k < b.pts.n; k++)
			check_pair(&b, &b.pts.v[i], &b.pts.v[k]);
	if (seed % 8 == 0)
		check_all_named(&b);
	for (size_t i = 0; i < b.d.n; i++) {
		check_witness(&b, &b.d.items[i]);
		check_names(&b, &b.d.items[i], false);
		check_names(&b, &b.d.items[i], true);
	}
	*asked += b.asked;
	*named += b.named;
	*differ += b.differ;
	policy_diff_done(&b.d);
	for (int k = 0; k < 2; k++) {
		policy_plan_free(b.plan[k]);
		policy_set_free(b.set[k]);
	}
	vec_done(&b.pts);
	free(b.axes);
	fail_list_done(&f);
	world_done(&b.w[0]);
	world_done(&b.w[1]);
}

static void test_brute_force(void **state)
{
	const char *s = getenv("CW_DIFF_SEED"), *n = getenv("CW_DIFF_WORLDS");
	uint64_t seed = s ? strtoull(s, NULL, 10) : (uint64_t)time(NULL) * 1000;
	unsigned worlds = n ? (unsigned)strtoul(n, NULL, 10) : WORLDS;
	size_t asked = 0, differ = 0, items = 0, named = 0;

	(void)state;
	for (unsigned i = 0; i < worlds; i++)
		one_world(seed + i, !(i % 16), &asked, &differ, &items, &named);
	printf("# %u worlds from seed %llu: %zu points asked in both sets (%zu by a name), %zu differ, %zu items\n",
	       worlds, (unsigned long long)seed, asked, named, differ, items);
	assert_true(worlds < 100 || differ > worlds);
}

static void test_ports(void **state)
{
	static const struct { struct diff_span v[3]; size_t n; const char *want; } rows[] = {
		{ { { 0, CW_AXIS_END - 1 } }, 1, "any" },
		{ { { CW_AXIS(6, 0), CW_AXIS(6, 65535) } }, 1, "tcp" },
		{ { { CW_AXIS(6, 80), CW_AXIS(6, 80) } }, 1, "tcp/80" },
		{ { { CW_AXIS(17, 8000), CW_AXIS(17, 8100) } }, 1, "udp/8000-8100" },
		{ { { 0, CW_AXIS(6, 442) }, { CW_AXIS(6, 444), CW_AXIS_END - 1 } }, 2,
		  "proto/0-5 tcp/0-442 tcp/444-65535 proto/7-255" },
		{ { { CW_AXIS(1, 0x800), CW_AXIS(1, 0x8ff) } }, 1, "icmp/echo-request" },
		{ { { CW_AXIS(1, 0), CW_AXIS(1, 0x7ff) }, { CW_AXIS(1, 0x900), CW_AXIS(1, 0xffff) } }, 2, "icmp/0-7 icmp/9-255" },
		{ { { CW_AXIS(1, 0x302), CW_AXIS(1, 0x304) } }, 1, "icmp/3 codes 2-4" },
		{ { { CW_AXIS(47, 0), CW_AXIS(47, 65535) } }, 1, "proto/47" },
		{ { { CW_AXIS(47, 0), CW_AXIS(47, 0) } }, 1, "proto/47" },
		{ { { CW_AXIS(47, 1), CW_AXIS(48, 65535) } }, 1, "proto/48" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct diff_names l;
		char got[256] = "";

		assert_int_equal(diff_ports_text(rows[i].v, rows[i].n, &l), 0);
		for (size_t k = 0; k < l.n; k++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", k ? " " : "", l.v[k]);
		assert_string_equal(got, rows[i].want);
		diff_names_done(&l);
	}
}

/* ---- size: 500 identities with 500 others, 200 rules ------------------------------------------------- */

static void rule_fill(struct rule *r, unsigned i, unsigned ctl)
{
	char text[64];

	*r = (struct rule){ .id = i + 1, .action = CW_ACT_ALLOW, .mode = CW_MODE_ENFORCE, .enabled = true };
	snprintf(text, sizeof(text), "r%u", i);
	r->name = strdup(text);
	r->from = calloc(1, sizeof(*r->from));
	r->to = calloc(1, sizeof(*r->to));
	r->ports = calloc(1, sizeof(*r->ports));
	r->nfrom = r->nto = r->nports = 1;
	r->from->kind = r->to->kind = SEL_WORKLOAD;
	snprintf(text, sizeof(text), "c%u", ctl % 500);
	r->from->controller_name = strdup(text);
	r->from->controller_kind = strdup("Deployment");
	snprintf(text, sizeof(text), "ns%u", (i * 3) % 20);
	r->to->ns = strdup(text);
	*r->ports = (struct port_spec){ .kind = PORT_RANGE, .proto = IPPROTO_TCP, .from = (uint16_t)(1000 + i), .to = (uint16_t)(1100 + i) };
}

static void state_fill(struct policy_state *st, unsigned turn)
{
	char text[64];

	*st = (struct policy_state){ .default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_BLOCK };
	st->workloads = calloc(500, sizeof(*st->workloads));
	st->nworkloads = 500;
	for (unsigned i = 0; i < 500; i++) {
		struct workload *w = &st->workloads[i];

		snprintf(text, sizeof(text), "ns%u", i % 20);
		w->ns = strdup(text);
		snprintf(text, sizeof(text), "c%u-0", i);
		w->name = strdup(text);
		snprintf(text, sizeof(text), "c%u", i);
		w->controller_kind = strdup("Deployment");
		w->controller_name = strdup(text);
		w->addrs = calloc(1, sizeof(*w->addrs));
		w->naddrs = 1;
		snprintf(text, sizeof(text), "10.1.%u.%u", i / 250, i % 250 + 1);
		assert_int_equal(addr_parse(text, w->addrs), 0);
	}
	st->rules = calloc(200, sizeof(*st->rules));
	st->nrules = 200;
	for (unsigned i = 0; i < 200; i++)
		rule_fill(&st->rules[i], i, i % 10 ? i : i + turn);
}

static void test_size(void **state)
{
	struct policy_state a, b;
	struct policy_diff d;
	struct fail_list f = {};
	struct timespec t0, t1;
	double ms;

	(void)state;
	state_fill(&a, 0);
	state_fill(&b, 250);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	assert_int_equal(policy_diff_make(&a, &b, &f, &d), 0);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
	printf("# 500 workloads x 500, 200 rules, 20 of them changed: %zu items, %.0f ms\n", d.n, ms);
	/* Each changed rule closes to one source and opens to another, on both sides. */
	assert_int_equal(d.n, 40);
	policy_diff_done(&d);
	assert_int_equal(policy_diff_make(&a, &a, &f, &d), 0);
	assert_int_equal(d.n, 0);
	policy_diff_done(&d);
	policy_state_done(&a);
	policy_state_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_brute_force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
