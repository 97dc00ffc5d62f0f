/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c - a source that touches many ports or many peers in a short time.
 *
 * Some ports on some peers each are a scan as well: more unanswered touches than both limits
 * together. So at most that many accesses stand alone before the burst is known for what it is.
 * Only accesses seen for the first time count as touches. Sources that stand for many (world,
 * a node) are expected to reach many peers: of theirs only unanswered touches count and are
 * held. While a burst lasts, further unanswered accesses beyond ACCESS_SCAN_KEEP are counted in
 * the scan and not listed, so that 65,535 ports do not become 65,535 rows.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/book.h"

/* Distinct ports or peers remembered in one burst; the figures stop there. */
#define SCAN_DISTINCT_MAX 65536u

void scan_track_free(void *p)
{
	struct scan_track *t = p;

	if (!t)
		return;
	vec_done(&t->touches);
	htab_free(t->ports, NULL);
	htab_free(t->peers, NULL);
	free(t);
}

static void track_freep(struct scan_track **t)
{
	scan_track_free(*t);
}

static bool many_behind(const struct access_end *src)
{
	return src->kind == ACCESS_RESERVED || src->kind == ACCESS_CIDR;
}

static int track_get(struct access_book *b, const struct access_end *src, struct scan_track **ret)
{
	auto_cleanup(track_freep) struct scan_track *t = NULL;
	int r;

	*ret = htab_get_u64(b->tracks, src->num);
	if (*ret)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->ports = htab_new();
	t->peers = htab_new();
	if (!t->ports || !t->peers)
		return -ENOMEM;
	r = htab_set_u64(b->tracks, src->num, t);
	if (r < 0)
		return r;
	*ret = take_ptr(t);
	return 0;
}

/* Tables of how often: the count itself is the value. */
static int count_up(struct htab *t, uint64_t key)
{
	uintptr_t n = (uintptr_t)htab_get_u64(t, key);

	if (!n && htab_count(t) >= SCAN_DISTINCT_MAX)
		return 0;
	return htab_set_u64(t, key, (void *)(n + 1));
}

static void count_down(struct htab *t, uint64_t key)
{
	uintptr_t n = (uintptr_t)htab_get_u64(t, key);

	if (n > 1)
		(void)htab_set_u64(t, key, (void *)(n - 1)); /* the key is there: cannot fail */
	else
		(void)htab_del_u64(t, key);
}

static int track_reset(struct scan_track *t)
{
	struct htab *ports = htab_new(), *peers = htab_new();

	if (!ports || !peers) {
		htab_free(ports, NULL);
		htab_free(peers, NULL);
		return -ENOMEM;
	}
	htab_free(t->ports, NULL);
	htab_free(t->peers, NULL);
	t->ports = ports;
	t->peers = peers;
	t->touches.n = t->head = t->silent = 0;
	t->scan = NULL;
	return 0;
}

static void expire(struct scan_track *t, int64_t before_ns)
{
	while (t->head < t->touches.n && t->touches.v[t->head].at_ns < before_ns) {
		count_down(t->ports, t->touches.v[t->head].axis);
		count_down(t->peers, t->touches.v[t->head].peer);
		t->silent -= t->touches.v[t->head].silent;
		t->head++;
	}
	if (t->head > 64 && t->head * 2 > t->touches.n) {
		memmove(t->touches.v, t->touches.v + t->head,
			(t->touches.n - t->head) * sizeof(*t->touches.v));
		t->touches.n -= t->head;
		t->head = 0;
	}
}

