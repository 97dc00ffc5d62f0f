/* SPDX-License-Identifier: Apache-2.0 */
/* test_dns.c - mirrors bpf/dns.h: names from answers, before the workload has them. */
#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>

#include "maps/dns_maps.h"
#include "selftests/harness/dns_msg.h"
#include "selftests/prog_run/rig.h"

#define A4 IP4[POD_A]
#define A6 IP6[POD_A]
#define PAY "pay.example.com"
#define EID_PAY 700u	/* an address of the world that also is pay.example.com */
#define EID_STAR 701u	/* one that falls under *.example.org */
enum { CLS_NONE, CLS_PAY, CLS_STAR };
#define NEW_PORT (next_port++)
static uint16_t next_port = 20000;
static uint16_t next_id = 7;

/* ---- the world -------------------------------------------------------------------------------- */

static void pattern(struct rig *r, const char *reversed, size_t n, uint32_t cls)
{
	struct cw_dns_pattern_key k = { .plen = (uint32_t)n * 8 };

	memcpy(k.text, reversed, n);
	assert_int_equal(bpf_map_update_elem(rig_map(r, "cw_dns_pattern"), &k, &cls, 0), 0);
}

static void named(struct rig *r, uint32_t cls, uint32_t eid)
{
	struct cw_named_key k = { .eid = CW_ID_WORLD, .cls = cls };

	assert_int_equal(bpf_map_update_elem(rig_map(r, "cw_named"), &k, &eid, 0), 0);
}

static void resolver(struct rig *r, const char *net, enum cw_resolver v)
{
	struct prefix p;

	assert_int_equal(prefix_parse(net, &p), 0);
	assert_int_equal(dns_resolver_set(r->m, &p, v), 0);
}

/* DNS to everybody, the two names, nothing else. */
static void policy_in(struct rig *r, enum cw_mode mode)
{
	for (int pod = POD_A; pod <= POD_B; pod++)
		for (int s = 0; s < 2; s++)
			rig_side(r, GROUP(pod), s, mode, false, V_BLOCK_DEFAULT, CELLS(
				{ 0, PORT(17, 53), V_ALLOW }, { 0, PORT(6, 53), V_ALLOW }, { 0, PORT(6, 853), V_ALLOW },
				{ EID_PAY, ALL_PORTS, V_ALLOW }, { EID_STAR, PORT(6, 443), V_ALERT }));
}

static int setup(void **state)
{
	struct rig *r;

	if (rig_setup(state))
		return -1;
	r = *state;
	policy_in(r, CW_MODE_ENFORCE);
	dns_share(r->m, 100);
	resolver(r, "0.0.0.0/0", CW_RESOLVER_CLUSTER);
	resolver(r, "::/0", CW_RESOLVER_CLUSTER);
	pattern(r, "moc.elpmaxe.yap", sizeof("moc.elpmaxe.yap"), CLS_PAY);
	pattern(r, "gro.elpmaxe.", sizeof("gro.elpmaxe.") - 1, CLS_STAR);
	named(r, CLS_PAY, EID_PAY);
	named(r, CLS_STAR, EID_STAR);
	r->ctl->names = 2;
	return 0;
}

static int setup_xdp(void **state)
{
	struct rig *r;

	if (setup(state))
		return -1;
	r = *state;
	r->via_xdp = true;
	return 0;
}

/* ---- packets ---------------------------------------------------------------------------------- */

/* Who asks whom, and how the answer comes back. */
struct talk { int pod; const char *resolver; uint16_t port, id; };

static struct talk talk_new(const char *resolver)
{
	return (struct talk){ POD_A, resolver, NEW_PORT, next_id++ };
}

static const char *me_of(const struct talk *t)
{
	return strchr(t->resolver, ':') ? IP6[t->pod] : IP4[t->pod];
}

static struct pkt message(const struct talk *t, bool from_pod, uint16_t server, const struct dns_msg *m)
{
	struct pkt p = from_pod ? frame_l3(t->pod, true, me_of(t), t->resolver) :
				  frame_l3(t->pod, false, t->resolver, me_of(t));

	pkt_udp(&p, from_pod ? t->port : server, from_pod ? server : t->port);
	pkt_put(&p, m->b, m->n);
	pkt_finish(&p);
	return p;
}

static int say(struct rig *r, const struct talk *t, bool from_pod, const struct dns_msg *m)
{
	struct pkt p = message(t, from_pod, 53, m);

	return rig_run(r, t->pod, from_pod, &p);
}

static void ask(struct rig *r, const struct talk *t, const char *name)
{
	struct dns_msg m;

	dns_begin(&m, t->id, DNS_QUERY, name, 1);
	assert_int_equal(say(r, t, FROM, &m), PASS);
}

static int answer(struct rig *r, const struct talk *t, const struct dns_msg *m)
{
	return say(r, t, TO, m);
}

/* Asked and answered with one address. */
static int resolve_to(struct rig *r, int pod, const char *name, const char *addr, uint32_t ttl)
{
	struct talk t = talk_new(HOST4);
	struct dns_msg m;

	t.pod = pod;
	ask(r, &t, name);
	dns_begin(&m, t.id, DNS_ANSWER, name, 1);
	dns_addr(&m, NULL, addr, ttl);
	return answer(r, &t, &m);
}

