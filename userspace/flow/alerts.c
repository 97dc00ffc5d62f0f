/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/alerts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/htab.h"
#include "base/vec.h"

#define ALERT_MANY 100u /* from here on an alert is severe whatever it is about */
#define ID_SEED 0x63772d616c657274ull /* never changed: ids must be the same after a restart */

struct alert_book {
	struct htab *const *ids;  /* of accesses */
	struct htab *by_id;	  /* id to struct alert */
	struct htab *by_key;	  /* text key to struct alert */
	struct htab *latest;	  /* access and outcome to the alert last counted in */
	struct { struct alert **v; size_t n, cap; } list, dirty;
	struct { uint64_t *v; size_t n, cap; } gone;
	uint64_t next, pruned;
};

static void alert_free(void *p)
{
	struct alert *a = p;

	if (!a)
		return;
	free(a->src);
	free(a->dst);
	free(a->acked_by);
	free(a->note);
	free(a);
}

static void alert_freep(struct alert **a)
{
	alert_free(*a);
}

int alert_book_new(struct htab *const *ids, struct alert_book **ret)
{
	struct alert_book *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->ids = ids;
	b->next = 1;
	b->by_id = htab_new();
	b->by_key = htab_new();
	b->latest = htab_new();
	if (!b->by_id || !b->by_key || !b->latest) {
		alert_book_free(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

void alert_book_free(struct alert_book *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->list.n; i++)
		alert_free(b->list.v[i]);
	vec_done(&b->list);
	vec_done(&b->dirty);
	vec_done(&b->gone);
	htab_free(b->by_id, NULL);
	htab_free(b->by_key, NULL);
	htab_free(b->latest, NULL);
	free(b);
}

bool alert_book_has(const struct alert_book *b, const char *id, size_t len)
{
	return htab_has(b->by_id, id, len);
}

/* What makes two alerts one. */
static size_t key_of(const struct alert *a, char out[128])
{
	int n;

	if (a->kind == ALERT_SCAN)
		n = snprintf(out, 128, "scan %llu", (unsigned long long)a->scan);
	else
		n = snprintf(out, 128, "%s %d %u %d", a->access, a->outcome, a->by.rule, a->by.tier);
	return n < 0 ? 0 : (size_t)n;
}

static void pick_id(const struct alert_book *b, const char *key, size_t len, char ret[ACCESS_ID_MAX])
{
	for (uint64_t seed = ID_SEED;; seed++) {
		char hex[ACCESS_ID_MAX];

		(void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)hash_bytes(seed, key, len));
		for (size_t n = 4; n < ACCESS_ID_MAX; n++) {
			if (htab_has(*b->ids, hex, n) || htab_has(b->by_id, hex, n))
				continue;
			memcpy(ret, hex, n);
			ret[n] = '\0';
			return;
		}
	}
}

static int mark(struct alert_book *b, struct alert *a)
{
	int r = 0;

	if (!a->dirty) {
		r = vec_push(&b->dirty, a);
		if (!r)
			a->dirty = true;
	}
	return r;
}

static size_t latest_key(const char *access, enum cw_outcome o, char out[64])
{
	int n = snprintf(out, 64, "%s %d", access, o);

	return n < 0 ? 0 : (size_t)n;
}

/* Makes room for `need`: an eighth of the oldest acknowledged ones, or of the oldest at all. */
static int make_room(struct alert_book *b, size_t need)
{
	size_t want = ALERTS_MAX / 8, acked = 0, keep = 0;
	size_t gone = 0;
	int r;

	if (b->list.n + need <= ALERTS_MAX)
		return 0;
	r = vec_reserve(&b->gone, b->gone.n + want);
	if (r < 0)
		return r;
	for (size_t i = 0; i < b->list.n; i++)
		acked += b->list.v[i]->acked_ns != 0;
	if (acked < need)
		acked = 0; /* too few to help: the oldest go */
	for (size_t i = 0; i < b->list.n; i++) {
		struct alert *a = b->list.v[i];
		bool go = gone < want && (!acked || a->acked_ns);
		char key[128];
		size_t len;

		if (!go) {
			b->list.v[keep++] = a;
			continue;
		}
		gone++;
		b->gone.v[b->gone.n++] = a->num;
		(void)htab_del(b->by_id, a->id, strlen(a->id));
		(void)htab_del(b->by_key, key, key_of(a, key));
		len = latest_key(a->access, a->outcome, key);
		if (htab_get(b->latest, key, len) == a)
			(void)htab_del(b->latest, key, len);
		if (a->dirty)
			for (size_t j = 0; j < b->dirty.n; j++)
				if (b->dirty.v[j] == a) {
					b->dirty.v[j] = b->dirty.v[--b->dirty.n];
					break;
				}
		alert_free(a);
	}
	b->list.n = keep;
	b->pruned += gone;
	return 0;
}

/* Takes *io when it is new; *ret is the one to count in. */
static int intern(struct alert_book *b, struct alert **io, struct alert **ret)
{
	struct alert *a = *io;
	char key[128];
	size_t len = key_of(a, key);
	int r;

	*ret = htab_get(b->by_key, key, len);
	if (*ret)
		return mark(b, *ret);
	r = vec_reserve(&b->list, b->list.n + 1);
	if (!r)
		r = vec_reserve(&b->dirty, b->dirty.n + 1);
	if (r < 0)
		return r;
	if (!a->num) {
		pick_id(b, key, len, a->id);
		a->num = b->next;
	}
	r = htab_set(b->by_key, key, len, a, NULL);
	if (r < 0)
		return r;
	r = htab_set(b->by_id, a->id, strlen(a->id), a, NULL);
	if (r < 0) {
		(void)htab_del(b->by_key, key, len);
		return r;
	}
	if (a->num >= b->next)
		b->next = a->num + 1;
	b->list.v[b->list.n++] = a;
	if (!a->dirty)
		(void)mark(b, a); /* room was reserved */
	*ret = take_ptr(*io);
	return 0;
}

static enum alert_severity severity(const struct alert *a, bool world)
{
	bool both = a->side[CW_EGRESS].outcome >= CW_OUT_WOULD_BLOCK &&
		    a->side[CW_INGRESS].outcome >= CW_OUT_WOULD_BLOCK;

	if (a->kind == ALERT_SCAN || both || a->count >= ALERT_MANY || a->by.tier == CW_TIER_QUARANTINE)
		return ALERT_HIGH;
	return world || a->outcome == CW_OUT_ALERT ? ALERT_LOW : ALERT_MEDIUM;
}

static bool outside(const struct access_end *e)
{
	return e->kind == ACCESS_ADDR || e->kind == ACCESS_CIDR || e->kind == ACCESS_FQDN ||
	       (e->kind == ACCESS_RESERVED && e->reserved == CW_ID_WORLD);
}

/* Whose record speaks for this outcome: a side that has it now, the source's first. */
static int deciding_side(const struct access_counts *d, const struct access_side side[2], enum cw_outcome o)
{
	for (int s = 0; s < 2; s++)
		if (d->cnt[s][o] && side[s].outcome == o)
			return s;
	return -1; /* it happened since the last drain, but is no longer so */
}

/* A rule in own mode alert speaks through the advisory half; the enforced half let it pass. */
static struct cw_verdict speaking(const struct cw_verdict *v, enum cw_outcome o)
{
	struct cw_verdict by = *v;

	if ((v->flags & CW_V_ADV) && o != CW_OUT_DROP && v->action < v->adv_action) {
		by.rule = v->adv_rule;
		by.tier = v->adv_tier;
		by.action = v->adv_action;
	}
	return by;
}

static int alert_for(struct alert_book *b, const struct access *x, const struct access_counts *d,
		     const struct access_side side[2], enum cw_outcome o, struct alert **ret)
{
	auto_cleanup(alert_freep) struct alert *a = NULL;
	int s = deciding_side(d, side, o), r;
	char key[64];
	size_t len = latest_key(x->id, o, key);

	if (s < 0) {
		*ret = htab_get(b->latest, key, len);
		if (*ret)
			return mark(b, *ret);
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->kind = ALERT_ACCESS;
	memcpy(a->access, x->id, sizeof(a->access));
	a->proto = x->proto;
	a->port = x->port;
	a->outcome = o;
	if (s >= 0) {
		a->by = speaking(&side[s].verdict, o);
		a->by_side = (enum cw_side)s;
		a->reason = side[s].reason;
	} else {
		a->by_side = d->cnt[CW_EGRESS][o] ? CW_EGRESS : CW_INGRESS;
	}
	a->src = strdup(x->src->ref);
	a->dst = strdup(x->dst->ref);
	if (!a->src || !a->dst)
		return -ENOMEM;
	r = intern(b, &a, ret);
	return r < 0 ? r : htab_set(b->latest, key, len, *ret, NULL);
}

static const enum cw_outcome worth[] = { CW_OUT_ALERT, CW_OUT_WOULD_BLOCK, CW_OUT_DROP };

/* One flow judged on both sides is one alert, not two. */
static uint64_t times(const struct access_counts *d, enum cw_outcome o)
{
	uint64_t e = d->cnt[CW_EGRESS][o], in = d->cnt[CW_INGRESS][o];

	return e > in ? e : in;
}

static void seen(struct alert *a, const struct access_side side[2], int64_t at_ns)
{
	for (int s = 0; s < 2; s++)
		if (side[s].outcome != CW_OUT_NONE && side[s].at_ns >= a->side[s].at_ns)
			a->side[s] = side[s];
	if (!a->first_ns || at_ns < a->first_ns)
		a->first_ns = at_ns;
	if (at_ns > a->last_ns)
		a->last_ns = at_ns;
}

static int scan_alert(struct alert_book *b, uint64_t scan, const char *src, uint8_t proto, struct alert **ret)
{
	auto_cleanup(alert_freep) struct alert *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->kind = ALERT_SCAN;
	a->scan = scan;
	a->proto = proto;
	a->severity = ALERT_HIGH;
	a->src = strdup(src);
	a->dst = strdup("");
	if (!a->src || !a->dst)
		return -ENOMEM;
	r = intern(b, &a, ret);
	if (!r && (*ret)->proto != proto)
		(*ret)->proto = 0;
	return r;
}

static void scan_count(struct alert *a, const struct access_counts *d, const struct access_side side[2],
		       int64_t at_ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(worth); i++) {
		uint64_t n = times(d, worth[i]);
		int s = deciding_side(d, side, worth[i]);

		a->count += n;
		if (!n || s < 0 || worth[i] < a->outcome)
			continue;
		a->outcome = worth[i];
		a->by = speaking(&side[s].verdict, worth[i]);
		a->by_side = (enum cw_side)s;
		a->reason = side[s].reason;
	}
	seen(a, side, at_ns);
}

int alert_book_access(struct alert_book *b, const struct access *x, const struct access_counts *d,
		      const struct access_side side[2], int64_t at_ns)
{
	struct alert *to[ARRAY_SIZE(worth)] = { };
	int r;

	/* Before any alert is looked up: making room frees others. */
	r = make_room(b, ARRAY_SIZE(worth));
	if (r < 0)
		return r;
	if (x->scan && access_in_scan(x)) {
		r = scan_alert(b, x->scan, x->src->ref, x->proto, &to[0]);
		if (!r)
			scan_count(to[0], d, side, at_ns);
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(worth); i++) {
		if (!times(d, worth[i]))
			continue;
		r = alert_for(b, x, d, side, worth[i], &to[i]);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(worth); i++) {
		struct alert *a = to[i];

		if (!a)
			continue;
		a->count += times(d, worth[i]);
		a->scan = 0; /* somebody decided about the access: it speaks for itself again */
		seen(a, side, at_ns);
		a->severity = severity(a, outside(x->src) || outside(x->dst));
	}
	return 0;
}

int alert_book_scan(struct alert_book *b, const struct access_scan *s, uint8_t proto,
		    const struct access_counts *d, const struct access_side side[2], int64_t at_ns)
{
	struct alert *to = NULL;
	int r;

	r = make_room(b, 1);
	if (!r)
		r = scan_alert(b, s->num, s->point ? s->point->ref : s->src->ref, proto, &to);
	if (r)
		return r;
	to->ports = s->ports;
	to->peers = s->peers;
	if (!to->first_ns || s->first_ns < to->first_ns)
		to->first_ns = s->first_ns;
	if (s->last_ns > to->last_ns)
		to->last_ns = s->last_ns;
	if (d)
		scan_count(to, d, side, at_ns);
	return 0;
}

int alert_book_scan_close(struct alert_book *b, const struct access_scan *s)
{
	struct alert *to = (struct alert *)alert_book_scan_find(b, s->num);

	for (size_t i = 0; to && i < b->list.n; i++) {
		struct alert *a = b->list.v[i];
		const struct access *x;
		int r;

		if (a->kind != ALERT_ACCESS || a->scan)
			continue;
		x = htab_get(*b->ids, a->access, strlen(a->access));
		if (!x || x->scan != s->num || !access_in_scan(x))
			continue;
		r = mark(b, a);
		if (!r)
			r = mark(b, to);
		if (r < 0)
			return r;
		a->scan = s->num;
		to->count += a->count;
		if (a->outcome >= to->outcome) {
			to->outcome = a->outcome;
			to->by = a->by;
			to->by_side = a->by_side;
			to->reason = a->reason;
		}
		seen(to, a->side, a->last_ns);
	}
	return 0;
}

const char *alert_severity_str(enum alert_severity s)
{
	static const char *const words[] = { "low", "med", "high" };

	return (size_t)s < ARRAY_SIZE(words) ? words[s] : NULL;
}

size_t alert_book_count(const struct alert_book *b)
{
	return b->list.n;
}

const struct alert *alert_book_at(const struct alert_book *b, size_t i)
{
	return b->list.v[i];
}

const struct alert *alert_book_find(const struct alert_book *b, const char *id)
{
	return htab_get(b->by_id, id, strlen(id));
}

const struct alert *alert_book_scan_find(const struct alert_book *b, uint64_t scan)
{
	const struct alert a = { .kind = ALERT_SCAN, .scan = scan };
	char key[128];

	return htab_get(b->by_key, key, key_of(&a, key));
}

uint64_t alert_book_pruned(const struct alert_book *b)
{
	return b->pruned;
}

int alert_book_ack(struct alert_book *b, const char *id, const char *who, const char *note, int64_t now_ns)
{
	auto_free char *by = NULL, *text = NULL;
	struct alert *a = htab_get(b->by_id, id, strlen(id));
	int r;

	if (!a)
		return -ENOENT;
	by = strdup(who ? who : "");
	text = strdup(note ? note : "");
	r = by && text ? mark(b, a) : -ENOMEM;
	if (r < 0)
		return r;
	free(a->acked_by);
	free(a->note);
	a->acked_by = take_ptr(by);
	a->note = take_ptr(text);
	a->acked_ns = now_ns;
	a->count_acked = a->count;
	return 0;
}

int alert_book_dirty(const struct alert_book *b, int (*fn)(void *arg, const struct alert *a),
		     int (*gone)(void *arg, uint64_t num), void *arg)
{
	int r = 0;

	for (size_t i = 0; i < b->gone.n && !r; i++)
		r = gone(arg, b->gone.v[i]);
	for (size_t i = 0; i < b->dirty.n && !r; i++)
		r = fn(arg, b->dirty.v[i]);
	return r;
}

bool alert_book_is_dirty(const struct alert_book *b)
{
	return b->dirty.n || b->gone.n;
}

void alert_book_clean(struct alert_book *b)
{
	for (size_t i = 0; i < b->dirty.n; i++)
		b->dirty.v[i]->dirty = false;
	b->dirty.n = b->gone.n = 0;
}

int alert_book_load(struct alert_book *b, const struct alert *from)
{
	auto_cleanup(alert_freep) struct alert *a = NULL;
	struct alert *to, *old;
	char key[64];
	size_t len;
	int r;

	if (!from->num || htab_has(b->by_id, from->id, strlen(from->id)))
		return -EBADMSG;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = *from;
	a->dirty = true; /* already on disk: intern must not list it */
	a->src = strdup(from->src ? from->src : "");
	a->dst = strdup(from->dst ? from->dst : "");
	a->acked_by = from->acked_by ? strdup(from->acked_by) : NULL;
	a->note = from->note ? strdup(from->note) : NULL;
	if (!a->src || !a->dst || (from->acked_by && !a->acked_by) || (from->note && !a->note))
		return -ENOMEM;
	r = intern(b, &a, &to);
	if (r < 0)
		return r;
	if (a) /* the key was there */
		return -EBADMSG;
	to->dirty = false;
	len = latest_key(to->access, to->outcome, key);
	old = htab_get(b->latest, key, len);
	return old && old->last_ns > to->last_ns ? 0 : htab_set(b->latest, key, len, to, NULL);
}

void alert_book_load_pruned(struct alert_book *b, uint64_t pruned)
{
	b->pruned = pruned;
}
