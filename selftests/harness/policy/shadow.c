/* SPDX-License-Identifier: Apache-2.0 */
/* The maps as plain memory: every cell is read and written whole, in the order the sink is called. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "selftests/harness/policy/world.h"

#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* eid 24 bits, group 16, wl 16, realm 4, one bit that makes it non-zero. */
static uint64_t pack(const struct cw_addr *v)
{
	return (uint64_t)(v->eid & 0xffffff) << 40 | (uint64_t)(v->group & 0xffff) << 24 |
	       (uint64_t)(v->wl & 0xffff) << 8 | (uint64_t)(v->realm & 7) << 1 | 1;
}

static struct cw_addr unpack(uint64_t v)
{
	return (struct cw_addr){ .eid = v >> 40, .group = v >> 24 & 0xffff, .wl = v >> 8 & 0xffff,
				 .realm = v >> 1 & 7 };
}

static void step(struct shadow *s)
{
	if (s->step)
		s->step(s->settle_arg);
}

static int fails(struct shadow *s)
{
	step(s);
	return s->fail_after && ++s->writes >= s->fail_after ? -EIO : 0;
}

static int verdict_write(void *arg, uint32_t i, const struct cw_verdict *v)
{
	struct shadow *s = arg;

	if (i >= s->verdicts_n)
		return -ERANGE;
	if (fails(s))
		return -EIO;
	s->verdicts[i] = *v;
	return 0;
}

static int array_write(struct shadow *s, uint64_t *to, uint32_t size, uint32_t i, const uint64_t *v, size_t n)
{
	if (n > POLICY_BATCH || i > size || n > size - i)
		return -ERANGE;
	if (fails(s))
		return -EIO;
	for (size_t k = 0; k < n; k++) {
		if (k)
			step(s);
		STORE(&to[i + k], v[k]);
	}
	return 0;
}

static int rows_write(void *arg, uint32_t i, const uint64_t *v, size_t n)
{
	struct shadow *s = arg;

	return array_write(s, s->rows, s->rows_n, i, v, n);
}

static int rowtab_write(void *arg, uint32_t i, const uint64_t *v, size_t n)
{
	struct shadow *s = arg;

	return array_write(s, s->rowtab, s->rowtab_n, i, v, n);
}

static uint32_t *peer_cell(const struct shadow *s, const struct cw_peer_key *k)
{
	if (k->gs >= SHADOW_GROUPS * 2 || k->eid >= SHADOW_EIDS)
		return NULL;
	return &s->peers[(size_t)k->gs * SHADOW_EIDS + k->eid];
}

static int peers_set(void *arg, const struct cw_peer_key *k, const uint32_t *cls, size_t n)
{
	struct shadow *s = arg;

	for (size_t i = 0; i < n; i++) {
		uint32_t *c = peer_cell(s, &k[i]);

		if (!c)
			return -ERANGE;
		if (fails(s))
			return -EIO;
		s->peers_n += !*c;
		STORE(c, cls[i] + 1);
	}
	return 0;
}

static int peers_del(void *arg, const struct cw_peer_key *k, size_t n)
{
	struct shadow *s = arg;

	for (size_t i = 0; i < n; i++) {
		uint32_t *c = peer_cell(s, &k[i]);

		if (!c)
			return -ERANGE;
		step(s);
		s->peers_n -= *c != 0;
		STORE(c, 0);
	}
	return 0;
}

static int word_store(void *arg, uint32_t i, uint64_t w)
{
	struct shadow *s = arg;

	if (i >= SHADOW_GROUPS * 2)
		return -ERANGE;
	if (s->switching)
		s->switching(s->settle_arg);
	step(s);
	STORE(&s->words[i], w);
	return 0;
}

static int addr_set(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v)
{
	struct shadow *s = arg;
	struct shadow_addr *empty = NULL;

	step(s);
	if (zone || v->eid > 0xffffff || v->group > 0xffff || v->wl > 0xffff)
		return -ERANGE;
	for (uint32_t i = 0; i < s->used_slots; i++) {
		if (s->addrs[i].v && !memcmp(&s->addrs[i].a, a, 16)) {
			STORE(&s->addrs[i].v, pack(v));
			return 0;
		}
	}
	if (s->used_slots == SHADOW_ADDRS)
		return -ENOSPC;
	/* Slots are not reused, so that a reader never sees another address in one. */
	empty = &s->addrs[s->used_slots];
	empty->a = *a;
	STORE(&empty->v, pack(v));
	STORE(&s->used_slots, s->used_slots + 1);
	return 0;
}