static int reach(struct rig *r, int pod, const char *addr)
{
	return send_tcp(r, pod, FROM, strchr(addr, ':') ? IP6[pod] : IP4[pod], addr, NEW_PORT, 443, PKT_SYN);
}

static uint64_t stat_of(struct rig *r, enum cw_dns_count what)
{
	uint64_t s[CW_DNS_COUNTS];

	assert_int_equal(dns_stats(r->m, s), 0);
	return s[what];
}

static bool mapped(struct rig *r, int pod, const char *addr, const char *name, struct cw_fqdn_name *ret)
{
	struct addr a = rig_addr(addr);
	struct cw_fqdn v;
	uint64_t hash;

	assert_int_equal(dns_hash(r->m, name, &hash), 0);
	if (dns_addr_get(r->m, (uint32_t)pod, &a, &v))
		return false;
	for (int i = 0; i < CW_FQDN_NAMES; i++)
		if (v.name[i].hash == hash) {
			if (ret)
				*ret = v.name[i];
			return true;
		}
	return false;
}

static uint32_t charged(struct rig *r, int pod)
{
	struct cw_wl w;

	assert_int_equal(wl_map_read(r->m, (uint32_t)pod, &w), 0);
	return w.names;
}

/* ---- what is believed ----------------------------------------------------------------------------- */

static void right_after(void **state)
{
	static const struct { const char *resolver, *addr; } t[] = {
		{ HOST4, WORLD4 }, { HOST4, WORLD6 }, { HOST6, WORLD4 }, { HOST6, WORLD6 }, { NODE4, WORLD4 },
		{ UNK4, WORLD4 }, { NULL, WORLD4 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct talk k = talk_new(t[i].resolver ? t[i].resolver : IP4[POD_C]);
		struct addr a = rig_addr(t[i].addr);
		struct cw_dns_name n;
		struct dns_msg m;
		uint64_t hash;

		print_message("  %s by %s\n", t[i].addr, k.resolver);
		assert_int_equal(dns_del(r->m, POD_A, &a), 0);
		assert_int_equal(reach(r, POD_A, t[i].addr), DROP);
		ask(r, &k, PAY);
		dns_begin(&m, k.id, DNS_ANSWER, PAY, strchr(t[i].addr, ':') ? 28 : 1);
		dns_addr(&m, NULL, t[i].addr, 30);
		assert_int_equal(reach(r, POD_A, t[i].addr), DROP); /* a question opens nothing */
		assert_int_equal(answer(r, &k, &m), PASS);
		assert_int_equal(reach(r, POD_A, t[i].addr), PASS);
		/* nobody else's, and no other address */
		assert_int_equal(reach(r, POD_B, t[i].addr), DROP);
		assert_int_equal(reach(r, POD_A, "198.51.100.8"), DROP);
		assert_int_equal(reach(r, POD_A, "2001:db8::8"), DROP);
		assert_int_equal(dns_hash(r->m, PAY, &hash), 0);
		assert_int_equal(dns_name_get(r->m, hash, &n), 0);
		assert_string_equal(n.text, PAY);
		assert_int_equal(n.cls, CLS_PAY);
		assert_int_equal(charged(r, POD_A), i ? 2 : 1);
	}
	assert_int_equal(stat_of(r, CW_DNS_ANSWERS), ARRAY_SIZE(t));
	assert_int_equal(stat_of(r, CW_DNS_RECORDS), ARRAY_SIZE(t));
	assert_int_equal(rig_reason(r, CW_R_DNS_FULL).dropped, 0);
}

/* The flow's second answer passes the slow path too. */
static void same_socket(void **state)
{
	struct rig *r = *state;
	struct talk k = talk_new(HOST4);

	for (int i = 0; i < 5; i++) {
		struct dns_msg m;
		char addr[32];

		k.id = next_id++;
		ask(r, &k, PAY);
		dns_begin(&m, k.id, DNS_ANSWER, PAY, 1);
		snprintf(addr, sizeof(addr), "198.51.100.%d", 50 + i);
		dns_addr(&m, NULL, addr, 30);
		assert_int_equal(answer(r, &k, &m), PASS);
		assert_int_equal(reach(r, POD_A, addr), PASS);
	}
	assert_int_equal(stat_of(r, CW_DNS_ANSWERS), 5);
}

static void mix(char *to, const char *from, unsigned seed)
{
	size_t i;

	for (i = 0; from[i]; i++)
		to[i] = (char)((seed >> i % 8) & 1 ? toupper((unsigned char)from[i]) : from[i]);
	to[i] = '\0';
}

/* Resolvers ask in random case and compare it themselves. */
static void letters(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 1; i < 40; i++) {
		struct talk k = talk_new(HOST4);
		char asked[64], told[64], addr[32];
		struct dns_msg m;

		mix(asked, PAY, i * 37);
		mix(told, PAY, i % 2 ? i * 37 : i * 91);
		ask(r, &k, asked);
		dns_begin(&m, k.id, DNS_ANSWER, told, 1);
		snprintf(addr, sizeof(addr), "198.51.100.%u", i + 50);
		dns_addr(&m, NULL, addr, 30);
		assert_int_equal(answer(r, &k, &m), PASS);
		assert_int_equal(reach(r, POD_A, addr), PASS);
	}
}

