/* SPDX-License-Identifier: Apache-2.0 */
/* test_records.c - what a controller has and what agents make of it: always the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "wire/records.h"
#include "wire/replica.h"
#include "world.h"

/* ---- helpers --------------------------------------------------------------------------------- */

static void commit(struct records *r, const struct policy_state *st, enum policy_flows how)
{
	struct records_next *n;

	assert_int_equal(records_prepare(r, st, NULL, &n), 0);
	records_commit(r, n, how);
}

/* Feeds bytes; stops after `frames` frames if that is not negative. Returns commits seen. */
static int feed(struct replica *p, const struct wire_blobs *l, int frames, struct msg_sync *ret)
{
	struct frame_reader fr = { .max = FRAME_BODY_MAX };
	int commits = 0, e;

	for (size_t i = 0; i < l->n; i++) {
		const char *at = l->v[i]->data;
		size_t len = l->v[i]->len;
		struct frame f;

		while (frames && (e = frame_read(&fr, &at, &len, &f)) == 1) {
			e = replica_take(p, &f, ret);
			assert_true(e >= 0);
			commits += e;
			frames -= frames > 0;
		}
	}
	frame_reader_done(&fr);
	return commits;
}

/* One round: what leads from the replica on. Returns whether it was a snapshot. */
static bool bring(struct records *r, struct replica *p, struct msg_sync *ret)
{
	struct msg_held held = replica_held(p), to;
	struct wire_blobs l;
	bool snap;

	assert_int_equal(records_since(r, &held, &l, &to, &snap), 0);
	if (l.n) {
		assert_int_equal(feed(p, &l, -1, ret), 1);
		held = replica_held(p);
		assert_memory_equal(&held, &to, sizeof(held));
	}
	wire_blobs_done(&l);
	return snap;
}