static int addr_del(void *arg, uint32_t zone, const struct addr *a)
{
	struct shadow *s = arg;

	(void)zone;
	step(s);
	for (uint32_t i = 0; i < s->used_slots; i++)
		if (s->addrs[i].v && !memcmp(&s->addrs[i].a, a, 16))
			STORE(&s->addrs[i].v, 0);
	return 0;
}

static int net_set(void *arg, uint32_t zone, const struct prefix *p, const struct cw_addr *v)
{
	struct shadow *s = arg;

	if (zone)
		return -ERANGE;
	step(s);
	for (uint32_t i = 0; i < s->used_nets; i++)
		if (s->nets[i].v && !prefix_cmp(&s->nets[i].p, p)) {
			STORE(&s->nets[i].v, pack(v));
			return 0;
		}
	if (s->used_nets == SHADOW_NETS)
		return -ENOSPC;
	s->nets[s->used_nets].p = *p;
	STORE(&s->nets[s->used_nets].v, pack(v));
	STORE(&s->used_nets, s->used_nets + 1);
	return 0;
}

static int net_del(void *arg, uint32_t zone, const struct prefix *p)
{
	struct shadow *s = arg;

	(void)zone;
	step(s);
	for (uint32_t i = 0; i < s->used_nets; i++)
		if (s->nets[i].v && !prefix_cmp(&s->nets[i].p, p))
			STORE(&s->nets[i].v, 0);
	return 0;
}

static int wl_group(void *arg, uint32_t wl, uint32_t group, uint32_t eid)
{
	(void)arg;
	(void)eid;
	return wl && group < SHADOW_GROUPS ? 0 : -ERANGE;
}

static int pattern_put(void *arg, const char *text, uint32_t cls)
{
	struct shadow *s = arg;
	struct shadow_pattern *p;

	if (fails(s))
		return -EIO;
	s->name_writes++;
	for (uint32_t i = 0; i < s->npatterns; i++) {
		p = &s->patterns[i];
		if (strcmp(p->text, text))
			continue;
		s->patterns_n += !p->cls;
		STORE(&p->cls, cls);
		return 0;
	}
	if (s->npatterns == SHADOW_PATTERNS || strlen(text) >= sizeof(p->text))
		return -ENOSPC;
	p = &s->patterns[s->npatterns];
	memcpy(p->text, text, strlen(text) + 1);
	STORE(&p->cls, cls);
	STORE(&s->npatterns, s->npatterns + 1);
	s->patterns_n++;
	return 0;
}

static int pattern_del(void *arg, const char *text)
{
	struct shadow *s = arg;

	s->name_writes++;
	for (uint32_t i = 0; i < s->npatterns; i++)
		if (!strcmp(s->patterns[i].text, text) && s->patterns[i].cls) {
			STORE(&s->patterns[i].cls, 0);
			s->patterns_n--;
			return 0;
		}
	return -ENOENT;
}

/* Longest pattern that a name falls under: its class. */
static uint32_t class_by_patterns(const struct shadow *s, const char *name)
{
	uint32_t n = LOAD(&s->npatterns), cls = 0;
	size_t len = strlen(name), best = 0;

	for (uint32_t i = 0; i < n; i++) {
		const char *t = s->patterns[i].text;
		size_t p = strlen(t);
		uint32_t c = LOAD(&s->patterns[i].cls);
		bool hit = *t == '*' ? len > p - 1 && !strcmp(name + len - (p - 1), t + 1) : !strcmp(name, t);

		/* An exact one has no star: nothing is longer. */
		p = *t == '*' ? p : 1000;
		if (c && hit && p > best) {
			best = p;
			cls = c;
		}
	}
	return cls;
}