static void patterns(void **state)
{
	static const struct { const char *name; int verdict; } t[] = {
		{ PAY, PASS }, { "example.com", DROP }, { "xpay.example.com", DROP }, { "pay.example.com.evil", DROP },
		{ "a.pay.example.com", DROP }, { "pay.example.comx", DROP }, { "a.example.org", PASS },
		{ "deep.a.example.org", PASS }, { "example.org", DROP }, { "aexample.org", DROP },
		{ "example.org.evil", DROP }, { "x.y", DROP }, { "a", DROP },
		{ "a123456789b123456789c123456789d123456789e123456789f123456789.a123456789b123456789c123456789d123456789"
		  "e123456789f123456789.a123456789b123456789c123456789d123456789e123456789f123456789.a123456789b123456789"
		  "c123456789d123456789.abc.abcd.example.org", PASS },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char addr[32];

		print_message("  %s\n", t[i].name);
		snprintf(addr, sizeof(addr), "198.51.100.%zu", i + 10);
		assert_int_equal(resolve_to(r, POD_A, t[i].name, addr, 30), PASS);
		assert_int_equal(reach(r, POD_A, addr), t[i].verdict);
		assert_true(mapped(r, POD_A, addr, t[i].name, NULL));
	}
	assert_int_equal(stat_of(r, CW_DNS_ANSWERS), ARRAY_SIZE(t));
	/* no patterns in use: names are kept all the same, for learning */
	r->ctl->names = 0;
	assert_int_equal(resolve_to(r, POD_A, "other.example.org", "198.51.100.99", 30), PASS);
	assert_true(mapped(r, POD_A, "198.51.100.99", "other.example.org", NULL));
	assert_int_equal(reach(r, POD_A, "198.51.100.99"), DROP);
}

static void aliases(void **state)
{
	struct rig *r = *state;

	for (int form = 0; form < 3; form++)
		for (unsigned n = 1; n <= 32; n += 31) {
			struct talk k = talk_new(HOST4);
			char owner[64] = PAY, next[64], addr[40];
			struct dns_msg m;

			ask(r, &k, PAY);
			dns_begin(&m, k.id, DNS_ANSWER, PAY, 1);
			for (int i = 0; i < 8; i++) {
				snprintf(next, sizeof(next), "edge-%d.cdn.example.net", i);
				dns_cname(&m, i || form == 1 ? owner : NULL, next, 30);
				snprintf(owner, sizeof(owner), "%s", next);
			}
			if (form == 2) /* signatures and what else is no address */
				for (int i = 0; i < 8; i++)
					dns_record(&m, owner, 46, 30, "signature", 9);
			for (unsigned i = 0; i < n; i++) {
				snprintf(addr, sizeof(addr), form == 1 ? "2001:db8:%u::%x" : "198.51.%u.%u", 100 + n, i + 1);
				dns_addr(&m, owner, addr, 30);
			}
			assert_int_equal(answer(r, &k, &m), PASS);
			for (unsigned i = 0; i < n; i++) {
				snprintf(addr, sizeof(addr), form == 1 ? "2001:db8:%u::%x" : "198.51.%u.%u", 100 + n, i + 1);
				assert_int_equal(reach(r, POD_A, addr), PASS);
			}
			/* the alias is no name of it */
			assert_false(mapped(r, POD_A, addr, "edge-7.cdn.example.net", NULL));
		}
	assert_int_equal(rig_reason(r, CW_R_DNS_FULL).dropped, 0);
}

/* Addresses of another class than IN, of a wrong size, and behind the answers are none. */
static void other_records(void **state)
{
	struct rig *r = *state;
	struct talk k = talk_new(HOST4);
	struct dns_msg m;

	ask(r, &k, PAY);
	dns_begin(&m, k.id, DNS_ANSWER, PAY, 1);
	dns_addr(&m, NULL, "198.51.100.60", 30);
	m.b[m.n - 4 - 2 - 4 - 1] = 3; /* class CH */
	dns_record(&m, NULL, 1, 30, "\306\063\144\075\000", 5);
	dns_record(&m, NULL, 28, 30, "\306\063\144\076", 4);
	dns_addr(&m, NULL, "198.51.100.63", 30);
	dns_addr(&m, NULL, "198.51.100.64", 30);
	dns_answers(&m, 4); /* the last is an additional one */
	assert_int_equal(answer(r, &k, &m), PASS);
	for (int i = 60; i <= 64; i++) {
		char addr[32];

		snprintf(addr, sizeof(addr), "198.51.100.%d", i);
		assert_int_equal(reach(r, POD_A, addr), i == 63 ? PASS : DROP);
	}
	assert_int_equal(charged(r, POD_A), 1);
}

/* ---- what is not believed ----------------------------------------------------------------------------- */

