/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "event/reader.h"
#include "loader/insn.h"

static struct cw_event good(void)
{
	struct cw_event e = {
		.ktime = 1, .type = CW_EV_DROP, .ep = 1, .wl = 2, .family = 4, .proto = 6, .side = CW_INGRESS,
		.outcome = CW_OUT_DROP, .reason = CW_R_RULE, .mode = CW_MODE_ENFORCE,
	};

	e.saddr[10] = e.saddr[11] = e.daddr[10] = e.daddr[11] = 0xff;
	return e;
}

static void check_table(void **state)
{
	static const struct {
		const char *name, *why; /* why: NULL when fine */
		size_t off, size;
		uint32_t v;
	} t[] = {
#define F(field, value) offsetof(struct cw_event, field), sizeof(((struct cw_event *)0)->field), value
		{ "as sent", NULL, F(ep, 1) },
		{ "type 0", "type", F(type, 0) },
		{ "type beyond", "type", F(type, CW_EV_COUNT) },
		{ "last type", NULL, F(type, CW_EV_GUARD) },
		{ "side beyond", "side", F(side, 2) },
		{ "outcome beyond", "outcome", F(outcome, CW_OUT_COUNT) },
		{ "reason beyond", "reason", F(reason, CW_R_COUNT) },
		{ "last reason", NULL, F(reason, CW_R_COUNT - 1) },
		{ "mode beyond", "mode", F(mode, CW_MODE_COUNT) },
		{ "family 5", "family", F(family, 5) },
		{ "family 0 outside a guard event", "family", F(family, 0) },
		{ "IPv6", NULL, F(family, 6) },
		{ "IPv4 address not in its form", "address", offsetof(struct cw_event, saddr), 1, 1 },
		{ "destination likewise", "address", offsetof(struct cw_event, daddr), 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cw_event e = good();
		const char *why = "untouched";

		print_message("  %s\n", t[i].name);
		memcpy((char *)&e + t[i].off, &t[i].v, t[i].size);
		assert_int_equal(event_check(&e, sizeof(e), &why), t[i].why ? -EBADMSG : 0);
		assert_string_equal(why, t[i].why ? t[i].why : "untouched");
	}
	for (size_t len = 0; len < 200; len++) {
		struct { struct cw_event e; char more[200]; } big = { .e = good() };

		assert_int_equal(event_check(&big, len, NULL), len == sizeof(struct cw_event) ? 0 : -EBADMSG);
	}
	struct cw_event e = good();
	e.type = CW_EV_GUARD;
	e.family = 0;
	assert_int_equal(event_check(&e, sizeof(e), NULL), 0);
}

/* ---- with a ring ------------------------------------------------------------------------------ */

struct ring {
	int ring, record, prog[3]; /* programs that put 80, 40 and 96 bytes of the record into the ring */
	uv_loop_t loop;
	struct event_reader *reader;
	unsigned got;
	uint64_t last;
	bool ordered, close_in_call;
	unsigned closed;
};

static const int sizes[] = { sizeof(struct cw_event), 40, 96 };

static int writer(int ring, int record, int size, int wake)
{
	const struct bpf_insn in[] = {
		INSN_ST_MEM(BPF_W, BPF_REG_10, -4, 0),
		INSN_MOV64_REG(BPF_REG_2, BPF_REG_10),
		INSN_ADD64_IMM(BPF_REG_2, -4),
		INSN_LD_MAP_FD(BPF_REG_1, record),
		INSN_CALL(BPF_FUNC_map_lookup_elem),
		INSN_JNE_IMM(BPF_REG_0, 0, 2),
		INSN_MOV64_IMM(BPF_REG_0, 0),
		INSN_EXIT(),
		/* ktime counts the records up */
		INSN_MOV64_REG(BPF_REG_6, BPF_REG_0),
		INSN_LDX_MEM(BPF_DW, BPF_REG_1, BPF_REG_6, 0),
		INSN_ADD64_IMM(BPF_REG_1, 1),
		INSN_STX_MEM(BPF_DW, BPF_REG_6, BPF_REG_1, 0),
		INSN_LD_MAP_FD(BPF_REG_1, ring),
		INSN_MOV64_REG(BPF_REG_2, BPF_REG_6),
		INSN_MOV64_IMM(BPF_REG_3, size),
		INSN_MOV64_IMM(BPF_REG_4, wake ? 0 : BPF_RB_NO_WAKEUP),
		INSN_CALL(BPF_FUNC_ringbuf_output),
		INSN_MOV64_IMM(BPF_REG_0, 0),
		INSN_EXIT(),
	};

	return bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "writer", "GPL", in, ARRAY_SIZE(in), NULL);
}

static bool ring_make(struct ring *r, uint32_t bytes, bool wake)
{
	memset(r, 0, sizeof(*r));
	r->ordered = true;
	r->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, bytes, NULL);
	r->record = bpf_map_create(BPF_MAP_TYPE_ARRAY, "record", 4, 96, 1, NULL);
	if (r->ring < 0 || r->record < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		r->prog[i] = writer(r->ring, r->record, sizes[i], wake);
		assert_true(r->prog[i] >= 0);
	}
	assert_int_equal(uv_loop_init(&r->loop), 0);
	return true;
}

