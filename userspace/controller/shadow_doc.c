/* SPDX-License-Identifier: Apache-2.0 */
/* shadow_doc.c - what a shadow has seen, as the store keeps it and as the API tells it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/shadow_priv.h"
#include "base/strparse.h"
#include "controller/view.h"

/* Counts are texts: a JSON number does not hold 64 bits. */
static void put_u64(cJSON *o, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	put_str(o, key, text);
}

static uint64_t get_u64(const cJSON *o, const char *key)
{
	const char *s = json_str(o, key);
	uint64_t v = 0;

	return s && !parse_u64(s, 0, UINT64_MAX, &v) ? v : 0;
}

char *shadow_seen_text(const struct shadow_seen *seen)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = seen->since ? cJSON_CreateObject() : NULL;
	const struct shadow_diff *d = seen->diff;

	if (!o)
		return NULL;
	put_u64(o, "since", seen->since);
	put_u64(o, "more", seen->more);
	cJSON_AddBoolToObject(o, "unresolved", seen->unresolved);
	if (d) {
		put_num(o, "effect", d->effect);
		put_num(o, "was", d->was);
		put_num(o, "becomes", d->becomes);
		put_num(o, "side", d->side);
		put_u64(o, "flows", d->flows);
		put_u64(o, "first", (uint64_t)d->first_ns);
		put_u64(o, "last", (uint64_t)d->last_ns);
		put_item(o, "by", d->by ? cJSON_Duplicate(d->by, true) : cJSON_CreateNull());
		put_item(o, "wasBy", d->was_by ? cJSON_Duplicate(d->was_by, true) : cJSON_CreateNull());
	}
	return cJSON_PrintUnformatted(o);
}

int shadow_seen_read(const char *text, struct shadow_seen *seen)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = text ? cJSON_Parse(text) : NULL;
	int64_t effect, was, becomes, side;
	struct shadow_diff *d;

	if (!o)
		return text ? -EBADMSG : 0;
	seen->since = get_u64(o, "since");
	seen->more = get_u64(o, "more");
	seen->unresolved = json_bool(o, "unresolved", false);
	if (!json_get(o, "effect"))
		return 0;
	effect = json_i64(o, "effect", -1);
	was = json_i64(o, "was", -1);
	becomes = json_i64(o, "becomes", -1);
	side = json_i64(o, "side", 9);
	if (effect <= REPLAY_SAME || effect > REPLAY_BREAKS || was < 0 || was >= CW_OUT_COUNT || becomes < 0 ||
	    becomes >= CW_OUT_COUNT || side < -1 || side > 1)
		return -EBADMSG;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->effect = (enum replay_effect)effect;
	d->was = (enum cw_outcome)was;
	d->becomes = (enum cw_outcome)becomes;
	d->side = (int)side;
	d->flows = get_u64(o, "flows");
	d->first_ns = (int64_t)get_u64(o, "first");
	d->last_ns = (int64_t)get_u64(o, "last");
	d->by = cJSON_DetachItemFromObjectCaseSensitive(o, "by");
	d->was_by = cJSON_DetachItemFromObjectCaseSensitive(o, "wasBy");
	seen->diff = d;
	return 0;
}

static cJSON *diff_json(const struct access *a, const struct shadow_diff *d)
{
	static const char *const side_word[] = { "egress", "ingress" };
	cJSON *o = cJSON_CreateObject();
	char port[40];

	put_str(o, "id", a->id);
	put_str(o, "src", a->src->ref);
	put_str(o, "dst", a->dst->ref);
	put_str(o, "port", access_port_str(a, port));
	put_str(o, "was", cw_outcome_str(d->was));
	put_str(o, "becomes", cw_outcome_str(d->becomes));
	put_str(o, "side", d->side < 0 ? "both" : side_word[d->side]);
	put_str(o, "effect", replay_effect_str(d->effect));
	put_item(o, "by", d->by ? cJSON_Duplicate(d->by, true) : cJSON_CreateNull());
	put_item(o, "wasBy", d->was_by ? cJSON_Duplicate(d->was_by, true) : cJSON_CreateNull());
	put_num(o, "flows", (double)d->flows);
	put_time(o, "first", d->first_ns);
	put_time(o, "last", d->last_ns);
	put_str(o, "answered", a->c.answered ? "yes" : "attempted");
	return o;
}

struct listed { const struct access *a; const struct shadow_diff *d; };

static int by_effect(const void *pa, const void *pb)
{
	const struct listed *x = pa, *y = pb;

	if (x->d->effect != y->d->effect)
		return x->d->effect > y->d->effect ? -1 : 1;
	return strcmp(x->a->id, y->a->id);
}

cJSON *shadow_json(struct controller *c, const struct shadow *s)
{
	auto_free struct listed *list = calloc(s->ndiffs + 1, sizeof(*list));
	cJSON *o = api_object("Shadow"), *items, *k;
	struct replay r = {};
	uint64_t more_flows = 0;
	size_t n = 0, more = 0;

	if (!o || !list) {
		cJSON_Delete(o);
		return NULL;
	}
	for (size_t i = 0; i < s->seen.n; i++) {
		const struct shadow_seen *seen = &s->seen.v[i];
		const struct shadow_diff *d = seen->diff;

		if (!seen->since)
			continue;
		r.accesses++;
		r.flows += seen->since;
		r.unresolved += seen->unresolved;
		more += seen->more != 0;
		more_flows += seen->more;
		r.unchanged += !d && !seen->more && !seen->unresolved;
		if (!d)
			continue;
		r.breaks += d->effect == REPLAY_BREAKS;
		r.opens += d->effect == REPLAY_OPENS;
		r.differs += d->effect == REPLAY_DIFFERS;
		list[n++] = (struct listed){ access_book_at(c->book, i), d };
	}
	qsort(list, n, sizeof(*list), by_effect);
	put_str(o, "state", s->error ? "failed" : "running");
	put_str_null(o, "error", s->error);
	put_str(o, "name", s->name);
	put_str(o, "who", s->who);
	put_time(o, "since", s->at_ns);
	put_num(o, "generation", (double)c->state.generation);
	put_str(o, "as", s->as_enforce ? "enforce" : "live");
	view_candidate(o, &s->items);
	put_num(o, "accesses", (double)r.accesses);
	put_num(o, "flows", (double)r.flows);
	put_num(o, "unchanged", (double)r.unchanged);
	view_effects(o, &r);
	k = cJSON_AddObjectToObject(o, "more");
	put_num(k, "accesses", (double)more);
	put_num(k, "flows", (double)more_flows);
	put_num(k, "kept", SHADOW_DIFFS_MAX);
	put_num(o, "behind", (double)s->behind);
	put_num(o, "lost", (double)controller_loss(c, NULL));
	items = cJSON_AddArrayToObject(o, "items");
	for (size_t i = 0; i < n; i++)
		put_push(items, diff_json(list[i].a, list[i].d));
	return o;
}