/* A name that a rule speaks of, not believed, is asked again; one that none does passes. */
static void unasked(void **state)
{
	struct rig *r = *state;

	for (int wrong = 0; wrong < 6; wrong++)
		for (int ruled = 0; ruled < 2; ruled++) {
			const char *name = ruled ? PAY : "other.example.net";
			struct talk k = talk_new(HOST4), back;
			uint64_t before = stat_of(r, CW_DNS_UNASKED);
			struct dns_msg m;
			int got;

			print_message("  %d %s\n", wrong, name);
			rig_clear(r);
			back = k;
			ask(r, &k, name);
			if (wrong == 0)
				back.id++;
			if (wrong == 1) { /* another socket, which asked something else */
				back.port = NEW_PORT;
				ask(r, &back, "something.example.net");
				back.id += 100;
			}
			if (wrong == 2) { /* another resolver, likewise */
				back.resolver = NODE4;
				ask(r, &back, "something.example.net");
			}
			if (wrong == 3) { /* another pod */
				back.pod = POD_B;
				ask(r, &back, "something.example.net");
			}
			if (wrong == 4) /* another name than asked */
				ask(r, &k, "something.example.net");
			if (wrong == 5) { /* asked too long ago */
				int fd = rig_map(r, "cw_dns_asked");
				struct cw_dns_asked_key q = { .wl = POD_A, .port = htons(k.port), .id = htons(k.id) };
				struct cw_dns_asked v;
				struct addr a = rig_addr(HOST4);

				memcpy(q.resolver, a.b, 16);
				assert_int_equal(bpf_map_lookup_elem(fd, &q, &v), 0);
				assert_int_equal(v.cls, ruled ? CLS_PAY : 0);
				v.when -= 61 * r->hz;
				assert_int_equal(bpf_map_update_elem(fd, &q, &v, 0), 0);
			}
			dns_begin(&m, back.id, DNS_ANSWER, name, 1);
			dns_addr(&m, NULL, WORLD4, 30);
			got = answer(r, &back, &m);
			assert_int_equal(got, ruled ? DROP : PASS);
			assert_int_equal(stat_of(r, CW_DNS_UNASKED), before + 1);
			assert_int_equal(rig_reason(r, CW_R_DNS_FULL).dropped, ruled);
			assert_int_equal(reach(r, back.pod, WORLD4), DROP);
			assert_int_equal(charged(r, back.pod), 0);
		}
	assert_int_equal(stat_of(r, CW_DNS_DROPPED), 6);
}

static void foreign(void **state)
{
	struct rig *r = *state;
	struct talk k = talk_new("192.0.2.53");
	struct dns_msg m;

	for (int v6 = 0; v6 < 2; v6++) {
		k = talk_new(v6 ? "2001:db8:f::53" : "192.0.2.53");
		ask(r, &k, PAY);
		dns_begin(&m, k.id, DNS_ANSWER, PAY, 1);
		dns_addr(&m, NULL, WORLD4, 30);
		assert_int_equal(answer(r, &k, &m), PASS);
		assert_int_equal(reach(r, POD_A, WORLD4), DROP);
	}
	assert_int_equal(stat_of(r, CW_DNS_FOREIGN), 2);
	/* configured, it is one; what is taken out of the range is none */
	resolver(r, "192.0.2.0/24", CW_RESOLVER_YES);
	resolver(r, HOST4 "/32", CW_RESOLVER_NO);
	k = talk_new("192.0.2.53");
	ask(r, &k, PAY);
	dns_begin(&m, k.id, DNS_ANSWER, PAY, 1);
	dns_addr(&m, NULL, WORLD4, 30);
	assert_int_equal(answer(r, &k, &m), PASS);
	assert_int_equal(reach(r, POD_A, WORLD4), PASS);
	assert_int_equal(resolve_to(r, POD_A, PAY, "198.51.100.8", 30), PASS);
	assert_int_equal(reach(r, POD_A, "198.51.100.8"), DROP);
	assert_int_equal(stat_of(r, CW_DNS_FOREIGN), 3);
}

/* Flags and codes. what: what is counted, -1 nothing. */
static void kinds(void **state)
{
	static const struct { const char *name; unsigned flags; bool kept; int what; } t[] = {
		{ "answer", DNS_ANSWER, true, CW_DNS_ANSWERS },
		{ "authoritative", DNS_ANSWER | 0x0400, true, CW_DNS_ANSWERS },
		{ "question", DNS_QUERY, false, -1 },
		{ "no such name", DNS_ANSWER | 3, false, -1 },
		{ "server failure", DNS_ANSWER | 2, false, -1 },
		{ "notify", DNS_ANSWER | 0x2000, false, -1 },
		{ "cut", DNS_ANSWER | 0x0200, true, CW_DNS_UNSEEN },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t sum = 0, before = t[i].what < 0 ? 0 : stat_of(r, (enum cw_dns_count)t[i].what);
		struct talk k = talk_new(HOST4);
		struct dns_msg m;
		char addr[32];

		print_message("  %s\n", t[i].name);
		snprintf(addr, sizeof(addr), "198.51.100.%zu", 60 + i);
		for (int c = 0; c < CW_DNS_RECORDS; c++)
			sum -= stat_of(r, (enum cw_dns_count)c);
		ask(r, &k, PAY);
		dns_begin(&m, k.id, t[i].flags, PAY, 1);
		dns_addr(&m, NULL, addr, 30);
		assert_int_equal(answer(r, &k, &m), PASS);
		assert_int_equal(reach(r, POD_A, addr), t[i].kept ? PASS : DROP);
		for (int c = 0; c < CW_DNS_RECORDS; c++)
			sum += stat_of(r, (enum cw_dns_count)c);
		assert_int_equal(sum, t[i].what >= 0);
		if (t[i].what >= 0)
			assert_int_equal(stat_of(r, (enum cw_dns_count)t[i].what), before + 1);
	}
	/* an answer without addresses is read in full */
	{
		struct talk k = talk_new(HOST4);
		struct dns_msg m;

		ask(r, &k, PAY);
		dns_begin(&m, k.id, DNS_ANSWER, PAY, 28);
		assert_int_equal(answer(r, &k, &m), PASS);
	}
}

