/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any order of the same updates ends in the same inventory, and on no way there is an address at two
 * workloads (the receiver checks) or at one that is known to have ended.
 */
#include "receiver.h"

#define EVENTS_MAX 200
#define UIDS_MAX 200

struct event { enum cluster_kind kind; bool del; unsigned ends; cJSON *obj; }; /* ends: uid number, 0: none */
struct script { struct event v[EVENTS_MAX]; size_t n; unsigned uids; };

static uint64_t rnd_state;

static unsigned rnd(unsigned n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (unsigned)(rnd_state >> 33) % n;
}

__attribute__((format(printf, 5, 6)))
static void add(struct script *s, enum cluster_kind kind, bool is_del, unsigned ends, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	if (s->n == EVENTS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->v[s->n++] = (struct event){ kind, is_del, ends, object(text) };
}

struct pod_now { unsigned uid, ip, ip6, label, created, started, rs; bool here, ended; };

static void pod_event(struct script *s, unsigned name, const struct pod_now *p, unsigned rv, const char *phase)
{
	char ips[128] = "";

	if (p->ip)
		snprintf(ips, sizeof(ips), "{'ip':'10.0.0.%u'}%s", p->ip, p->ip6 ? ",{'ip':'fd00::1'}" : "");
	add(s, CLUSTER_POD, false, p->ended ? p->uid : 0,
	    "{'metadata':{'name':'p%u','namespace':'shop','uid':'%u','resourceVersion':'%u','labels':{'v':'%u'},"
	    "'creationTimestamp':'2026-03-12T08:%02u:00Z','ownerReferences':[{'apiVersion':'apps/v1','kind':'ReplicaSet',"
	    "'name':'rs%u','uid':'rs%u','controller':true}]},'status':{'phase':'%s','podIPs':[%s],"
	    "'containerStatuses':[{'state':{'running':{'startedAt':'2026-03-12T08:%02u:00Z'}}}]}}",
	    name, p->uid, rv, p->label, p->created % 60, p->rs, p->rs, phase, ips, p->started % 60);
}

static void make(struct script *s, uint64_t seed)
{
	struct pod_now pods[6] = {};
	unsigned rv = 10, svc = 0;

	rnd_state = seed * 0x9e3779b97f4a7c15ull | 1;
	s->n = 0;
	s->uids = 0;
	for (unsigned i = 0; i < 3; i++)
		add(s, CLUSTER_REPLICASET, false, 0, "{'metadata':{'name':'rs%u','namespace':'shop','uid':'rs%u','resourceVersion':'%u',"
		    "'ownerReferences':[{'kind':'Deployment','name':'d%u','uid':'d%u','controller':true}]}}", i, i, rv++, i, i);
	for (unsigned step = 0; step < 90; step++) {
		unsigned name = rnd(6), what = rnd(12);
		struct pod_now *p = &pods[name];

		rv++;
		if (what == 0) {
			svc = !svc;
			add(s, CLUSTER_SERVICE, !svc, 0, "{'metadata':{'name':'web','namespace':'shop','uid':'svc%u','resourceVersion':'%u'},"
			    "'spec':{'clusterIP':'10.96.0.%u','ports':[{'port':80}]}}", svc ? step : 0, rv, 1 + rnd(9));
			if (!svc) { /* its deletion names the one that was there */
				cJSON *meta = cJSON_GetObjectItem(s->v[s->n - 1].obj, "metadata");

				cJSON_DeleteItemFromObject(meta, "uid");
			}
		} else if (what == 1) {
			unsigned n = rnd(3);

			add(s, CLUSTER_ENDPOINT_SLICE, false, 0, "{'metadata':{'name':'s%u','namespace':'shop','uid':'sl%u','resourceVersion':'%u',"
			    "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4','ports':[{'port':80}],'endpoints':["
			    "{'addresses':['10.0.0.%u']},{'addresses':['10.0.0.%u'],'conditions':{'ready':false}}]}", n, n, rv, 1 + rnd(3), 1 + rnd(3));
		} else if (what == 2) {
			unsigned n = rnd(2);

			add(s, CLUSTER_NAMESPACE, rnd(4) == 0, 0, "{'metadata':{'name':'ns%u','uid':'ns%u-%u','resourceVersion':'%u','labels':{'v':'%u'}}}",
			    n, n, 0, rv, rnd(3));
			if (s->v[s->n - 1].del) /* names come back as other things */
				s->v[s->n - 1].kind = CLUSTER_NODE;
		} else if (!p->here) {
			*p = (struct pod_now){ .here = true, .uid = ++s->uids, .created = step / 9, .rs = rnd(3) };
			pod_event(s, name, p, rv, "Pending");
		} else if (what < 8) {
			if (!p->ended && rnd(2)) {
				p->ip = rnd(4);
				p->ip6 = rnd(2);
				p->started = rnd(12);
			}
			p->label = rnd(5);
			pod_event(s, name, p, rv, p->ended ? "Failed" : "Running");
		} else if (what < 10) {
			p->ended = true;
			pod_event(s, name, p, rv, "Failed");
		} else {
			add(s, CLUSTER_POD, true, p->uid, "{'metadata':{'name':'p%u','namespace':'shop','uid':'%u','resourceVersion':'%u'}}",
			    name, p->uid, rv);
			p->here = false;
		}
	}
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *snapshot(const struct seen *s)
{
	char *v[256];
	const void *k;
	size_t it = 0, len, n = 0;
	struct buf b;
	void *text;

	while (htab_next(s->things, &it, &k, &len, &text)) {
		assert_true(n < 256);
		assert_true(asprintf(&v[n++], "%.*s: %s\n", (int)len, (const char *)k, (char *)text) > 0);
	}
	qsort(v, n, sizeof(*v), line_cmp);
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_adds(&b, v[i]);
		free(v[i]);
	}
	return buf_take(&b, NULL);
}

static void nobody_dead(const struct seen *s, const bool *ended)
{
	const void *k;
	size_t it = 0, len;
	void *who;

	while (htab_next(s->addrs, &it, &k, &len, &who)) {
		char key[512];

		snprintf(key, sizeof(key), "workload %s", (char *)who);
		if (ended[strtoul(line(s, key), NULL, 10)])
			fail_msg("%.*s is at %s, which has ended: %s", (int)len, (const char *)k, (char *)who, line(s, key));
	}
}

static char *play(const struct script *s, const size_t *order, unsigned how_often, bool twice)
{
	struct cluster *c = cluster_new(rnd_state);
	bool ended[UIDS_MAX] = {};
	struct seen seen;
	char *ret;

	seen_init(&seen);
	for (size_t i = 0; i < s->n; i++) {
		const struct event *e = &s->v[order[i]];

		for (int k = 0; k <= twice; k++)
			assert_int_equal(e->del ? cluster_del(c, e->kind, e->obj) : cluster_put(c, e->kind, e->obj, NULL), 0);
		if (e->ends)
			ended[e->ends] = true;
		if (!how_often || rnd(how_often))
			continue;
		changes(c, &seen);
		nobody_dead(&seen, ended);
	}
	changes(c, &seen);
	nobody_dead(&seen, ended);
	ret = snapshot(&seen);
	seen_done(&seen);
	cluster_free(c);
	return ret;
}

static void any_order(void **state)
{
	static struct script s;
	size_t order[EVENTS_MAX], plays = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		auto_free char *want = NULL;

		make(&s, seed);
		for (size_t i = 0; i < s.n; i++)
			order[i] = i;
		want = play(&s, order, 0, false);
		for (unsigned turn = 0; turn < 12; turn++, plays++) {
			auto_free char *got = NULL;

			if (turn) {
				for (size_t i = s.n - 1; i; i--) {
					/* Some turns only let neighbours change places, as networks do. */
					size_t k = turn % 3 ? rnd((unsigned)i + 1) : i - (i > 4 ? rnd(4) : 0), t = order[i];

					order[i] = order[k];
					order[k] = t;
				}
			}
			got = play(&s, order, 1 + turn % 4, turn % 5 == 4);
			if (strcmp(want, got) != 0)
				fail_msg("seed %llu turn %u\nin order:\n%sotherwise:\n%s", (unsigned long long)seed, turn, want, got);
		}
		for (size_t i = 0; i < s.n; i++)
			cJSON_Delete(s.v[i].obj);
	}
	print_message("  %zu orders\n", plays);
}

