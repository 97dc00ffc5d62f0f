/* SPDX-License-Identifier: Apache-2.0 */
/* Which configuration holds for a workload: mode, default, quarantine. */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

static void bucket_free(void *p)
{
	struct bucket *b = p;

	if (!b)
		return;
	vec_done(&b->modes);
	vec_done(&b->quars);
	free(b);
}

void settings_done(struct settings *s)
{
	htab_free(s->by_ns, bucket_free);
	vec_done(&s->wide.modes);
	vec_done(&s->wide.quars);
	vec_done(&s->now.modes);
	vec_done(&s->now.quars);
}

struct bucket *settings_bucket(struct settings *s, const char *ns)
{
	const char *k = ns ? ns : "";
	struct bucket *b = htab_get(s->by_ns, k, strlen(k));

	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (b && htab_set(s->by_ns, k, strlen(k), b, NULL)) {
		free(b);
		b = NULL;
	}
	return b;
}

int settings_init(struct settings *s, uint64_t seed, const struct policy_state *next)
{
	struct bytes bytes = {};
	int r = 0;

	s->next = next;
	s->by_ns = htab_new();
	if (!s->by_ns)
		return -ENOMEM;
	for (size_t i = 0; i < next->nmodes && !r; i++) {
		const struct mode_setting *m = &next->modes[i];
		struct bucket *b = given(m->ns) ? settings_bucket(s, m->ns) : &s->wide;

		r = b ? vec_push(&b->modes, *m) : -ENOMEM;
	}
	for (size_t i = 0; i < next->nquarantines && !r; i++) {
		const struct quarantine *q = &next->quarantines[i];
		struct bucket *b = given(q->ns) ? settings_bucket(s, q->ns) : &s->wide;

		r = b ? vec_push(&b->quars, *q) : -ENOMEM;
	}
	for (size_t i = 0; i < next->nnamespaces && !r; i++) {
		struct bucket *b = settings_bucket(s, next->namespaces[i].name);

		if (!b) {
			r = -ENOMEM;
			break;
		}
		bytes.n = 0;
		bytes_labels(&bytes, &next->namespaces[i].labels);
		b->ns = &next->namespaces[i];
		b->digest = hash_bytes(seed, bytes.v, bytes.n);
		r = bytes.err;
	}
	free(bytes.v);
	return r;
}

static int settings_for(struct settings *s, const struct bucket *b)
{
	int r = 0;

	if (s->last == b)
		return 0;
	s->now.modes.n = s->now.quars.n = 0;
	for (size_t i = 0; i < b->modes.n && !r; i++)
		r = vec_push(&s->now.modes, b->modes.v[i]);
	for (size_t i = 0; i < s->wide.modes.n && !r; i++)
		r = vec_push(&s->now.modes, s->wide.modes.v[i]);
	for (size_t i = 0; i < b->quars.n && !r; i++)
		r = vec_push(&s->now.quars, b->quars.v[i]);
	for (size_t i = 0; i < s->wide.quars.n && !r; i++)
		r = vec_push(&s->now.quars, s->wide.quars.v[i]);
	if (r)
		return r;
	s->st = *s->next;
	s->st.modes = s->now.modes.v;
	s->st.nmodes = s->now.modes.n;
	s->st.quarantines = s->now.quars.v;
	s->st.nquarantines = s->now.quars.n;
	s->st.namespaces = b->ns;
	s->st.nnamespaces = b->ns ? 1 : 0;
	s->last = b;
	return 0;
}

uint64_t settings_digest(const struct policy_set *set, const struct policy_state *next, int *ret_err)
{
	struct bytes b = {};
	uint64_t d;

	bytes_u32(&b, (uint32_t)next->default_mode << 8 | next->default_action);
	bytes_u32(&b, next->enforce_always);
	for (size_t i = 0; i < next->nmodes; i++) {
		const struct mode_setting *m = &next->modes[i];

		bytes_u32(&b, (uint32_t)m->scope << 16 | (uint32_t)m->mode << 8 | m->dflt);
		bytes_str(&b, m->ns);
		bytes_str(&b, m->controller_kind);
		bytes_str(&b, m->controller_name);
		bytes_str(&b, m->workload);
		struct selector sel = { .ns_labels = m->ns_labels };
		bytes_selector(&b, &sel);
	}
	for (size_t i = 0; i < next->nquarantines; i++) {
		const struct quarantine *q = &next->quarantines[i];
		const struct qspec *s = qspec_find(set, q);

		bytes_str(&b, q->ns);
		bytes_str(&b, q->pod);
		bytes_str(&b, q->uid);
		bytes_str(&b, q->controller_kind);
		bytes_str(&b, q->controller_name);
		bytes_u32(&b, s ? s->id : 0);
	}
	d = hash_bytes(set->seed, b.v, b.n);
	*ret_err = b.err;
	free(b.v);
	return d;
}

int cfg_of(const struct policy_set *set, struct settings *s, const struct bucket *b,
		  const struct workload *w, struct gcfg *ret)
{
	const struct quarantine *q;
	enum cw_mode mode;
	enum cw_action dflt;
	int r = settings_for(s, b);

	if (r)
		return r;
	policy_state_mode(&s->st, w, &mode, &dflt, NULL);
	q = policy_state_quarantine(&s->st, w);
	*ret = (struct gcfg){ .mode = (uint8_t)mode, .dflt = dflt == CW_ACT_ALLOW ? CW_ACT_ALLOW : CW_ACT_BLOCK,
			      .quar = q != NULL };
	/* Tiers that drop in every mode are judged alone only where the mode would let them pass. */
	ret->always = set->enforce_always && (mode == CW_MODE_LEARN || mode == CW_MODE_ALERT);
	if (q) {
		const struct qspec *x = qspec_find(set, q);

		if (!x)
			return -ENOMEM;
		ret->qspec = x->id;
	}
	return 0;
}