/* Believed and not readable in full: in enforce asked again, else passed and counted. */
static void unreadable(void **state)
{
	static const char *const how[] = {
		"compressed question", "two questions", "odd byte in the question", "dot inside a label",
		"record cut", "record longer than the message", "name cut", "name without end", "too many records",
		"label of a reserved kind", "question cut", "first fragment", "UDP longer than the frame",
	};
	struct rig *r = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(how); i++)
		for (int mode = CW_MODE_OFF; mode <= CW_MODE_ENFORCE; mode++)
			for (int ruled = 0; ruled < 2; ruled++) {
				const char *name = ruled ? PAY : "other.example.net";
				struct talk k = talk_new(HOST4);
				struct dns_msg m;
				struct pkt p;
				uint64_t before = stat_of(r, CW_DNS_UNREADABLE), dropped = stat_of(r, CW_DNS_DROPPED);
				bool drop = ruled && mode == CW_MODE_ENFORCE;

				print_message("  %s, mode %d, %s\n", how[i], mode, name);
				rig_clear(r);
				policy_in(r, mode);
				ask(r, &k, name);
				dns_begin(&m, k.id, DNS_ANSWER, name, 1);
				switch (i) {
				case 0:
					m.n = 12;
					dns_u16(&m, 0xc00c);
					dns_u16(&m, 1);
					dns_u16(&m, 1);
					break;
				case 1:
					m.b[5] = 2;
					break;
				case 2:
					m.b[13] = 7;
					break;
				case 3:
					m.b[14] = '.';
					break;
				}
				for (unsigned k2 = 0; k2 < (i == 8 ? 65u : 3u); k2++)
					dns_addr(&m, NULL, WORLD4, 30);
				if (i == 4)
					m.n -= 3;
				if (i == 5)
					m.b[m.n - 5] = 200;
				if (i == 6)
					m.n -= 15;
				if (i == 7) {
					dns_answers(&m, 4);
					for (int c = 0; c < 140; c++)
						dns_bytes(&m, "\001a", 2);
				}
				if (i == 9)
					m.b[m.n - 16] = 0x80;
				if (i == 10)
					m.n = 20;
				p = message(&k, TO, 53, &m);
				if (i == 11) { /* more fragments follow */
					p.b[14 + 6] |= 0x20;
					p.len -= (p.len - 34) % 8;
					p.b[14 + 3] = (unsigned char)(p.len - 14);
				}
				if (i == 12)
					p.b[14 + 20 + 4] = 8;
				assert_int_equal(rig_run(r, POD_A, TO, &p), drop ? DROP : PASS);
				assert_int_equal(stat_of(r, CW_DNS_UNREADABLE), before + 1);
				assert_int_equal(stat_of(r, CW_DNS_DROPPED), dropped + drop);
				assert_int_equal(rig_reason(r, CW_R_DNS_FULL).dropped, drop);
				assert_int_equal(rig_reason(r, CW_R_DNS_FULL).would,
						 ruled && (mode == CW_MODE_LEARN || mode == CW_MODE_ALERT));
				if (drop && i == 11) { /* what follows of it goes the same way */
					struct pkt later = frame_l3(POD_A, TO, HOST4, A4);

					pkt_frag(&later, 0, (uint32_t)(p.len - 34), false);
					memcpy(later.b + 18, p.b + 18, 2);
					pkt_proto(&later, 17);
					pkt_data(&later, 40);
					pkt_finish(&later);
					assert_int_equal(rig_run(r, POD_A, TO, &later), DROP);
				}
			}
}

/* Neither a dot in a label nor letters of another case make a name of two. */
static void not_text(void **state)
{
	struct rig *r = *state;
	struct talk k = talk_new(HOST4);
	struct dns_msg m;

	dns_begin(&m, k.id, DNS_QUERY, "pay-example-com", 1);
	m.b[16] = m.b[24] = '.'; /* one label that reads like the name */
	assert_int_equal(say(r, &k, FROM, &m), PASS);
	m.b[2] = DNS_ANSWER >> 8;
	dns_addr(&m, NULL, WORLD4, 30);
	assert_int_equal(answer(r, &k, &m), PASS);
	assert_int_equal(reach(r, POD_A, WORLD4), DROP);
	assert_int_equal(charged(r, POD_A), 0);
}

/* ---- room ------------------------------------------------------------------------------------------------ */

