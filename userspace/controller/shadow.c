/* SPDX-License-Identifier: Apache-2.0 */
/* shadow.c - the shadow's candidate, its judgements and its memory. */
#define LOG_UNIT "shadow"

#include "controller/shadow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "controller/replay.h"
#include "controller/rule_apply.h"
#include "controller/shadow_priv.h"
#include "controller/view.h"

static void diff_free(struct shadow_diff *d)
{
	if (!d)
		return;
	cJSON_Delete(d->by);
	cJSON_Delete(d->was_by);
	free(d);
}

static void candidate_done(struct shadow *s)
{
	replay_index_done(&s->ix);
	policy_state_done(&s->next);
	change_items_done(&s->items);
	memset(&s->next, 0, sizeof(s->next));
	s->ready = false;
}

void shadow_free(struct shadow *s)
{
	if (!s)
		return;
	judge_free(s->judge);
	candidate_done(s);
	for (size_t i = 0; i < s->seen.n; i++)
		diff_free(s->seen.v[i].diff);
	vec_done(&s->seen);
	rule_docs_done(&s->docs);
	cJSON_Delete(s->doc);
	free(s->error);
	free(s);
}

int shadow_new(cJSON *doc, struct fail_list *f, struct shadow **ret)
{
	struct shadow *s = calloc(1, sizeof(*s));
	const char *as = json_str(doc, "as"), *started = json_str(doc, "startedNs");
	uint64_t at = 0;
	size_t files;
	int e;

	if (!s)
		return -ENOMEM;
	e = rule_apply_read(doc, true, f, &s->docs, &files);
	e = e ?: judge_new(&s->judge);
	if (e) {
		shadow_free(s);
		return e;
	}
	s->name = json_str(doc, "name") ?: "shadow";
	s->who = json_str(doc, "who") ?: "-";
	s->as_enforce = !as || strcmp(as, "live") != 0;
	s->prune = json_bool(doc, "prune", false);
	if (started && !parse_u64(started, 0, INT64_MAX, &at))
		s->at_ns = (int64_t)at;
	s->doc = doc;
	*ret = s;
	return 0;
}

/* ---- the candidate ------------------------------------------------------------------------------ */

int shadow_compile(struct controller *c, struct shadow *s, struct fail_list *f)
{
	auto_cleanup(words_done) struct words touched = {};
	int e;

	candidate_done(s);
	e = policy_state_copy(&c->state, &s->next);
	e = e ?: rule_apply_docs(&s->docs, s->prune, s->who, s->at_ns, &s->next, &touched);
	if (!e)
		rule_apply_number(&s->next);
	e = e ?: state_diff(&c->state, &s->next, &touched, &s->items);
	e = e ?: judge_set(s->judge, &c->state, f);
	e = e ?: judge_candidate(s->judge, &s->next, f);
	e = e ?: replay_index_init(&s->next, &s->ix);
	s->ready = !e;
	return e;
}

static bool candidate(struct controller *c, struct shadow *s)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	int e;

	if (!c->shadow_stale)
		return s->ready;
	e = shadow_compile(c, s, &f);
	c->shadow_stale = e == -ENOMEM; /* the same state would fail in the same way */
	free(s->error);
	s->error = e ? strdup(f.n ? f.items[0].message : strerror(-e)) : NULL;
	if (e)
		log_warn(e, "the shadow cannot be compiled; name='%s' reason='%s'", s->name, s->error ?: "");
	return s->ready;
}

/* ---- judging -------------------------------------------------------------------------------------- */

static void diff_take(struct controller *c, struct shadow *s, struct shadow_diff *d, const struct replay_item *it)
{
	cJSON *change = view_access_change(&c->state, &s->next, it, &(struct replay){ .days = 1 });

	d->effect = it->effect;
	d->was = it->was;
	d->becomes = it->becomes;
	d->side = it->side;
	if (!change)
		return; /* the words are right, the rules are those of the last time */
	cJSON_Delete(d->by);
	cJSON_Delete(d->was_by);
	d->by = cJSON_DetachItemFromObjectCaseSensitive(change, "by");
	d->was_by = cJSON_DetachItemFromObjectCaseSensitive(change, "wasBy");
	cJSON_Delete(change);
}

/* 0, or negative errno: judged again the next time. */
static int judge_one(struct controller *c, struct shadow *s, struct shadow_seen *seen, const struct access *a)
{
	const struct replay_opts o = { .was_enforce = s->as_enforce, .becomes_enforce = s->as_enforce };
	struct replay_item it = { .access = a };
	uint64_t fresh = a->c.flows - seen->flows;
	int r = replay_one(s->judge, a, &s->ix, &o, &it);

	if (r < 0)
		return r;
	if (it.effect != REPLAY_SAME && !seen->diff && s->ndiffs < SHADOW_DIFFS_MAX) {
		seen->diff = calloc(1, sizeof(*seen->diff));
		if (!seen->diff)
			return -ENOMEM;
		s->ndiffs++;
		seen->diff->first_ns = seen->flows ? a->last_ns : a->first_ns; /* to a tick: when they were judged */
	}
	if (it.effect != REPLAY_SAME && seen->diff) {
		diff_take(c, s, seen->diff, &it);
		seen->diff->flows += fresh;
		seen->diff->last_ns = a->last_ns;
	} else if (it.effect != REPLAY_SAME) {
		seen->more += fresh;
	}
	seen->unresolved = !r;
	seen->since += fresh;
	seen->flows = a->c.flows;
	seen->dirty = true;
	s->dirty = true;
	return 0;
}

