/* SPDX-License-Identifier: Apache-2.0 */
/* test_msg.c - bodies of frames: written, read and written again they are the same; nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "wire/msg.h"

/* The first frame of a buffer. */
static struct frame first(struct frame_reader *r, const struct buf *b)
{
	const char *p = b->data;
	size_t n = b->len;
	struct frame f;

	assert_int_equal(b->err, 0);
	assert_int_equal(frame_read(r, &p, &n, &f), 1);
	assert_int_equal(n, 0);
	return f;
}

/* Written, read, written: the same bytes. */
#define ROUND(name, value, done) do {							\
	struct frame_reader r1 = { .max = FRAME_BODY_MAX };				\
	__typeof__(value) got_ = {};							\
	struct buf a_, b_;								\
	struct frame f_;								\
											\
	buf_init(&a_, 1 << 22);								\
	buf_init(&b_, 1 << 22);								\
	assert_int_equal(msg_put_##name(&a_, &(value)), 0);				\
	f_ = first(&r1, &a_);								\
	assert_int_equal(msg_get_##name(&f_, &got_), 0);				\
	assert_int_equal(msg_put_##name(&b_, &got_), 0);				\
	assert_true(a_.len > FRAME_HEAD + 2);						\
	assert_int_equal(a_.len, b_.len);						\
	assert_memory_equal(a_.data, b_.data, a_.len);					\
	done(&got_);									\
	frame_reader_done(&r1);								\
	buf_done(&a_);									\
	buf_done(&b_);									\
} while (0)
#define nothing(x) ((void)(x))

static const struct cw_verdict verdict = { .rule = 17, .action = CW_ACT_BLOCK, .tier = CW_TIER_MANUAL, .flags = 1,
					   .adv_action = CW_ACT_ALLOW, .adv_rule = UINT32_MAX, .adv_tier = CW_TIER_LEARNED };

static struct node_flow a_flow(void)
{
	struct node_flow f = {
		.sport = 40000, .dport = 443, .proto = 6, .state = CW_FLOW_OPEN, .family = 4, .answered = true, .guessed = true,
		.seeded = true, .age_ms = 1ull << 60, .idle_ms = 5, .outcome = { CW_OUT_ALERT, CW_OUT_DROP },
		.reason = { CW_R_NONE, CW_R_RULE }, .verdict = { verdict, verdict }, .src_ref = "shop/pod/web-1", .dst_ref = "world",
	};

	assert_int_equal(addr_parse("10.0.0.1", &f.src), 0);
	assert_int_equal(addr_parse("2001:db8::1", &f.dst), 0);
	return f;
}

static void rounds(void **state)
{
	struct msg_hello hello = { .min = 1, .max = 2, .node = "node-1", .software = "0.1", .instance = UINT64_MAX,
				   .held = { 1, 2, UINT64_MAX, 4 }, .generation = 5, .entries_max = 6, .capabilities = "a b" };
	struct msg_welcome welcome = { .version = 1, .controller = "c", .instance = 9, .ping_ms = 10, .idle_ms = 20 };
	struct msg_refuse refuse = { .code = "version", .text = "too \"old\"\n", .retry_ms = 1000 };
	struct msg_enrol enrol = { .node = "n", .token = (char *)"t", .csr = (char *)"-----BEGIN\nX\n" };
	struct msg_cert cert = { .cert = (char *)"-----BEGIN\nX\n" };
	struct msg_sync sync = { .snapshot = true, .epoch = 1, .revision = 2, .base = 3, .generation = 4, .flows = POLICY_KEEP };
	struct msg_commit commit = { 1, UINT64_MAX, 3 };
	struct msg_receipt receipt = { .revision = 4, .receipt = { .node = "n", .applied = true, .generation = 5, .after_us = 6,
		.entries = 7, .entries_max = 8, .rows = 9, .groups = 10, .verdicts = 11, .flows_cut = 12, .note = "gr\xc3\xbc\xc3\x9f" } };
	struct msg_epoch_done done = { 1, UINT64_MAX, UINT32_MAX };
	struct msg_note note = { 2, (char *)"attached", (char *)"a/pod/b", (char *)"text \x01 with control" };
	struct addr addrs[2];
	struct msg_addresses addresses = { 3, (char *)"a", (char *)"b", addrs, 2 };
	struct msg_node_addresses node_addresses = { addrs, 2 }, none = {};
	struct msg_event event = { .ev = { .ktime = UINT64_MAX, .type = CW_EV_DROP, .ep = 1, .wl = 2, .src = 3, .dst = 4, .verdict = 5,
		.sport = 6, .dport = 7, .proto = 17, .family = 6, .side = CW_INGRESS, .outcome = CW_OUT_DROP, .reason = CW_R_RULE,
		.mode = CW_MODE_ENFORCE, .ethertype = 0x86dd, .len = 1500 }, .who = a_flow(), .verdict = verdict };
	struct node_guard guard = { .workload = "a/pod/b", .iface = "eth0", .ifindex = 7, .hook = "tcx host", .state = "bypassable",
				    .reason = "raw sockets", .start_gap_ns = -1 };
	struct msg_guards guards = { &guard, 1 };
	struct msg_ask ask = { .id = UINT64_MAX, .what = ASK_ATTACH, .ns = "a", .name = "b", .netns = "/run/netns/x", .limit = 9 };
	struct node_flow flows[2] = { a_flow(), a_flow() };
	struct msg_answer answer = { .id = 7, .err = -EAGAIN, .note = "not yet", .flows = flows, .nflows = 2 };
	struct node_access acc[2] = { {
		.src_wl = { (char *)"shop", (char *)"web-1", (char *)"u1" }, .dst_wl = { (char *)"data", (char *)"db", NULL },
		.dst_service = true, .dst_fqdn = (char *)"example.com", .proto = 6, .family = 4, .port = 5432, .instance = UINT64_MAX,
		.epoch = 9, .key = { .src = 300, .dst = 301, .addr = { 1, 2, 255 }, .port = 5432, .proto = 6, .family = 4, .src_wl = 1,
		.dst_wl = 65535 }, .flows = UINT64_MAX, .answered = 2, .packets = 3, .bytes = 4, .guessed = 5,
		.cnt = { { 1, 2, 3, 4, 5, 6 }, { UINT64_MAX, 0, 0, 0, 0, 1 } }, .outcome = { CW_OUT_ALLOW, CW_OUT_WOULD_BLOCK },
		.reason = { CW_R_NONE, CW_R_DEFAULT }, .verdict = { verdict, verdict }, .first_ns = 1770000000123456789ll,
		.last_ns = 1770000000123456790ll,
	}, { .src_reserved = CW_ID_WORLD, .dst_reserved = CW_ID_HOST, .instance = 1 } };
	struct node_fold fold = { .ns = "shop", .name = "web-1", .instance = 5, .pair_flows = 6, .folded_flows = 7, .folded_drops = 8, .lost = 9 };
	struct msg_batch batch = { 11, acc, 2, &fold, 1 };

	(void)state;
	assert_int_equal(addr_parse("192.0.2.1", &addrs[0]), 0);
	assert_int_equal(addr_parse("fd00::1", &addrs[1]), 0);
	acc[0].src_addr = addrs[0];
	acc[0].dst_addr = addrs[1];
	memcpy(event.ev.saddr, addrs[0].b, 16);
	memcpy(event.ev.daddr, addrs[1].b, 16);
	ROUND(hello, hello, nothing);
	ROUND(welcome, welcome, nothing);
	ROUND(refuse, refuse, nothing);
	ROUND(enrol, enrol, msg_enrol_done);
	ROUND(cert, cert, msg_cert_done);
	ROUND(sync, sync, nothing);
	ROUND(commit, commit, nothing);
	ROUND(receipt, receipt, nothing);
	ROUND(batch, batch, msg_batch_done);
	ROUND(epoch_done, done, nothing);
	ROUND(note, note, msg_note_done);
	ROUND(addresses, addresses, msg_addresses_done);
	ROUND(node_addresses, node_addresses, msg_node_addresses_done);
	ROUND(node_addresses, none, msg_node_addresses_done);
	ROUND(event, event, nothing);
	ROUND(guards, guards, msg_guards_done);
	ROUND(ask, ask, nothing);
	ROUND(answer, answer, msg_answer_done);
}

/* Every field arrives, not only as many bytes. */
static void fields(void **state)
{
	struct frame_reader r = { .max = FRAME_BODY_MAX };
	struct node_access acc = { .instance = 1ull << 63, .flows = 9007199254740993ull, .cnt[1][5] = 7, .port = 80,
				   .key.addr = { [15] = 0xab }, .first_ns = -5 };
	struct msg_batch m = { 1, &acc, 1, NULL, 0 }, got;
	struct msg_event ev = { .ev.type = CW_EV_ALERT, .who = a_flow() }, e2;
	struct frame f;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	(void)msg_put_batch(&b, &m);
	f = first(&r, &b);
	assert_int_equal(msg_get_batch(&f, &got), 0);
	assert_int_equal(got.naccesses, 1);
	assert_true(got.accesses[0].instance == 1ull << 63);
	assert_true(got.accesses[0].flows == 9007199254740993ull); /* not a double's */
	assert_int_equal(got.accesses[0].cnt[1][5], 7);
	assert_int_equal(got.accesses[0].key.addr[15], 0xab);
	assert_int_equal(got.accesses[0].first_ns, -5);
	assert_null(got.accesses[0].src_wl.ns);
	msg_batch_done(&got);
	buf_done(&b);
	buf_init(&b, 1 << 20);
	(void)msg_put_event(&b, &ev);
	f = first(&r, &b);
	assert_int_equal(msg_get_event(&f, &e2), 0);
	assert_memory_equal(&ev.who.src, &e2.who.src, sizeof(ev.who.src));
	assert_string_equal(e2.who.src_ref, "shop/pod/web-1");
	assert_memory_equal(&ev.who.verdict[1], &e2.who.verdict[1], sizeof(verdict));
	frame_reader_done(&r);
	buf_done(&b);
}

enum what { HELLO, WELCOME, REFUSE, ENROL, CERT, SYNC, COMMIT, RECEIPT, BATCH, EPOCH, NOTE, ADDRESSES, NODE_ADDRESSES, ACK, EVENT, GUARDS, COUNTERS, ASK, ANSWER };

static int get(enum what w, const char *body)
{
	struct frame f = { .body = body, .len = strlen(body) };
	union {
		struct msg_hello hello; struct msg_welcome welcome; struct msg_refuse refuse; struct msg_sync sync; struct msg_commit commit;
		struct msg_receipt receipt; struct msg_epoch_done epoch; struct msg_event event; struct msg_ask ask; uint64_t seq;
	} u;
	struct msg_enrol enrol = {};
	struct msg_cert cert = {};
	struct msg_batch batch = {};
	struct msg_note note = {};
	struct msg_addresses addresses = {};
	struct msg_node_addresses node_addresses = {};
	struct msg_guards guards = {};
	struct msg_answer answer = {};
	struct cJSON *counters = NULL;
	int r = -1;

	memset(&u, 0xa5, sizeof(u));
	switch (w) {
	case HELLO: return msg_get_hello(&f, &u.hello);
	case WELCOME: return msg_get_welcome(&f, &u.welcome);
	case REFUSE: return msg_get_refuse(&f, &u.refuse);
	case ENROL: r = msg_get_enrol(&f, &enrol); break;
	case CERT: r = msg_get_cert(&f, &cert); break;
	case SYNC: return msg_get_sync(&f, &u.sync);
	case COMMIT: return msg_get_commit(&f, &u.commit);
	case RECEIPT: return msg_get_receipt(&f, &u.receipt);
	case BATCH: r = msg_get_batch(&f, &batch); break;
	case EPOCH: return msg_get_epoch_done(&f, &u.epoch);
	case NOTE: r = msg_get_note(&f, &note); break;
	case ADDRESSES: r = msg_get_addresses(&f, &addresses); break;
	case NODE_ADDRESSES: r = msg_get_node_addresses(&f, &node_addresses); break;
	case ACK: return msg_get_ack(&f, &u.seq);
	case EVENT: return msg_get_event(&f, &u.event);
	case GUARDS: r = msg_get_guards(&f, &guards); break;
	case COUNTERS: r = msg_get_counters(&f, &counters); break;
	case ASK: return msg_get_ask(&f, &u.ask);
	case ANSWER: r = msg_get_answer(&f, &answer); break;
	}
	msg_enrol_done(&enrol);
	msg_cert_done(&cert);
	msg_batch_done(&batch);
	msg_note_done(&note);
	msg_addresses_done(&addresses);
	msg_node_addresses_done(&node_addresses);
	msg_guards_done(&guards);
	msg_answer_done(&answer);
	cJSON_Delete(counters);
	return r;
}

static void bodies(void **state)
{
	static const struct { enum what w; const char *body; int err; } t[] = {
		{ HELLO, "{\"min\":1,\"max\":1,\"node\":\"n\"}", 0 },
		{ HELLO, "{\"min\":1,\"max\":1,\"node\":\"n\",\"later\":{\"x\":[1]}}", 0 },
		{ HELLO, "{\"min\":2,\"max\":1,\"node\":\"n\"}", -EBADMSG },
		{ HELLO, "{\"min\":1,\"max\":1}", -EBADMSG },
		{ HELLO, "{\"min\":0,\"max\":1,\"node\":\"n\"}", -EBADMSG },
		{ HELLO, "{\"min\":1,\"max\":256,\"node\":\"n\"}", -EBADMSG },
		{ HELLO, "{\"min\":1.5,\"max\":2,\"node\":\"n\"}", -EBADMSG },
		{ HELLO, "{\"min\":1,\"max\":1,\"node\":\"a23456789b123456789c123456789d123456789e123456789f123456789g1234\"}", -EBADMSG },
		{ HELLO, "{\"min\":1,\"max\":1,\"node\":\"n\",\"instance\":5}", -EBADMSG },
		{ HELLO, "{\"min\":1,\"max\":1,\"node\":\"n\",\"instance\":\"-5\"}", -EBADMSG },
		{ HELLO, "{\"min\":1,\"max\":1,\"node\":\"n\",\"instance\":\"18446744073709551616\"}", -EBADMSG },
		{ HELLO, "{\"min\":1,\"max\":1,\"node\":\"n\",\"instance\":\" 5\"}", -EBADMSG },
		{ HELLO, "[]", -EBADMSG }, { HELLO, "", -EBADMSG }, { HELLO, "{", -EBADMSG }, { HELLO, "{\"min\":1,\"min\":1}", -EBADMSG },
		{ WELCOME, "{}", -EBADMSG }, { WELCOME, "{\"version\":1,\"pingMs\":-1}", -EBADMSG }, { WELCOME, "{\"version\":1}", 0 },
		{ REFUSE, "{}", 0 }, { REFUSE, "{\"code\":5}", -EBADMSG },
		{ ENROL, "{\"token\":\"a\"}", -EBADMSG }, { ENROL, "{\"token\":\"a\",\"csr\":\"b\"}", 0 },
		{ CERT, "{}", -EBADMSG }, { CERT, "{\"cert\":[]}", -EBADMSG },
		{ SYNC, "{\"epoch\":\"1\"}", -EBADMSG }, { SYNC, "{\"epoch\":\"1\",\"revision\":\"1\",\"flows\":3}", -EBADMSG },
		{ SYNC, "{\"epoch\":\"1\",\"revision\":\"1\",\"snapshot\":\"yes\"}", -EBADMSG },
		{ SYNC, "{\"epoch\":\"1\",\"revision\":\"1\"}", 0 },
		{ COMMIT, "{}", 0 }, { COMMIT, "{\"digest\":1}", -EBADMSG },
		{ RECEIPT, "{}", 0 }, { RECEIPT, "{\"entries\":4294967296}", -EBADMSG }, { RECEIPT, "{\"applied\":1}", -EBADMSG },
		{ BATCH, "{}", 0 }, { BATCH, "{\"accesses\":{}}", -EBADMSG }, { BATCH, "{\"accesses\":[5]}", -EBADMSG }, { BATCH, "{\"folds\":[5]}", -EBADMSG }, { BATCH, "{\"accesses\":[{}]}", 0 },
		{ BATCH, "{\"accesses\":[{\"port\":65536}]}", -EBADMSG }, { BATCH, "{\"accesses\":[{\"srcAddr\":\"10.0.0\"}]}", -EBADMSG },
		{ BATCH, "{\"accesses\":[{\"srcWl\":{\"ns\":\"a\",\"name\":[]}}]}", -EBADMSG },
		{ BATCH, "{\"accesses\":[{\"srcWl\":{\"ns\":\"a\"}},{\"egress\":{\"outcome\":6}}]}", -EBADMSG },
		{ BATCH, "{\"accesses\":[{\"egress\":{\"verdict\":{\"tier\":9}}}]}", -EBADMSG },
		{ BATCH, "{\"accesses\":[{\"egress\":{\"cnt\":[1]}}]}", -EBADMSG },
		{ BATCH, "{\"accesses\":[{\"key\":{\"addr\":\"0g\"}}]}", -EBADMSG }, { BATCH, "{\"accesses\":[{\"key\":{\"addr\":\"0\"}}]}", -EBADMSG },
		{ BATCH, "{\"accesses\":[{\"srcReserved\":256}]}", -EBADMSG }, { BATCH, "{\"folds\":[{\"ns\":5}]}", -EBADMSG },
		{ EPOCH, "{\"epoch\":-1}", -EBADMSG }, { EPOCH, "{}", 0 },
		{ NOTE, "{}", -EBADMSG }, { NOTE, "{\"reason\":\"\"}", -EBADMSG }, { NOTE, "{\"reason\":\"a\"}", 0 },
		{ ADDRESSES, "{\"ns\":\"a\",\"name\":\"b\"}", 0 }, { ADDRESSES, "{\"ns\":\"a\"}", -EBADMSG },
		{ ADDRESSES, "{\"ns\":\"a\",\"name\":\"b\",\"addrs\":[\"::ffff:1.2.3.4\"]}", -EBADMSG },
		{ ADDRESSES, "{\"ns\":\"a\",\"name\":\"b\",\"addrs\":[5]}", -EBADMSG },
		{ NODE_ADDRESSES, "{\"addrs\":[]}", 0 }, { NODE_ADDRESSES, "{\"addrs\":[\"10.0.0.1\",\"fd00::1\"],\"x\":1}", 0 },
		{ NODE_ADDRESSES, "{}", -EBADMSG }, { NODE_ADDRESSES, "{\"addrs\":\"10.0.0.1\"}", -EBADMSG },
		{ NODE_ADDRESSES, "{\"addrs\":[\"10.0.0.1/24\"]}", -EBADMSG }, { NODE_ADDRESSES, "{\"addrs\":[7]}", -EBADMSG },
		{ ACK, "{}", 0 }, { ACK, "{\"seq\":1}", -EBADMSG },
		{ EVENT, "{}", -EBADMSG }, { EVENT, "{\"type\":2}", 0 }, { EVENT, "{\"type\":5}", -EBADMSG },
		{ EVENT, "{\"type\":2,\"side\":2}", -EBADMSG }, { EVENT, "{\"type\":2,\"mode\":4}", -EBADMSG },
		{ GUARDS, "{\"guards\":[{\"hook\":\"something new\",\"state\":\"well\"}]}", 0 }, { GUARDS, "{\"guards\":5}", -EBADMSG }, { GUARDS, "{\"guards\":[5]}", -EBADMSG },
		{ GUARDS, "{\"guards\":[{\"iface\":\"longer-than-fifteen\"}]}", -EBADMSG },
		{ COUNTERS, "{}", -EBADMSG }, { COUNTERS, "{\"counters\":[]}", -EBADMSG }, { COUNTERS, "{\"counters\":{}}", 0 },
		{ ASK, "{\"what\":200}", 0 }, { ASK, "{\"what\":300}", -EBADMSG }, { ASK, "{\"ns\":5}", -EBADMSG },
		{ ANSWER, "{\"err\":11}", 0 }, { ANSWER, "{\"err\":-11}", -EBADMSG }, { ANSWER, "{\"flows\":[{\"sport\":-1}]}", -EBADMSG },
		{ ANSWER, "{\"flows\":[{\"srcRef\":true}]}", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		int r = get(t[i].w, t[i].body);

		if (r != t[i].err)
			print_message("  %s\n", t[i].body);
		assert_int_equal(r, t[i].err);
	}
}

/* What is not known to be guarded is not called so. */
static void unknown_guards(void **state)
{
	const char *body = "{\"guards\":[{\"hook\":\"something new\",\"state\":\"well\"},{\"hook\":\"tcx pod\",\"state\":\"guarded\"}]}";
	struct frame f = { .body = body, .len = strlen(body) };
	struct msg_guards g;

	(void)state;
	assert_int_equal(msg_get_guards(&f, &g), 0);
	assert_string_equal(g.v[0].hook, "-");
	assert_string_equal(g.v[0].state, "blind");
	assert_string_equal(g.v[1].hook, "tcx pod");
	assert_string_equal(g.v[1].state, "guarded");
	msg_guards_done(&g);
}

static void too_many(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	(void)buf_adds(&b, "{\"accesses\":[");
	for (unsigned i = 0; i < MSG_BATCH_MAX; i++)
		(void)buf_adds(&b, "0,");
	(void)buf_adds(&b, "0]}");
	assert_int_equal(get(BATCH, b.data), -EBADMSG);
	buf_done(&b);
}

/* Text that is no UTF-8 is mended on the way out: a body that its own reader refuses would never leave a spool. */
static void odd_text(void **state)
{
	struct msg_note note = { 2, (char *)"a\xff", NULL, (char *)"\xc3 \xed\xa0\x80 \xf0\x9f\x98\x80 \"\\ \x1f" }, got;
	struct frame_reader r = {};
	struct frame f;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 16);
	assert_int_equal(msg_put_note(&b, &note), 0);
	f = first(&r, &b);
	assert_int_equal(msg_get_note(&f, &got), 0);
	assert_string_equal(got.reason, "a\xef\xbf\xbd");
	assert_non_null(strstr(got.text, "\xf0\x9f\x98\x80 \"\\ \x1f"));
	msg_note_done(&got);
	frame_reader_done(&r);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds), cmocka_unit_test(fields), cmocka_unit_test(bodies), cmocka_unit_test(unknown_guards),
		cmocka_unit_test(too_many), cmocka_unit_test(odd_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