static void lifetime(void **state)
{
	static const struct { uint32_t ttl, lives; } t[] = {
		{ 0, 60 + 300 }, { 59, 60 + 300 }, { 60, 60 + 300 }, { 61, 61 + 300 }, { 3600, 3600 + 300 },
		{ 604800, 604800 + 300 }, { 0x7fffffff, 604800 + 300 }, { 0x80000000, 60 + 300 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cw_fqdn_name n;
		char addr[32];
		uint32_t now;

		snprintf(addr, sizeof(addr), "198.51.100.%zu", 60 + i);
		assert_int_equal(resolve_to(r, POD_A, PAY, addr, t[i].ttl), PASS);
		now = rig_jiffies(r);
		assert_true(mapped(r, POD_A, addr, PAY, &n));
		assert_in_range(n.until - now + r->hz, t[i].lives * r->hz, (t[i].lives + 1) * r->hz);
		/* a later answer renews, and shortens nothing */
		assert_int_equal(resolve_to(r, POD_A, PAY, addr, 600), PASS);
		assert_true(mapped(r, POD_A, addr, PAY, &n));
		now = rig_jiffies(r);
		assert_in_range(n.until - now + r->hz, (t[i].lives > 900 ? t[i].lives : 900) * r->hz,
				((t[i].lives > 900 ? t[i].lives : 900) + 1) * r->hz);
	}
	assert_int_equal(charged(r, POD_A), ARRAY_SIZE(t));
}

static void age(struct rig *r, int pod, const char *addr, const char *name, uint32_t secs)
{
	int fd = rig_map(r, "cw_fqdn");
	struct cw_fqdn_key k = { .wl = (uint32_t)pod };
	struct addr a = rig_addr(addr);
	struct cw_fqdn v;
	uint64_t hash;

	memcpy(k.addr, a.b, 16);
	assert_int_equal(dns_hash(r->m, name, &hash), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &k, &v), 0);
	for (int i = 0; i < CW_FQDN_NAMES; i++)
		if (v.name[i].hash == hash)
			v.name[i].until -= secs * r->hz;
	assert_int_equal(bpf_map_update_elem(fd, &k, &v, 0), 0);
}

static void many_names(void **state)
{
	struct rig *r = *state;
	char name[64];

	/* four that no rule speaks of; the fifth of them is not kept and passes */
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "site-%d.example.net", i);
		assert_int_equal(resolve_to(r, POD_A, name, WORLD4, 30), PASS);
		assert_int_equal(mapped(r, POD_A, WORLD4, name, NULL), i < 4);
	}
	assert_int_equal(stat_of(r, CW_DNS_NO_ROOM), 1);
	/* one that a rule speaks of takes a place of theirs */
	assert_int_equal(resolve_to(r, POD_A, PAY, WORLD4, 30), PASS);
	assert_int_equal(reach(r, POD_A, WORLD4), PASS);
	/* many of one rule share a place */
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "site-%d.example.org", i);
		assert_int_equal(resolve_to(r, POD_A, name, WORLD4, 30 + (uint32_t)i), PASS);
	}
	assert_true(mapped(r, POD_A, WORLD4, PAY, NULL));
	assert_true(mapped(r, POD_A, WORLD4, name, NULL));
	assert_int_equal(reach(r, POD_A, WORLD4), PASS);
	assert_int_equal(charged(r, POD_A), 1);
	/* what has ended gives way first */
	assert_int_equal(resolve_to(r, POD_A, "one.example.net", "198.51.100.8", 30), PASS);
	assert_int_equal(resolve_to(r, POD_A, PAY, "198.51.100.8", 30), PASS);
	assert_int_equal(resolve_to(r, POD_A, "two.example.net", "198.51.100.8", 30), PASS);
	assert_int_equal(resolve_to(r, POD_A, "three.example.net", "198.51.100.8", 30), PASS);
	age(r, POD_A, "198.51.100.8", "two.example.net", 500);
	age(r, POD_A, "198.51.100.8", "three.example.net", 900);
	assert_int_equal(resolve_to(r, POD_A, "four.example.net", "198.51.100.8", 30), PASS);
	assert_false(mapped(r, POD_A, "198.51.100.8", "three.example.net", NULL));
	assert_true(mapped(r, POD_A, "198.51.100.8", "two.example.net", NULL));
	assert_true(mapped(r, POD_A, "198.51.100.8", PAY, NULL));
	/* five rules' names on one address: no room, asked again in enforce */
	for (uint32_t c = 10; c < 15; c++) {
		char rev[16];
		int got;

		snprintf(name, sizeof(name), "c%u.test", c);
		snprintf(rev, sizeof(rev), "tset.%02uc", c % 10 * 10 + c / 10);
		pattern(r, rev, strlen(rev) + 1, c);
		got = resolve_to(r, POD_A, name, "198.51.100.9", 30);
		assert_int_equal(got, c == 14 ? DROP : PASS);
	}
	assert_int_equal(rig_reason(r, CW_R_DNS_FULL).dropped, 1);
}