/* What is not in the table yet came after the start: all of it counts. */
static int seen_grow(struct shadow *s, size_t n)
{
	if (vec_reserve(&s->seen, n))
		return -ENOMEM;
	while (s->seen.n < n)
		s->seen.v[s->seen.n++] = (struct shadow_seen){};
	return 0;
}

static int seen_write(struct controller *c, struct shadow *s)
{
	int r = store_begin(c->store, false);

	for (size_t i = 0; i < s->seen.n && !r; i++) {
		auto_free char *text = NULL;

		if (!s->seen.v[i].dirty)
			continue;
		text = shadow_seen_text(&s->seen.v[i]);
		r = !text && s->seen.v[i].since ? -ENOMEM :
		    store_shadow_seen_put(c->store, access_book_at(c->book, i)->num, s->seen.v[i].flows, text);
	}
	if (r)
		store_rollback(c->store);
	else
		r = store_commit(c->store);
	if (r)
		return r; /* the marks stay */
	for (size_t i = 0; i < s->seen.n; i++)
		s->seen.v[i].dirty = false;
	s->dirty = false;
	return 0;
}

void shadow_tick(struct controller *c)
{
	struct shadow *s = c->shadow;
	size_t n = access_book_count(c->book), left = SHADOW_JUDGE_MAX;

	if (!s || !candidate(c, s) || seen_grow(s, n))
		return;
	s->behind = 0;
	for (size_t k = 0; k < n; k++) {
		size_t i = (s->cursor + k) % n;
		const struct access *a = access_book_at(c->book, i);

		/* Flows whose end is not known yet wait here as they do in the book. */
		if (a->c.flows <= s->seen.v[i].flows)
			continue;
		if (!left) {
			s->behind++;
			s->cursor = s->behind == 1 ? i : s->cursor;
			continue;
		}
		left--;
		s->behind += judge_one(c, s, &s->seen.v[i], a) != 0;
	}
	if (s->dirty && seen_write(c, s))
		c->store_errors++;
}

/* ---- life ----------------------------------------------------------------------------------------- */

/* From here on: what every access has so far is not the shadow's. */
static int seen_begin(struct controller *c, struct shadow *s)
{
	size_t n = access_book_count(c->book);
	int r = seen_grow(s, n);

	for (size_t i = 0; i < n && !r; i++) {
		const struct access *a = access_book_at(c->book, i);

		s->seen.v[i].flows = a->c.flows;
		r = store_shadow_seen_put(c->store, a->num, a->c.flows, NULL);
	}
	return r;
}

int shadow_begin(struct controller *c, struct shadow *s)
{
	auto_free char *text = cJSON_PrintUnformatted(s->doc);
	int r;

	if (!text)
		return -ENOMEM;
	if (strlen(text) > STORE_TEXT_MAX)
		return -E2BIG;
	r = store_begin(c->store, true);
	if (r)
		return r;
	r = store_shadow_set(c->store, text);
	r = r ?: seen_begin(c, s);
	if (r) {
		store_rollback(c->store);
		return r;
	}
	r = store_commit(c->store);
	if (!r) {
		c->shadow = s;
		c->shadow_stale = false; /* compiled a moment ago */
	}
	return r;
}

int shadow_end(struct controller *c)
{
	int r = store_shadow_clear(c->store);

	if (r)
		return r;
	shadow_free(c->shadow);
	c->shadow = NULL;
	return 0;
}

struct loading { struct shadow *s; struct htab *by_num; };

static int seen_load(void *arg, uint64_t access, uint64_t flows, const char *doc)
{
	struct loading *l = arg;
	/* Positions are kept as themselves plus one: 0 is none. */
	size_t at = (size_t)(uintptr_t)htab_get_u64(l->by_num, access);
	struct shadow_seen *seen = at ? &l->s->seen.v[at - 1] : NULL;

	if (!seen)
		return 0;
	seen->flows = flows;
	if (shadow_seen_read(doc, seen))
		return -EBADMSG;
	l->s->ndiffs += seen->diff != NULL;
	return 0;
}

static int seen_restore(struct controller *c, struct shadow *s)
{
	struct loading l = { s, htab_new() };
	size_t n = access_book_count(c->book);
	int r = l.by_num ? seen_grow(s, n) : -ENOMEM;

	for (size_t i = 0; i < n && !r; i++)
		r = htab_set_u64(l.by_num, access_book_at(c->book, i)->num, (void *)(uintptr_t)(i + 1));
	r = r ?: store_shadow_seen_each(c->store, seen_load, &l);
	htab_free(l.by_num, NULL);
	return r;
}

int shadow_restore(struct controller *c)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	auto_free char *text = NULL;
	struct shadow *s = NULL;
	int r = store_shadow_get(c->store, &text);

	if (r)
		return r == -ENOENT ? 0 : r;
	doc = cJSON_Parse(text); /* our own text */
	r = doc ? shadow_new(doc, &f, &s) : -EBADMSG;
	if (!r) {
		doc = NULL;
		r = seen_restore(c, s);
	}
	if (r == -ENOMEM || r == -EIO) {
		shadow_free(s);
		return r;
	}
	if (r) {
		shadow_free(s);
		log_warn(r, "the stored shadow cannot be read and has ended; reason='%s'", f.n ? f.items[0].message : "");
		return store_shadow_clear(c->store);
	}
	c->shadow = s;
	c->shadow_stale = true;
	return 0;
}