static int named_at(struct shadow *s, uint32_t eid, uint32_t cls, bool make, struct shadow_named **ret)
{
	uint64_t key = (uint64_t)eid << 32 | cls;
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 40);

	for (uint32_t i = 0; i < SHADOW_NAMED; i++) {
		struct shadow_named *n = &s->named[(at + i) % SHADOW_NAMED];
		uint64_t k = LOAD(&n->key);

		if (k == key || (!k && make)) {
			*ret = n;
			return 0;
		}
		if (!k)
			return -ENOENT;
	}
	return -ENOSPC;
}

static int named_set(void *arg, uint32_t eid, uint32_t cls, uint32_t named)
{
	struct shadow *s = arg;
	struct shadow_named *n;
	int r;

	if (!eid || !cls || named >= SHADOW_EIDS)
		return -ERANGE;
	if (fails(s))
		return -EIO;
	s->name_writes++;
	r = named_at(s, eid, cls, true, &n);
	if (r)
		return r;
	s->named_n += !n->eid;
	STORE(&n->eid, named);
	STORE(&n->key, (uint64_t)eid << 32 | cls);
	return 0;
}

static int named_del(void *arg, uint32_t eid, uint32_t cls)
{
	struct shadow *s = arg;
	struct shadow_named *n;
	int r = named_at(s, eid, cls, false, &n);

	s->name_writes++;
	if (r || !n->eid)
		return -ENOENT;
	s->named_n--;
	STORE(&n->eid, 0);
	return 0;
}

static int names_store(void *arg, uint32_t classes)
{
	struct shadow *s = arg;

	s->name_writes++;
	STORE(&s->classes, classes);
	return 0;
}

static int names_reclass(void *arg)
{
	struct shadow *s = arg;

	s->name_writes++;
	for (uint32_t i = 0; i < WORLD_NAMES; i++) {
		uint32_t cls = class_by_patterns(s, world_names[i]);

		if (s->set && cls != policy_set_name_class(s->set, world_names[i]))
			return -EPROTO;
		STORE(&s->names[i], cls);
	}
	return 0;
}

static int settle(void *arg)
{
	struct shadow *s = arg;

	if (s->settle)
		s->settle(s->settle_arg);
	return 0;
}

struct shadow *shadow_new(const struct policy_limits *lim)
{
	struct shadow *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->rowtab_n = lim->rowtab;
	s->rows_n = lim->rows;
	s->verdicts_n = lim->verdicts;
	s->rowtab = calloc(s->rowtab_n, sizeof(uint64_t));
	s->rows = calloc(s->rows_n, sizeof(uint64_t));
	s->verdicts = calloc(s->verdicts_n, sizeof(*s->verdicts));
	s->peers = calloc((size_t)SHADOW_GROUPS * 2 * SHADOW_EIDS, sizeof(uint32_t));
	s->named = calloc(SHADOW_NAMED, sizeof(*s->named));
	if (!s->rowtab || !s->rows || !s->verdicts || !s->peers || !s->named) {
		shadow_free(s);
		return NULL;
	}
	s->verdicts[0] = (struct cw_verdict){ .action = CW_ACT_ALLOW, .tier = CW_TIER_DEFAULT,
					      .adv_action = CW_ACT_ALLOW, .adv_tier = CW_TIER_DEFAULT };
	s->sink = (struct policy_sink){ .arg = s, .verdict_write = verdict_write, .rows_write = rows_write,
					.rowtab_write = rowtab_write, .peers_set = peers_set, .peers_del = peers_del,
					.word_store = word_store, .addr_set = addr_set, .addr_del = addr_del,
					.net_set = net_set, .net_del = net_del, .wl_group = wl_group, .settle = settle,
					.pattern_set = pattern_put, .pattern_del = pattern_del, .named_set = named_set,
					.named_del = named_del, .names_store = names_store,
					.names_reclass = names_reclass };
	return s;
}

void shadow_free(struct shadow *s)
{
	if (!s)
		return;
	free(s->rowtab);
	free(s->rows);
	free(s->verdicts);
	free(s->peers);
	free(s->named);
	free(s);
}