static int scan_begin(struct access_book *b, struct scan_track *t, const struct access_end *src,
		      const struct access_point *point, uint8_t proto)
{
	struct access_scan *s;
	int r;

	if (b->scans.n >= ACCESS_SCANS_MAX)
		return 0; /* no more stories; accesses are then listed one by one */
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->num = b->next_scan;
	s->src = src;
	s->point = point;
	s->first_ns = s->last_ns = t->touches.v[t->head].at_ns;
	r = vec_reserve(&b->dirty_scans, b->dirty_scans.n + 1);
	if (!r)
		r = vec_push(&b->scans, s);
	if (r < 0) {
		free(s);
		return r;
	}
	b->next_scan++;
	(void)book_mark(&b->dirty_scans, s); /* room was reserved */
	for (size_t i = t->head; i < t->touches.n; i++) {
		struct access *a = t->touches.v[i].access;

		if (!a || a->scan || a->decision != ACCESS_UNDECIDED)
			continue;
		r = book_mark(&b->dirty_accesses, a);
		if (r < 0)
			return r;
		a->scan = s->num;
		if (a->hold == ACCESS_NOT_HELD)
			a->hold = ACCESS_HELD_SCAN;
		s->held++;
	}
	t->touches.n = t->head = t->silent = 0; /* the distinct tables go on for the whole burst */
	t->scan = s;
	s->ports = htab_count(t->ports);
	s->peers = htab_count(t->peers);
	r = alert_book_scan(b->alerts, s, proto, NULL, NULL, 0);
	return r < 0 ? r : alert_book_scan_close(b->alerts, s);
}

int book_scan_touch(struct access_book *b, const struct access_end *src, const struct access_point *point,
		    const struct access_end *dst, uint8_t proto, uint16_t port, bool answered,
		    int64_t at_ns, struct access_scan **ret_scan, bool *ret_fold)
{
	struct scan_track *t;
	struct access_scan *s;
	int r;

	*ret_scan = NULL;
	*ret_fold = false;
	if (many_behind(src) && answered)
		return 0;
	r = track_get(b, src, &t);
	if (r < 0)
		return r;
	if (t->scan && at_ns > t->scan->last_ns + b->scan_window_ns) {
		r = track_reset(t);
		if (r < 0)
			return r;
	}
	r = count_up(t->ports, CW_AXIS(proto, port));
	if (!r)
		r = count_up(t->peers, dst->num);
	if (r < 0)
		return r;
	if (!t->scan) {
		expire(t, at_ns - b->scan_window_ns);
		r = vec_push(&t->touches, ((struct scan_touch){ at_ns, dst->num, CW_AXIS(proto, port), !answered, NULL }));
		if (r < 0)
			return r;
		t->silent += !answered;
		if (htab_count(t->ports) <= b->scan_ports && htab_count(t->peers) <= b->scan_peers &&
		    t->silent <= (size_t)b->scan_ports + b->scan_peers)
			return 0;
		r = scan_begin(b, t, src, point, proto);
		if (r < 0 || !t->scan)
			return r;
	}
	s = t->scan;
	r = book_mark(&b->dirty_scans, s);
	if (r < 0)
		return r;
	s->ports = htab_count(t->ports);
	s->peers = htab_count(t->peers);
	if (point != s->point)
		s->point = NULL;
	if (at_ns > s->last_ns)
		s->last_ns = at_ns;
	*ret_scan = s;
	*ret_fold = !answered && s->held >= ACCESS_SCAN_KEEP;
	return 0;
}

int book_scan_made(struct access_book *b, struct access *a, struct access_scan *scan)
{
	struct scan_track *t;

	if (scan) {
		a->scan = scan->num;
		if (a->hold == ACCESS_NOT_HELD)
			a->hold = ACCESS_HELD_SCAN;
		scan->held++;
		return book_mark(&b->dirty_scans, scan);
	}
	t = htab_get_u64(b->tracks, a->src->num);
	if (t && !t->scan && t->touches.n > t->head) {
		struct scan_touch *last = &t->touches.v[t->touches.n - 1];

		/* Not every access was a touch (see many_behind). */
		if (!last->access && last->peer == a->dst->num && last->axis == CW_AXIS(a->proto, a->port))
			last->access = a;
	}
	return 0;
}