static void ring_done(struct ring *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		close(r->prog[i]);
	close(r->ring);
	close(r->record);
	assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void put(struct ring *r, int which, int n, const struct cw_event *e)
{
	unsigned char record[96] = {}, pkt[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt), .repeat = 1);
	uint32_t zero = 0;
	uint64_t count;

	assert_int_equal(bpf_map_lookup_elem(r->record, &zero, record), 0);
	memcpy(&count, record, 8);
	memcpy(record, e, sizeof(*e));
	memcpy(record, &count, 8);
	assert_int_equal(bpf_map_update_elem(r->record, &zero, record, BPF_ANY), 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(bpf_prog_test_run_opts(r->prog[which], &o), 0);
}

static void closed(void *arg)
{
	((struct ring *)arg)->closed++;
}

static void got(void *arg, const struct cw_event *ev)
{
	struct ring *r = arg;

	r->got++;
	r->ordered &= ev->ktime > r->last;
	r->last = ev->ktime;
	if (r->close_in_call)
		event_reader_close(r->reader, closed, r);
}

static void spin(struct ring *r)
{
	for (int i = 0; i < 50; i++)
		(void)uv_run(&r->loop, UV_RUN_NOWAIT);
}

/* In order, once each, at most a budget per wake-up; what is no record of ours is only counted. */
static void delivery(void **state)
{
	const struct event_reader_config cfg = { .budget = 8 };
	struct event_stats st;
	struct cw_event e = good(), bad = good();
	struct ring r;

	(void)state;
	if (geteuid() || !ring_make(&r, 65536, true))
		skip();
	assert_int_equal(event_reader_open(&r.loop, r.ring, &cfg, got, &r, &r.reader), 0);
	put(&r, 0, 100, &e);
	(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	assert_int_equal(r.got, 8);
	spin(&r);
	assert_int_equal(r.got, 100);
	assert_true(r.ordered);
	bad.type = 77;
	put(&r, 0, 3, &bad);
	put(&r, 1, 2, &e); /* too short */
	put(&r, 2, 1, &e); /* too long */
	put(&r, 0, 5, &e);
	spin(&r);
	assert_int_equal(r.got, 105);
	event_reader_stats(r.reader, &st);
	assert_int_equal(st.records, 105);
	assert_int_equal(st.malformed, 6);
	assert_true(st.budget_hits >= 12);
	event_reader_close(r.reader, closed, &r);
	event_reader_close(r.reader, closed, &r);
	spin(&r);
	assert_int_equal(r.closed, 1);
	ring_done(&r);
}

/* A ring of one page overflows without harm and goes on afterwards. */
static void tiny_ring(void **state)
{
	struct cw_event e = good();
	struct ring r;
	unsigned fits;

	(void)state;
	if (geteuid() || !ring_make(&r, (uint32_t)sysconf(_SC_PAGESIZE), true))
		skip();
	assert_int_equal(event_reader_open(&r.loop, r.ring, NULL, got, &r, &r.reader), 0);
	put(&r, 0, 1000, &e);
	spin(&r);
	fits = r.got;
	assert_in_range(fits, 40, 47); /* 4,096 / (80 + 8), less what the ring keeps free */
	for (int i = 0; i < 100; i++) {
		put(&r, 0, 10, &e);
		spin(&r);
	}
	assert_int_equal(r.got, fits + 1000);
	assert_true(r.ordered);
	event_reader_close(r.reader, NULL, NULL);
	ring_done(&r);
}

/* Producers that never wake are found by the timer, or by asking. */
static void quiet_producer(void **state)
{
	const struct event_reader_config cfg = { .poll_ms = 5 };
	struct cw_event e = good();
	struct ring r;

	(void)state;
	if (geteuid() || !ring_make(&r, 65536, false))
		skip();
	assert_int_equal(event_reader_open(&r.loop, r.ring, &cfg, got, &r, &r.reader), 0);
	put(&r, 0, 7, &e);
	assert_int_equal(event_reader_drain(r.reader), 7);
	put(&r, 0, 9, &e);
	for (int i = 0; i < 100 && r.got < 16; i++) {
		(void)usleep(2000);
		(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(r.got, 16);
	event_reader_close(r.reader, NULL, NULL);
	ring_done(&r);
}

static void close_inside(void **state)
{
	struct cw_event e = good();
	struct ring r;

	(void)state;
	if (geteuid() || !ring_make(&r, 65536, true))
		skip();
	assert_int_equal(event_reader_open(&r.loop, r.ring, NULL, got, &r, &r.reader), 0);
	r.close_in_call = true;
	put(&r, 0, 5, &e);
	spin(&r);
	assert_int_equal(r.got, 1);
	assert_int_equal(r.closed, 1);
	assert_int_equal(event_reader_open(&r.loop, r.record, NULL, got, &r, &r.reader), -EINVAL);
	ring_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_table),
		cmocka_unit_test(delivery),
		cmocka_unit_test(tiny_ring),
		cmocka_unit_test(quiet_producer),
		cmocka_unit_test(close_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