static void share(void **state)
{
	struct rig *r = *state;
	uint32_t kept = 0;
	char addr[32];

	dns_share(r->m, 40);
	for (int i = 0; i < 50; i++) {
		snprintf(addr, sizeof(addr), "198.51.101.%d", i);
		assert_int_equal(resolve_to(r, POD_A, "other.example.net", addr, 30), PASS);
		kept += mapped(r, POD_A, addr, "other.example.net", NULL);
	}
	assert_int_equal(kept, 30); /* a quarter is left for names that rules speak of */
	for (int i = 0; i < 15; i++) {
		snprintf(addr, sizeof(addr), "198.51.102.%d", i);
		assert_int_equal(resolve_to(r, POD_A, PAY, addr, 30), i < 10 ? PASS : DROP);
		assert_int_equal(reach(r, POD_A, addr), i < 10 ? PASS : DROP);
	}
	assert_int_equal(charged(r, POD_A), 40);
	assert_int_equal(rig_reason(r, CW_R_DNS_FULL).dropped, 5);
	assert_int_equal(stat_of(r, CW_DNS_DROPPED), 5);
	assert_int_equal(stat_of(r, CW_DNS_NO_ROOM), 25);
	/* what stands is renewed, others have their own share, other modes pass */
	assert_int_equal(resolve_to(r, POD_A, PAY, "198.51.102.0", 900), PASS);
	assert_int_equal(resolve_to(r, POD_B, PAY, "198.51.102.0", 30), PASS);
	assert_int_equal(reach(r, POD_B, "198.51.102.0"), PASS);
	for (int mode = CW_MODE_OFF; mode < CW_MODE_ENFORCE; mode++) {
		policy_in(r, mode);
		assert_int_equal(resolve_to(r, POD_A, PAY, "198.51.102.99", 30), PASS);
	}
	/* the resolver asks again when there is room */
	policy_in(r, CW_MODE_ENFORCE);
	{
		struct talk k = talk_new(HOST4);
		struct dns_msg m;
		struct addr a = rig_addr("198.51.102.1");

		ask(r, &k, PAY);
		dns_begin(&m, k.id, DNS_ANSWER, PAY, 1);
		dns_addr(&m, NULL, "198.51.102.98", 30);
		assert_int_equal(answer(r, &k, &m), DROP);
		assert_int_equal(dns_del(r->m, POD_A, &a), 0);
		ask(r, &k, PAY);
		assert_int_equal(answer(r, &k, &m), PASS);
		assert_int_equal(reach(r, POD_A, "198.51.102.98"), PASS);
	}
}

static void tables_full(void **state)
{
	struct rig *r = *state;
	struct addr a = rig_addr("192.0.2.1");
	char name[64];
	uint64_t hash;

	/* the table of names */
	for (int i = 0; i < 512; i++) {
		snprintf(name, sizeof(name), "n%d.example.net", i);
		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		assert_int_equal(dns_put(r->m, POD_C, &a, name, 0, 0, 1), 0);
	}
	assert_int_equal(resolve_to(r, POD_A, PAY, WORLD4, 30), DROP);
	assert_int_equal(resolve_to(r, POD_A, "other.example.net", WORLD4, 30), PASS);
	assert_int_equal(charged(r, POD_A), 0);
	assert_int_equal(dns_hash(r->m, "n5.example.net", &hash), 0);
	assert_int_equal(dns_name_del(r->m, hash), 0);
	assert_int_equal(resolve_to(r, POD_A, PAY, WORLD4, 30), PASS);
	assert_int_equal(reach(r, POD_A, WORLD4), PASS);
}

/* A text that is not the name's: nothing is mixed up. */
static void same_number(void **state)
{
	struct rig *r = *state;
	struct cw_dns_name v = { .cls = CLS_PAY, .len = sizeof(PAY) - 1 };
	uint64_t hash;

	for (int longer = 0; longer < 2; longer++) {
		memcpy(v.text, longer ? "some.example.com" : "may.example.com", 16);
		v.len = longer ? 16 : 15;
		assert_int_equal(dns_hash(r->m, PAY, &hash), 0);
		assert_int_equal(bpf_map_update_elem(rig_map(r, "cw_dns_name"), &hash, &v, 0), 0);
		assert_int_equal(resolve_to(r, POD_A, PAY, WORLD4, 30), PASS);
		assert_int_equal(reach(r, POD_A, WORLD4), DROP);
		assert_int_equal(charged(r, POD_A), 0);
	}
}

/* ---- the rest ------------------------------------------------------------------------------------------------ */

static void unseen(void **state)
{
	struct rig *r = *state;

	send_tcp(r, POD_A, FROM, A4, HOST4, 3000, 53, PKT_SYN);
	assert_int_equal(stat_of(r, CW_DNS_UNSEEN), 1);
	send_tcp(r, POD_A, TO, HOST4, A4, 53, 3000, PKT_SYN | PKT_ACK);
	send_tcp(r, POD_A, FROM, A4, HOST4, 3000, 53, PKT_ACK);
	send_tcp(r, POD_A, FROM, A4, HOST4, 3000, 53, PKT_ACK | PKT_PSH);
	assert_int_equal(stat_of(r, CW_DNS_UNSEEN), 1);
	send_tcp(r, POD_A, FROM, A4, HOST4, 3001, 853, PKT_SYN);
	assert_int_equal(stat_of(r, CW_DNS_UNSEEN), 2);
	send_tcp(r, POD_A, FROM, A4, HOST4, 3001, 443, PKT_SYN);
	assert_int_equal(stat_of(r, CW_DNS_UNSEEN), 2);
}