/* The same by a list in the middle: the list tells the state of one moment, later events go on from there. */
static void with_list(void **state)
{
	static struct script s;
	size_t order[EVENTS_MAX];

	(void)state;
	for (size_t i = 0; i < EVENTS_MAX; i++)
		order[i] = i;
	for (uint64_t seed = 100; seed < 140; seed++) {
		auto_free char *want = NULL, *got = NULL;
		struct cluster *c = cluster_new(seed);
		const struct event *last[6] = {};
		struct seen seen;
		size_t cut, from;

		make(&s, seed);
		want = play(&s, order, 0, false);
		cut = s.n / 3 + rnd((unsigned)s.n / 3);
		from = rnd((unsigned)cut);
		seen_init(&seen);
		/* Connected until `from`, then deaf until the list at `cut`. */
		for (size_t i = 0; i < s.n; i++) {
			const struct event *e = &s.v[i];

			if (e->kind == CLUSTER_POD) {
				const char *name = json_str(json_get(e->obj, "metadata"), "name");

				last[name[1] - '0'] = e->del ? NULL : e;
			}
			if (i < from || i > cut || e->kind != CLUSTER_POD)
				assert_int_equal(e->del ? cluster_del(c, e->kind, e->obj) : cluster_put(c, e->kind, e->obj, NULL), 0);
			if (i == cut) {
				cluster_begin(c, CLUSTER_POD);
				for (size_t k = 0; k < 6; k++)
					if (last[k])
						assert_int_equal(cluster_put(c, CLUSTER_POD, last[k]->obj, NULL), 0);
				assert_int_equal(cluster_end(c, CLUSTER_POD), 0);
			}
			if (!rnd(3))
				changes(c, &seen);
		}
		changes(c, &seen);
		got = snapshot(&seen);
		if (strcmp(want, got) != 0)
			fail_msg("seed %llu\nin order:\n%swith a list:\n%s", (unsigned long long)seed, want, got);
		seen_done(&seen);
		cluster_free(c);
		for (size_t i = 0; i < s.n; i++)
			cJSON_Delete(s.v[i].obj);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(any_order), cmocka_unit_test(with_list) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