static void assert_same(struct records *r, const struct policy_state *st, struct replica *p)
{
	struct msg_held a = records_held(r), b = replica_held(p);
	struct records *again;
	struct policy_state mine;

	assert_memory_equal(&a, &b, sizeof(a));
	/* And not by the digest alone: the agent's state, taken apart again, is the controller's. */
	assert_int_equal(replica_state(p, "node-1", &mine), 0);
	assert_int_equal(mine.generation, st->generation);
	assert_string_equal(mine.node, "node-1");
	assert_int_equal(mine.nworkloads, st->nworkloads);
	assert_int_equal(mine.nrules, st->nrules);
	assert_int_equal(mine.nquarantines, st->nquarantines);
	for (size_t i = 0; i < st->nquarantines; i++) /* of several the first one holds: the order counts */
		assert_string_equal(mine.quarantines[i].name, st->quarantines[i].name);
	assert_int_equal(records_new(1, 0, &again), 0);
	commit(again, &mine, POLICY_CUT);
	b = records_held(again);
	assert_true(a.digest == b.digest && a.count == b.count);
	records_free(again);
	policy_state_done(&mine);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void walk(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct replica *p[3];
		struct records *r;
		struct world w;
		unsigned snaps = 0;

		world_new(&w, seed);
		assert_int_equal(records_new(seed, 40, &r), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(replica_new(&p[i]), 0);
		for (int step = 0; step < 150; step++) {
			struct msg_sync s;

			world_step(&w);
			commit(r, &w.st, POLICY_CUT);
			bring(r, p[0], &s); /* each step */
			assert_int_equal(s.flows, POLICY_CUT);
			if (step % 7 == 0)
				bring(r, p[1], &s); /* now and then */
			if (step % 60 == 59)
				snaps += bring(r, p[2], &s); /* too late for the log */
			assert_same(r, &w.st, p[0]);
		}
		bring(r, p[1], &(struct msg_sync){});
		assert_same(r, &w.st, p[1]);
		assert_true(snaps >= 1);
		for (int i = 0; i < 3; i++)
			replica_free(p[i]);
		records_free(r);
		world_done(&w);
	}
}

static void nothing_changed(void **state)
{
	struct records_next *n;
	struct msg_held before, after;
	struct records *r;
	struct world w;

	(void)state;
	world_new(&w, 3);
	assert_int_equal(records_new(1, 0, &r), 0);
	commit(r, &w.st, POLICY_CUT);
	before = records_held(r);
	assert_int_equal(records_prepare(r, &w.st, NULL, &n), 0);
	assert_int_equal(records_next_changes(n), 0);
	records_commit(r, n, POLICY_CUT);
	after = records_held(r);
	assert_memory_equal(&before, &after, sizeof(before));
	/* The order of workloads says nothing. */
	{
		struct workload x = w.st.workloads[0];

		w.st.workloads[0] = w.st.workloads[5];
		w.st.workloads[5] = x;
	}
	assert_int_equal(records_prepare(r, &w.st, NULL, &n), 0);
	assert_int_equal(records_next_changes(n), 0);
	records_commit(r, n, POLICY_CUT);
	/* A generation alone is one: it is told to people. */
	w.st.generation++;
	commit(r, &w.st, POLICY_CUT);
	assert_int_equal(records_held(r).revision, before.revision + 1);
	assert_int_equal(records_held(r).digest, before.digest);
	/* What is given up leaves nothing. */
	world_pod_in(&w, NULL);
	assert_int_equal(records_prepare(r, &w.st, NULL, &n), 0);
	assert_int_equal(records_next_changes(n), 1);
	records_abort(n);
	assert_int_equal(records_held(r).digest, before.digest);
	commit(r, &w.st, POLICY_CUT);
	assert_int_equal(records_held(r).count, before.count + 1);
	records_free(r);
	world_done(&w);
}

/* Changes that treat standing flows in different ways are not put together. */
static void flows_stay_apart(void **state)
{
	static const enum policy_flows how[] = { POLICY_CUT, POLICY_CUT, POLICY_KEEP, POLICY_KEEP, POLICY_RESET, POLICY_CUT };
	static const struct { enum policy_flows flows; uint64_t revision; } want[] = {
		{ POLICY_CUT, 3 }, { POLICY_KEEP, 5 }, { POLICY_RESET, 6 }, { POLICY_CUT, 7 },
	};
	struct replica *p;
	struct records *r;
	struct world w;

	(void)state;
	world_new(&w, 9);
	assert_int_equal(records_new(7, 0, &r), 0);
	assert_int_equal(replica_new(&p), 0);
	commit(r, &w.st, POLICY_CUT);
	assert_true(bring(r, p, &(struct msg_sync){}));
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		world_rule(&w);
		w.st.generation++;
		commit(r, &w.st, how[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct msg_sync s;

		assert_false(bring(r, p, &s));
		assert_int_equal(s.flows, want[i].flows);
		assert_int_equal(s.revision, want[i].revision);
		assert_int_equal(s.generation, want[i].revision);
	}
	assert_same(r, &w.st, p);
	replica_free(p);
	records_free(r);
	world_done(&w);
}

/* A controller that starts again has the same records under another name. */
static void another_life(void **state)
{
	struct replica *p;
	struct records *r, *again;
	struct msg_sync s;
	struct world w;

	(void)state;
	world_new(&w, 4);
	assert_int_equal(records_new(10, 0, &r), 0);
	assert_int_equal(records_new(11, 0, &again), 0);
	assert_int_equal(replica_new(&p), 0);
	commit(r, &w.st, POLICY_CUT);
	commit(again, &w.st, POLICY_CUT);
	bring(r, p, &s);
	assert_false(bring(again, p, &s));
	assert_int_equal(replica_held(p).epoch, 11);
	assert_same(again, &w.st, p);
	/* And where it is another state, all of it comes. */
	world_pod_in(&w, NULL);
	commit(r, &w.st, POLICY_CUT);
	assert_true(bring(r, p, &s));
	assert_same(r, &w.st, p);
	replica_free(p);
	records_free(r);
	records_free(again);
	world_done(&w);
}

/* Cut anywhere, the old state stays, whole. */
static void cut_short(void **state)
{
	struct replica *p;
	struct records *r;
	struct world w;

	(void)state;
	world_new(&w, 5);
	assert_int_equal(records_new(1, 0, &r), 0);
	assert_int_equal(replica_new(&p), 0);
	commit(r, &w.st, POLICY_CUT);
	for (int round = 0; round < 2; round++) { /* a snapshot, then a delta */
		struct msg_held held = replica_held(p), now, to;
		struct wire_blobs l;
		bool snap;

		assert_int_equal(records_since(r, &held, &l, &to, &snap), 0);
		assert_int_equal(snap, !round);
		for (int frames = 1; frames < 3; frames++) {
			assert_int_equal(feed(p, &l, frames, NULL), 0);
			now = replica_held(p);
			assert_memory_equal(&now, &held, sizeof(now));
			replica_drop(p);
		}
		assert_int_equal(feed(p, &l, -1, &(struct msg_sync){}), 1);
		assert_same(r, &w.st, p);
		wire_blobs_done(&l);
		world_pod_in(&w, NULL);
		w.st.generation++;
		WORLD_DROP(w.st.workloads, w.st.nworkloads, 2, workload_done);
		commit(r, &w.st, POLICY_CUT);
	}
	replica_free(p);
	records_free(r);
	world_done(&w);
}

static int take(struct replica *p, const struct buf *b)
{
	struct frame_reader fr = { .max = FRAME_BODY_MAX };
	const char *at = b->data;
	size_t len = b->len;
	struct msg_sync s;
	struct frame f;
	int e = 0;

	while (e >= 0 && frame_read(&fr, &at, &len, &f) == 1)
		e = replica_take(p, &f, &s);
	frame_reader_done(&fr);
	return e;
}

static void wrong_frames(void **state)
{
	static const char rec[] = "\x09\x00\x00\x01\x00\x00\x00\x02" "0\0" "{}"; /* a quarantine without a name */
	static const char unknown[] = "\x63\x00\x00\x01\x00\x00\x00\x02" "0\0" "{}";
	static const char gone[] = "\x04\x01\x00\x01\x00\x00\x00\x00" "0\0";
	static const char cut[] = "\x04\x00\x00\x01\x00\x00\x00\x05" "0\0" "{}";
	const struct msg_sync snap = { .snapshot = true, .epoch = 5, .revision = 1, .generation = 1 };
	const struct msg_sync delta = { .epoch = 5, .revision = 1, .base = 99 };
	const struct { const char *what; const struct msg_sync *sync; const char *rec; size_t len; struct msg_commit c; int err; } t[] = {
		{ "nothing begun", NULL, NULL, 0, { 1, 0, 0 }, -EBADMSG },
		{ "a record that is none", &snap, rec, sizeof(rec), { 1, 0, 1 }, -EBADMSG },
		{ "a record cut short", &snap, cut, sizeof(cut), { 1, 0, 1 }, -EBADMSG },
		{ "gone from nothing", &snap, gone, sizeof(gone), { 1, 0, 0 }, -EBADMSG },
		{ "another revision", &snap, NULL, 0, { 2, 0, 0 }, -EBADMSG },
		{ "another digest", &snap, NULL, 0, { 1, 7, 0 }, -EBADMSG },
		{ "another number", &snap, NULL, 0, { 1, 0, 1 }, -EBADMSG },
		{ "a delta on nothing", &delta, NULL, 0, { 1, 0, 0 }, -ESTALE },
		{ "an empty state", &snap, NULL, 0, { 1, 0, 0 }, 1 },
	};
	struct replica *p;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %s\n", t[i].what);
		assert_int_equal(replica_new(&p), 0);
		buf_init(&b, 4096);
		if (t[i].sync)
			assert_int_equal(msg_put_sync(&b, t[i].sync), 0);
		if (t[i].rec)
			assert_int_equal(frame_put(&b, FRAME_RECORDS, 0, t[i].rec, t[i].len), 0);
		assert_int_equal(msg_put_commit(&b, &t[i].c), 0);
		assert_int_equal(take(p, &b), t[i].err);
		assert_int_equal(replica_held(p).revision, t[i].err == 1);
		buf_done(&b);
		replica_free(p);
	}
	/* A kind of record that a later version has counts, and is skipped. */
	assert_int_equal(replica_new(&p), 0);
	buf_init(&b, 4096);
	assert_int_equal(msg_put_sync(&b, &snap), 0);
	assert_int_equal(frame_put(&b, FRAME_RECORDS, 0, unknown, sizeof(unknown)), 0);
	assert_int_equal(take(p, &b), 0);
	replica_free(p);
	buf_done(&b);
}

static int gather(void *arg, const void *p, size_t n)
{
	return buf_add(arg, p, n);
}

/* On disk it is the same frames; cut short it is what it was before, or nothing. */
static void kept(void **state)
{
	struct replica *p, *q;
	struct records *r;
	struct msg_sync s;
	struct world w;
	struct buf b;
	size_t used;

	(void)state;
	world_new(&w, 8);
	for (int i = 0; i < 60; i++)
		world_step(&w);
	assert_int_equal(records_new(1, 0, &r), 0);
	assert_int_equal(replica_new(&p), 0);
	commit(r, &w.st, POLICY_CUT);
	bring(r, p, &s);
	buf_init(&b, 1 << 24);
	assert_int_equal(replica_each(p, gather, &b), 0);
	assert_int_equal(replica_new(&q), 0);
	assert_int_equal(replica_load(q, b.data, b.len, &used), 0);
	assert_int_equal(used, b.len);
	assert_same(r, &w.st, q);
	replica_free(q);
	for (size_t cut = 1; cut < b.len; cut += 1 + b.len / 50) {
		assert_int_equal(replica_new(&q), 0);
		assert_int_equal(replica_load(q, b.data, b.len - cut, &used), 0);
		assert_int_equal(used, 0);
		assert_int_equal(replica_held(q).epoch, 0);
		replica_free(q);
	}
	/* A byte that flipped is found. */
	for (size_t at = 0; at < b.len; at += 1 + b.len / 100) {
		assert_int_equal(replica_new(&q), 0);
		b.data[at] ^= 0x10;
		(void)replica_load(q, b.data, b.len, &used);
		b.data[at] ^= 0x10;
		if (used)
			assert_int_equal(replica_held(q).digest, replica_held(p).digest);
		replica_free(q);
	}
	buf_done(&b);
	replica_free(p);
	records_free(r);
	world_done(&w);
}

/* Several frames to one snapshot, several buckets, and each made once. */
static void large(void **state)
{
	struct wire_blobs l, again;
	struct msg_held to, none = {};
	struct replica *p;
	struct records *r;
	struct msg_sync s;
	struct world w;
	size_t same = 0;
	bool snap;

	(void)state;
	world_new(&w, 2);
	for (int i = 0; i < 5000; i++)
		world_pod_in(&w, NULL);
	assert_int_equal(records_new(1, 0, &r), 0);
	assert_int_equal(replica_new(&p), 0);
	commit(r, &w.st, POLICY_CUT);
	bring(r, p, &s);
	assert_same(r, &w.st, p);
	assert_int_equal(records_since(r, &none, &l, &to, &snap), 0);
	world_pod_in(&w, NULL);
	commit(r, &w.st, POLICY_CUT);
	assert_int_equal(records_since(r, &none, &again, &to, &snap), 0);
	assert_true(snap && l.n == again.n && l.n > 8);
	for (size_t i = 0; i < l.n; i++)
		same += l.v[i] == again.v[i];
	assert_int_equal(same, l.n - 3); /* its beginning, its end, and the bucket of the new pod */
	wire_blobs_done(&l);
	wire_blobs_done(&again);
	assert_false(bring(r, p, &s));
	assert_same(r, &w.st, p);
	replica_free(p);
	records_free(r);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walk), cmocka_unit_test(nothing_changed), cmocka_unit_test(flows_stay_apart),
		cmocka_unit_test(another_life), cmocka_unit_test(cut_short), cmocka_unit_test(wrong_frames),
		cmocka_unit_test(kept), cmocka_unit_test(large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