/* A workload that is a resolver: what it is asked and answers is its clients' affair. */
static void serving(void **state)
{
	struct rig *r = *state;
	struct talk k = { .pod = POD_B, .resolver = IP4[POD_A], .port = 5000, .id = 9 };
	struct dns_msg q, a;
	struct pkt p;

	dns_begin(&q, 9, DNS_QUERY, PAY, 1);
	dns_begin(&a, 9, DNS_ANSWER, PAY, 1);
	dns_addr(&a, NULL, WORLD4, 30);
	assert_int_equal(say(r, &k, FROM, &q), PASS);
	p = frame_l3(POD_A, TO, IP4[POD_B], A4);
	pkt_udp(&p, 5000, 53);
	pkt_put(&p, q.b, q.n);
	pkt_finish(&p);
	assert_int_equal(rig_run(r, POD_A, TO, &p), PASS);
	p = frame_l3(POD_A, FROM, A4, IP4[POD_B]);
	pkt_udp(&p, 53, 5000);
	pkt_put(&p, a.b, a.n);
	pkt_finish(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	assert_int_equal(say(r, &k, TO, &a), PASS);
	assert_int_equal(charged(r, POD_A), 0);
	assert_int_equal(charged(r, POD_B), 1);
	assert_int_equal(reach(r, POD_B, WORLD4), PASS);
	assert_int_equal(reach(r, POD_A, WORLD4), DROP);
}

/* The maps room's own half: expiry, classes, and another set's mappings. */
static uint32_t next_wl(void *arg, uint32_t wl)
{
	(void)arg;
	return wl == POD_A ? POD_B : 0;
}

static uint32_t star(void *arg, const char *name)
{
	(void)arg;
	return strstr(name, "example.org") ? CLS_STAR : CLS_PAY;
}

static void keeping(void **state)
{
	struct rig *r = *state, *r2 = NULL;
	struct cw_fqdn_key k = { .wl = POD_A };
	struct addr a = rig_addr(WORLD4);
	uint32_t now = rig_jiffies(r), n = 0;
	struct dns_carry c = { .now = now, .wl_of = next_wl, .cls_of = star };
	uint64_t hash;
	void *st;

	memcpy(k.addr, a.b, 16);
	assert_int_equal(dns_put(r->m, POD_A, &a, PAY, CLS_PAY, now, now + 10), 0);
	assert_int_equal(dns_put(r->m, POD_A, &a, "a.example.org", CLS_STAR, now, now + 50), 0);
	assert_int_equal(dns_put(r->m, POD_C, &a, "b.example.org", CLS_STAR, now, now + 50), 0);
	assert_int_equal(reach(r, POD_A, WORLD4), PASS);
	assert_int_equal(dns_put(r->m, POD_A, &a, "Pay", 0, now, now), -EINVAL);
	assert_int_equal(dns_put(r->m, POD_A, &a, "", 0, now, now), -EINVAL);
	assert_int_equal(dns_put(r->m, POD_A, &a, "a.", 0, now, now), -EINVAL);
	/* classes change */
	assert_int_equal(dns_hash(r->m, PAY, &hash), 0);
	assert_int_equal(dns_name_class(r->m, hash, 0), 0);
	assert_int_equal(dns_hash(r->m, "a.example.org", &hash), 0);
	assert_int_equal(dns_name_class(r->m, hash, 0), 0);
	assert_int_equal(reach(r, POD_A, WORLD4), DROP);
	assert_int_equal(dns_name_class(r->m, hash, CLS_STAR), 0);
	assert_int_equal(reach(r, POD_A, WORLD4), PASS);
	assert_int_equal(dns_name_class(r->m, 12345, 1), -ENOENT);
	/* into another set, under another workload's number */
	assert_int_equal(setup(&st), 0);
	r2 = st;
	c.fqdn_fd = rig_map(r, "cw_fqdn");
	c.name_fd = rig_map(r, "cw_dns_name");
	assert_int_not_equal(r->ctl->instance, r2->ctl->instance);
	assert_int_equal(dns_carry(r2->m, &c, &n), 0);
	assert_int_equal(n, 1);
	assert_true(mapped(r2, POD_B, WORLD4, PAY, NULL));
	assert_true(mapped(r2, POD_B, WORLD4, "a.example.org", NULL));
	assert_int_equal(charged(r2, POD_B), 1);
	assert_int_equal(charged(r2, POD_C), 0);
	assert_int_equal(reach(r2, POD_B, WORLD4), PASS);
	assert_int_equal(reach(r2, POD_A, WORLD4), DROP);
	assert_int_equal(dns_carry(r2->m, &c, &n), 0); /* again: nothing doubles */
	assert_int_equal(charged(r2, POD_B), 1);
	c.name_fd = rig_map(r, "cw_ep");
	assert_int_equal(dns_carry(r2->m, &c, &n), -ENOTSUP);
	rig_teardown(&st);
	/* time */
	assert_int_equal(dns_expire(r->m, &k, now), 0);
	assert_int_equal(dns_expire(r->m, &k, now + 20), 0); /* the other name lives */
	assert_int_equal(charged(r, POD_A), 1);
	assert_int_equal(dns_expire(r->m, &k, now + 51), 1);
	assert_int_equal(dns_expire(r->m, &k, now + 51), 0);
	assert_int_equal(charged(r, POD_A), 0);
	assert_int_equal(reach(r, POD_A, WORLD4), DROP);
}

static int run(void)
{
	const struct CMUnitTest tc[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
		T(right_after), T(same_socket), T(letters), T(patterns), T(aliases), T(other_records), T(unasked),
		T(foreign), T(kinds), T(unreadable), T(not_text), T(lifetime), T(many_names), T(share), T(tables_full),
		T(same_number), T(unseen), T(serving), T(keeping),
	};
	const struct CMUnitTest xdp[] = {
#define X(f) { "xdp: " #f, f, setup_xdp, rig_teardown, NULL }
		X(right_after), X(letters), X(patterns), X(aliases), X(other_records), X(unasked), X(foreign), X(kinds),
		X(unreadable), X(many_names), X(share),
	};

	return cmocka_run_group_tests_name("names at TC", tc, NULL, NULL) +
	       cmocka_run_group_tests_name("names at XDP", xdp, NULL, NULL);
}

int main(void)
{
	return rig_main("dns", run);
}
