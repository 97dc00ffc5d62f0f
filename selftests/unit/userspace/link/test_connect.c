/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching a controller: addresses, back-off, certificates, versions, enrolment. */
#include "fixture.h"

#include <dlfcn.h>
#include <netdb.h>

static void addresses(void **state)
{
	static const struct { const char *text, *host, *port; } good[] = {
		{ "controller", "controller", "7946" },
		{ "controller.example:1", "controller.example", "1" },
		{ "10.0.0.1:65535", "10.0.0.1", "65535" },
		{ "[fd00::1]:80", "fd00::1", "80" },
		{ "[fd00::1]", "fd00::1", "7946" },
		{ "fd00::1", "fd00::1", "7946" },
		{ "fe80::1%eth0", "fe80::1%eth0", "7946" },
	};
	static const char *const bad[] = { "", ":80", "a:", "a:0", "a:65536", "a:x", "[fd00::1", "[]:1", "[::1]x", "http://a", "a b", "a:1234567890123" };
	char host[256], port[8];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(uplink_address_parse(good[i].text, host, port), 0);
		assert_string_equal(host, good[i].host);
		assert_string_equal(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(uplink_address_parse(bad[i], host, port), -EINVAL);
}

static void backoff(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 40; n++) {
		uint32_t whole = n > 5 ? UPLINK_RETRY_MAX_MS : UPLINK_RETRY_MS << n, low = UINT32_MAX, high = 0;

		for (uint32_t r = 0; r < 20000; r += 7) {
			uint32_t ms = uplink_backoff_ms(n, r);

			low = ms < low ? ms : low;
			high = ms > high ? ms : high;
		}
		assert_true(low >= whole / 2 && high <= whole);
		assert_true(high > low);
	}
}

static void comes_back(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	peer_away(p);
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, *up_status(p).problem);
	assert_string_equal(up_status(p).state, "waiting");
	peer_listen(p);
	UNTIL(p, is_connected(p));
	assert_string_equal(up_status(p).problem, "");
	assert_string_equal(up_status(p).controller, "played");
	for (int i = 0; i < 3; i++) {
		UNTIL(p, p->conn);
		wire_conn_close(p->conn, -ECONNRESET, "gone");
		UNTIL(p, !is_connected(p));
		UNTIL(p, is_connected(p));
	}
	assert_int_equal(up_status(p).connects, 4);
}

/* Signed by somebody else: neither end takes the other. */
static void foreign_certificate(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { .cert = "foreign" };
	struct ca *other = NULL;

	assert_int_equal(ca_open(path_of(p, "other"), true, real_now_s(), NULL, &other), 0);
	cert_files(p, other, "n1", "foreign");
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->closes >= 2);
	assert_int_equal(p->hellos, 0);
	assert_int_equal(p->node.commits, 0);
	assert_true(*up_status(p).problem);
	up_close(p);
	/* And a controller that is not ours is not spoken to. */
	o.cert = NULL;
	o.ca = path_of(p, "other/ca.crt");
	p->closes = 0;
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, *up_status(p).problem);
	assert_int_equal(p->hellos, 0);
	ca_free(other);
}

/* For another node: not even used. */
static void certificate_of_another(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { .cert = "n2" };

	cert_files(p, p->ca, "n2", "n2");
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, *up_status(p).problem);
	assert_non_null(strstr(up_status(p).problem, "the certificate is for n2"));
	assert_int_equal(p->hellos, 0);
	/* Replaced by the right one while it runs. */
	cert_files(p, p->ca, "n1", "n2");
	UNTIL(p, is_connected(p));
}

static void versions(void **state)
{
	/* The controller speaks 2 to 3. */
	static const struct { unsigned min, max; bool ok; } cases[] = { { 1, 1, false }, { 1, 2, true }, { 3, 4, true }, { 4, 5, false } };
	struct peer *p = *state;

	p->version_min = 2;
	p->version_max = 3;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct up_opts o = { .vmin = cases[i].min, .vmax = cases[i].max };

		assert_int_equal(up_open(p, &o, NULL), 0);
		UNTIL(p, is_connected(p) || *up_status(p).problem);
		assert_int_equal(is_connected(p), cases[i].ok);
		if (!cases[i].ok)
			assert_non_null(strstr(up_status(p).problem, "speaks another version"));
		up_close(p);
	}
}

static void enrolment(void **state)
{
	static const char token[] = "a-token\n";
	struct peer *p = *state;
	struct up_opts o = { .token = "token" };

	/* The token comes later, as files of a pod do. */
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, strstr(up_status(p).problem, "cannot read the token"));
	p->no_issue = true;
	assert_int_equal(write_file_atomic(path_of(p, "token"), token, strlen(token), 0600), 0);
	UNTIL(p, strstr(up_status(p).problem, "nobody knows it"));
	assert_string_equal(p->token, "a-token");
	assert_int_equal(p->hellos, 0);
	p->no_issue = false;
	UNTIL(p, is_connected(p));
	UNTIL(p, p->node.generation == 5);
	assert_true(up_status(p).cert_until_s > real_now_s() + CERT_LIFE_S - 60);
	/* It is kept: the next start asks for none. */
	p->enrols = 0;
	up_close(p);
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, is_connected(p));
	assert_int_equal(p->enrols, 0);
}