bool shadow_addr(const struct shadow *s, const struct addr *a, struct cw_addr *ret)
{
	uint32_t n = LOAD(&s->used_slots);
	uint64_t v;
	int best = -1;

	for (uint32_t i = 0; i < n; i++) {
		v = LOAD(&s->addrs[i].v);
		if (v && !memcmp(&s->addrs[i].a, a, 16)) {
			*ret = unpack(v);
			return true;
		}
	}
	n = LOAD(&s->used_nets);
	for (uint32_t i = 0; i < n; i++) {
		v = LOAD(&s->nets[i].v);
		if (!v || s->nets[i].p.plen <= best || !prefix_has(&s->nets[i].p, a))
			continue;
		best = s->nets[i].p.plen;
		*ret = unpack(v);
	}
	return best >= 0;
}

/* ---- the evaluator over these tables ------------------------------------------------------------------ */

static void pause_for(const struct shadow *s)
{
	for (uint32_t i = LOAD(&s->delay); i; i--)
		__asm__ volatile("" ::: "memory");
}

static inline int cw_eval_word(const struct shadow *s, uint32_t i, __u64 *ret)
{
	if (i >= SHADOW_GROUPS * 2)
		return -1;
	*ret = LOAD(&s->words[i]);
	return 0;
}

static inline int cw_eval_peer(const struct shadow *s, const struct cw_peer_key *k, uint32_t *ret)
{
	const uint32_t *c = peer_cell(s, k);
	uint32_t v = c ? LOAD(c) : 0;

	*ret = v - 1;
	return v ? 0 : -1;
}

static inline int cw_eval_rowtab(const struct shadow *s, uint32_t i, __u64 *ret)
{
	if (i >= s->rowtab_n)
		return -1;
	*ret = LOAD(&s->rowtab[i]);
	return 0;
}

static inline int cw_eval_row(const struct shadow *s, uint32_t i, __u64 *ret)
{
	if (i >= s->rows_n)
		return -1;
	*ret = LOAD(&s->rows[i]);
	return 0;
}

#define CW_EVAL_CTX const struct shadow
#define CW_EVAL_PAUSE(ctx) pause_for(ctx)
#include "cw_eval.h"

int shadow_eval(const struct shadow *s, uint32_t group, enum cw_side side, uint32_t eid, uint32_t realm,
		uint32_t axis, uint64_t *ret_word, struct cw_verdict *ret)
{
	struct cw_judgement j;

	if (cw_eval(s, group, side, eid, realm, axis, &j) || j.verdict >= s->verdicts_n)
		return -1;
	*ret_word = j.word;
	*ret = s->verdicts[j.verdict];
	return 0;
}

bool shadow_prefers(const struct cw_verdict *a, const struct cw_verdict *b)
{
	return cw_name_prefers(a, b);
}

void shadow_answer(struct shadow *s, uint32_t name)
{
	uint32_t cls = class_by_patterns(s, world_names[name]);

	pause_for(s);
	STORE(&s->names[name], cls);
}

int shadow_eval_named(const struct shadow *s, uint32_t group, uint32_t eid, uint32_t realm, uint32_t axis,
		      const uint32_t *names, size_t n, uint64_t *ret_word, struct cw_verdict *ret)
{
	uint32_t gs = group << 1 | CW_EGRESS;
	struct cw_judgement j;
	__u64 word = 0;

	if (cw_eval_word(s, gs, &word) || cw_eval_under(s, word, gs, eid, realm, axis, &j) || j.verdict >= s->verdicts_n)
		return -1;
	*ret_word = word;
	*ret = s->verdicts[j.verdict];
	if (realm != CW_REALM_WORLD || !LOAD(&s->classes))
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct shadow_named *m;
		uint32_t cls = LOAD(&s->names[names[i]]), named;

		pause_for(s);
		if (!cls || named_at((struct shadow *)s, eid, cls, false, &m))
			continue;
		named = LOAD(&m->eid);
		if (!named)
			continue;
		if (cw_eval_under(s, word, gs, named, realm, axis, &j) || j.verdict >= s->verdicts_n)
			return -1;
		if (cw_name_prefers(&s->verdicts[j.verdict], ret))
			*ret = s->verdicts[j.verdict];
	}
	return 0;
}

uint32_t shadow_outcome(uint32_t mode, const struct cw_verdict *v)
{
	return cw_outcome_of(mode, v->action, v->tier, v->flags);
}