/* The authority is replaced: a certificate of the former one is worth nothing, another is asked for. */
static void authority_replaced(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { .token = "token" };

	assert_int_equal(write_file_atomic(path_of(p, "token"), "t", 1, 0600), 0);
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, is_connected(p));
	assert_int_equal(p->enrols, 1);
	up_close(p);
	ca_free(p->ca);
	p->ca = NULL;
	unlink(path_of(p, "ca.key"));
	unlink(path_of(p, "ca.crt"));
	assert_int_equal(ca_open(p->dir, true, real_now_s(), NULL, &p->ca), 0);
	wire_keys_unref(p->keys);
	p->keys = server_keys(p, true);
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, is_connected(p));
	assert_int_equal(p->enrols, 2);
}

/* ---- names -------------------------------------------------------------------------------------------- */

#define SLOW_MS 3000

/* Stands before the library's: a name server that takes its time, and one that knows nothing. */
__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
						       struct addrinfo **res)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (hints && !(hints->ai_flags & AI_NUMERICHOST) && node) {
		if (strstr(node, "slow.example"))
			usleep(SLOW_MS * 1000);
		return strstr(node, "here.") ? real("127.0.0.1", service, hints, res) : EAI_AGAIN;
	}
	return real(node, service, hints, res);
}

static uint64_t connect_ms(struct peer *p, const char *const *hosts, size_t n)
{
	static const struct addr own;
	char at[4][64];
	const char *list[4];
	struct uplink_config c = {
		.node = "n1", .controllers = list, .ncontrollers = n, .state_dir = path_of(p, "agent"), .ca = path_of(p, "ca.crt"),
		.cert = path_of(p, "n1.crt"), .key = path_of(p, "n1.key"), .node_addrs = &own, .nnode_addrs = 1,
	};
	uint64_t from;

	for (size_t i = 0; i < n; i++) {
		snprintf(at[i], sizeof(at[i]), strchr(hosts[i], ':') ? "%s" : "%s:%u", hosts[i], p->port);
		list[i] = at[i];
	}
	assert_int_equal(uplink_new(&p->loop, &c, &fake_ops, &p->node, NULL, &p->up), 0);
	p->node.sink = uplink_sink();
	p->node.sink_arg = p->up;
	p->up_closed = false;
	uv_update_time(&p->loop);
	from = uv_now(&p->loop);
	assert_int_equal(uplink_start(p->up, NULL), 0);
	UNTIL(p, is_connected(p));
	from = uv_now(&p->loop) - from;
	up_close(p);
	return from;
}
#define CONNECT_MS(p, ...) connect_ms(p, (const char *const[]){ __VA_ARGS__ }, \
				      sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* A name that nobody answers for in time costs its own wait, and others are tried in it. */
static void slow_names(void **state)
{
	struct peer *p = *state;

	assert_in_range(CONNECT_MS(p, "here.example"), 0, 1500);
	assert_in_range(CONNECT_MS(p, "not.example", "here.example"), 0, 1500);
	/* Its wait, not its answer's. */
	assert_in_range(CONNECT_MS(p, "slow.example", "127.0.0.1"), 1500, SLOW_MS - 300);
	assert_in_range(CONNECT_MS(p, "127.0.0.1", "slow.example"), 0, 1500);
	/* Its answer comes while something else is tried, and is not lost. */
	assert_in_range(CONNECT_MS(p, "here.slow.example"), 1500, 2 * SLOW_MS);
	assert_in_range(CONNECT_MS(p, "x.slow.example", "here.slow.example", "127.0.0.1:1"), SLOW_MS, 3 * SLOW_MS);
}

static void bad_configuration(void **state)
{
	static const char *const one[] = { "10.0.0.1" }, *const bad[] = { "http://x" };
	const struct { struct uplink_config c; const char *name, *at; } cases[] = {
		{ { .node = "", .controllers = one, .ncontrollers = 1, .ca = "/ca" }, "config.missing", "node" },
		{ { .node = "n", .ca = "/ca" }, "config.missing", "controller.address" },
		{ { .node = "n", .controllers = one, .ncontrollers = 1 }, "config.missing", "controller.tls.ca" },
		{ { .node = "n", .controllers = one, .ncontrollers = 1, .ca = "/ca", .cert = "/c" }, "config.missing", "controller.tls.key" },
		{ { .node = "n", .controllers = bad, .ncontrollers = 1, .ca = "/ca" }, "config.address", "http://x" },
	};
	struct peer *p = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fail_list f = { };
		struct uplink *u = NULL;

		assert_int_equal(uplink_new(&p->loop, &cases[i].c, &fake_ops, &p->node, &f, &u), -EINVAL);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, cases[i].name);
		assert_string_equal(f.items[0].at, cases[i].at);
		fail_list_done(&f);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(backoff), T(comes_back), T(foreign_certificate),
		T(certificate_of_another), T(versions), T(enrolment), T(authority_replaced), T(slow_names),
		T(bad_configuration),
	};

	own_loopback();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
