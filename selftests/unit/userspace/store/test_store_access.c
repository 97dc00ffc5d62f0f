/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting exactly once: what the store holds is compared with what a simulated kernel
 * generated, across drains, epochs, failing disks and daemons killed at any point.
 */
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/buf.h"
#include "base/strparse.h"
#include "selftests/unit/userspace/store/scratch.h"

static uint64_t rnd_state;

static uint64_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state;
}

/* A fresh seed unless one is given; printed, so that a failure can be repeated. */
static void seed(void)
{
	struct timespec ts;
	const char *env = getenv("CW_SEED");
	uint64_t v = 0;

	if (!env || parse_u64(env, 1, UINT64_MAX, &v) < 0) {
		(void)clock_gettime(CLOCK_REALTIME, &ts);
		v = ((uint64_t)ts.tv_nsec << 20 ^ (uint64_t)ts.tv_sec) | 1;
	}
	rnd_state = v;
	print_message("  CW_SEED=%llu\n", (unsigned long long)v);
}

/* Of this process: other work on the machine does not count. */
static int64_t cpu_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* All that a book says, as text. */
static char *dump(struct access_book *b)
{
	struct alert_book *al = access_book_alerts(b);
	struct buf out;

	buf_init(&out, 64u << 20);
	for (size_t i = 0; i < access_book_count(b); i++) {
		const struct access *a = access_book_at(b, i);

		(void)buf_printf(&out, "%llu %s %s(%d) %s(%d) %u/%u d%d %s %lld h%d %lld-%lld f%llu a%llu p%llu b%llu g%llu six%llu\n",
				 (unsigned long long)a->num, a->id, a->src->ref, a->src->kind, a->dst->ref, a->dst->kind, a->proto, a->port,
				 a->decision, a->decided_by ? a->decided_by : "-", (long long)a->decided_ns, a->hold,
				 (long long)a->first_ns, (long long)a->last_ns, (unsigned long long)a->c.flows,
				 (unsigned long long)a->c.answered, (unsigned long long)a->c.packets, (unsigned long long)a->c.bytes,
				 (unsigned long long)a->c.guessed, (unsigned long long)a->flows6);
		(void)buf_printf(&out, " ends %s %s %s %s %s, %s %s %s %zu %u\n", a->src->ns ? a->src->ns : "-",
				 a->src->controller_kind ? a->src->controller_kind : "-",
				 a->src->controller_name ? a->src->controller_name : "-", a->src->pod ? a->src->pod : "-",
				 a->src->fqdn ? a->src->fqdn : "-", a->dst->ns ? a->dst->ns : "-", a->dst->pod ? a->dst->pod : "-",
				 a->dst->fqdn ? a->dst->fqdn : "-", a->src->labels.n, a->dst->prefix.plen);
		for (int s = 0; s < 2; s++) {
			(void)buf_printf(&out, " side %d %d %u %u %u %u %u %u %lld:", a->side[s].outcome, a->side[s].reason,
					 a->side[s].verdict.rule, a->side[s].verdict.tier, a->side[s].verdict.action,
					 a->side[s].verdict.flags, a->side[s].verdict.adv_rule, a->side[s].verdict.adv_tier,
					 (long long)a->side[s].at_ns);
			for (int o = 0; o < CW_OUT_COUNT; o++)
				(void)buf_printf(&out, " %llu", (unsigned long long)a->c.cnt[s][o]);
			(void)buf_adds(&out, "\n");
		}
		for (size_t d = 0; d < a->ndays; d++)
			(void)buf_printf(&out, " day %u %x %llu %llu %llu\n", a->days[d].day, a->days[d].hours,
					 (unsigned long long)a->days[d].flows, (unsigned long long)a->days[d].answered,
					 (unsigned long long)a->days[d].refused);
		for (size_t m = 0; m < a->nmembers; m++)
			(void)buf_printf(&out, " member %s %s %s %u %llu %llu\n", a->members[m]->src->ref, a->members[m]->src->uid ? a->members[m]->src->uid : "-",
					 a->members[m]->dst->ref, a->members[m]->family, (unsigned long long)a->members[m]->c.flows,
					 (unsigned long long)a->members[m]->c.bytes);
		if (a->rest)
			(void)buf_printf(&out, " rest %llu\n", (unsigned long long)a->rest->c.flows);
	}
	for (size_t i = 0; i < access_book_scan_count(b); i++) {
		const struct access_scan *s = access_book_scan_at(b, i);

		(void)buf_printf(&out, "scan %s %s %llu %llu %llu %llu %llu\n", s->src->ref, s->point ? s->point->ref : "-",
				 (unsigned long long)s->ports, (unsigned long long)s->peers, (unsigned long long)s->held,
				 (unsigned long long)s->folded, (unsigned long long)s->folded_flows);
	}
	for (size_t i = 0; i < access_book_fold_count(b); i++) {
		const struct access_fold *f = access_book_fold_at(b, i);

		(void)buf_printf(&out, "fold %s/%s %llu %llu %llu %llu %llu\n", f->ns, f->name, (unsigned long long)f->last.lost,
				 (unsigned long long)f->sum.lost, (unsigned long long)f->sum.folded_flows,
				 (unsigned long long)f->refused, (unsigned long long)f->instance);
	}
	for (size_t i = 0; i < alert_book_count(al); i++) {
		const struct alert *a = alert_book_at(al, i);

		(void)buf_printf(&out, "alert %s %d %s %llu %s %s %u/%u %d rule %u tier %u side %d %d sev %d n%llu %llu %llu %lld %lld %s %s %llu\n",
				 a->id, a->kind, a->access, (unsigned long long)a->scan, a->src, a->dst, a->proto, a->port, a->outcome,
				 a->by.rule, a->by.tier, a->by_side, a->reason, a->severity, (unsigned long long)a->count,
				 (unsigned long long)a->ports, (unsigned long long)a->peers, (long long)a->first_ns,
				 (long long)a->last_ns, a->acked_by ? a->acked_by : "-", a->note ? a->note : "-",
				 (unsigned long long)a->count_acked);
	}
	assert_int_equal(out.err, 0);
	return buf_take(&out, NULL);
}

/* ---- round trip ------------------------------------------------------------------------------ */

static void declare(struct access_book *b)
{
	gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
	gen_workload(b, "shop", "web-2", "Deployment", "web", NULL, NULL);
	gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, "10.20.1.5");
	gen_workload(b, "ops", "tool", NULL, NULL, "app=tool,tier=x", NULL);
	gen_workload(b, "shop", "rogue", NULL, NULL, NULL, NULL);
}

static const char *fqdn_of(void *arg, const char *ns, const char *name, const struct addr *a)
{
	(void)arg;
	(void)ns;
	(void)name;
	return a->b[15] == 7 ? "pay.example.com" : NULL;
}

static size_t mixed_batch(struct node_access *a)
{
	size_t n = 0;

	a[n++] = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 4, 3);
	a[n] = gen(POD("shop", "web-2"), POD("data", "db-0"), 6, 5432, 4, 3);
	a[n].family = a[n].key.family = 6;
	a[n++].src_wl.uid = (char *)"uid-2";
	a[n++] = gen(POD("shop", "web-1"), WORLD("192.0.2.7"), 6, 443, 9, 9);
	a[n++] = gen(POD("shop", "web-1"), WORLD("198.51.100.3"), 6, 443, 9, 0);
	a[n++] = gen(WORLD(NULL), POD("shop", "web-1"), 6, 80, 70, 70);
	a[n++] = gen(POD("ops", "tool"), POD("shop", "web-1"), 1, 8 << 8, 1, 1);
	a[n++] = gen(POD("shop", "web-1"), UNKNOWN("10.9.9.9"), 6, 81, 1, 1);
	a[n] = gen(POD("shop", "rogue"), POD("data", "db-0"), 6, 5432, 6, 0);
	a[n].outcome[0] = CW_OUT_DROP;
	a[n].reason[0] = CW_R_RULE;
	a[n].verdict[0] = (struct cw_verdict){ .rule = 17, .tier = CW_TIER_MANUAL, .action = CW_ACT_BLOCK, .flags = CW_V_REJECT,
					       .adv_rule = 4000000000u, .adv_tier = CW_TIER_ADMIN, .adv_action = CW_ACT_ALERT };
	a[n++].cnt[0][CW_OUT_DROP] = 6;
	for (int i = 0; i < 600; i++)
		a[n++] = gen(POD("shop", "rogue"), WORLD("203.0.113.1"), 6, (uint16_t)(2000 + i), 1, i % 100 == 0);
	return n;
}

static void round_trip(void **state)
{
	static struct prefix fold;
	struct access_config c = { .fold_cidrs = &fold, .nfold_cidrs = 1, .fqdn = fqdn_of };
	struct node_fold f = { .ns = "shop", .name = "web-1", .instance = 77, .folded_flows = 4, .lost = 1 };
	struct node_access *a = calloc(1000, sizeof(*a));
	struct store *s = scratch_open(*state);
	struct access_applied did;
	struct access_book *b;
	char *before, *after;
	size_t n;

	assert_non_null(a);
	assert_int_equal(prefix_parse("198.51.100.0/24", &fold), 0);
	assert_int_equal(access_book_new(&c, &b), 0);
	declare(b);
	n = mixed_batch(a);
	assert_int_equal(store_access_commit(s, b, a, n, &f, 1, T0 + 2 * S, &did), 0);
	assert_int_equal(did.changed, n - 1);
	assert_int_equal(did.waiting, 1);
	assert_int_equal(access_book_tick(b, T0 + 40 * S), 0); /* the unresolved one is filed */
	assert_int_equal(store_access_flush(s, b), 0);
	assert_int_equal(access_book_decide(b, access_book_at(b, 0)->id, ACCESS_CONFIRMED, "lin.wei", T0 + 50 * S), 0);
	assert_int_equal(alert_book_ack(access_book_alerts(b), alert_book_at(access_book_alerts(b), 0)->id, "lin.wei", "a note", T0), 0);
	assert_int_equal(store_access_flush(s, b), 0);
	assert_false(access_book_is_dirty(b));
	before = dump(b);
	access_book_free(b);
	store_close(s);

	for (int i = 0; i < 2; i++) {
		s = scratch_open(*state);
		assert_int_equal(access_book_new(&c, &b), 0);
		assert_int_equal(store_access_load(s, b), 0);
		after = dump(b);
		assert_string_equal(before, after);
		free(after);
		assert_false(access_book_is_dirty(b));
		declare(b);
		/* The kernel still has the same counters: nothing new. */
		assert_int_equal(store_access_commit(s, b, a, n, &f, 1, T0 + 60 * S, &did), 0);
		assert_int_equal(did.unchanged, n);
		after = dump(b);
		assert_string_equal(before, after);
		free(after);
		access_book_free(b);
		store_close(s);
	}
	free(before);
	free(a);
}

/* Killed between epoch_done and the clearing of the table: it is read again, and says nothing new. */
static void settled_epochs_stay_settled(void **state)
{
	struct store *s = scratch_open(*state);
	struct access_book *b = gen_book();
	struct node_access a = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 4, 3);
	struct node_access late = gen(POD("shop", "web-1"), UNKNOWN("10.9.9.9"), 6, 81, 5, 0);
	struct access_applied did;

	declare(b);
	assert_int_equal(store_access_commit(s, b, &a, 1, NULL, 0, T0 + S, NULL), 0);
	assert_int_equal(store_access_commit(s, b, &late, 1, NULL, 0, T0 + S, &did), 0);
	assert_int_equal(did.waiting, 1);
	assert_int_equal(store_access_epoch_done(s, b, 77, 1, T0 + 2 * S), 0);
	access_book_free(b);
	store_close(s);
	s = scratch_open(*state);
	b = gen_book();
	assert_int_equal(store_access_load(s, b), 0);
	declare(b);
	assert_int_equal(gen_total_flows(b), 9); /* what waited was filed before the table went */
	assert_int_equal(store_access_commit(s, b, &a, 1, NULL, 0, T0 + 3 * S, &did), 0);
	assert_int_equal(did.settled, 1);
	a.epoch = 2;
	assert_int_equal(store_access_commit(s, b, &a, 1, NULL, 0, T0 + 3 * S, &did), 0);
	assert_int_equal(gen_total_flows(b), 13);
	/* Maps that are certainly gone are forgotten, their accesses are not. */
	access_book_forget_instances(b, T0 + DAY);
	assert_int_equal(store_access_flush(s, b), 0);
	access_book_free(b);
	store_close(s);
	s = scratch_open(*state);
	b = gen_book();
	assert_int_equal(store_access_load(s, b), 0);
	assert_int_equal(gen_total_flows(b), 13);
	{
		struct access_book_stats st;

		access_book_stats(b, &st);
		assert_int_equal(st.counters, 0);
	}
	access_book_free(b);
	store_close(s);
}

/* A decision and its change are one: taken back together, kept together. */
static void decisions_ride_on_changes(void **state)
{
	struct store *s = scratch_open(*state);
	struct access_book *b = gen_book();
	struct node_access a = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 4, 3);
	struct policy_state next = { .generation = 1 };
	struct change c = { .generation = 1, .what = (char *)"access confirm" };
	uint64_t g;

	declare(b);
	assert_int_equal(store_access_commit(s, b, &a, 1, NULL, 0, T0 + S, NULL), 0);
	for (int keep = 0; keep < 2; keep++) {
		assert_int_equal(store_begin(s, true), 0);
		assert_int_equal(store_access_commit(s, b, &a, 1, NULL, 0, T0 + S, NULL), -EBUSY);
		assert_int_equal(store_change_commit(s, &next, &c), 0);
		assert_int_equal(access_book_decide(b, access_book_at(b, 0)->id, ACCESS_CONFIRMED, "lin", T0), 0);
		assert_int_equal(store_access_flush(s, b), 0);
		assert_true(access_book_is_dirty(b));
		if (keep)
			assert_int_equal(store_commit(s), 0);
		else
			store_rollback(s);
		assert_int_equal(access_book_is_dirty(b), !keep);
		assert_int_equal(store_generation(s, &g), 0);
		assert_int_equal(g, keep);
	}
	access_book_free(b);
	store_close(s);
	s = scratch_open(*state);
	b = gen_book();
	assert_int_equal(store_access_load(s, b), 0);
	assert_int_equal(access_state(access_book_at(b, 0)), ACCESS_ST_CONFIRMED);
	access_book_free(b);
	store_close(s);
}

/* The disk is full for a while: the call says so, and nothing is lost or doubled. */
static void full_disk(void **state)
{
	struct store *s = scratch_open(*state);
	struct access_book *b = gen_book();
	struct node_access *a = calloc(2000, sizeof(*a));
	struct rlimit old, small;
	char *before, *after;
	int r;

	assert_non_null(a);
	(void)signal(SIGXFSZ, SIG_IGN);
	declare(b);
	for (int i = 0; i < 2000; i++) {
		a[i] = gen(POD("shop", "web-1"), RESERVED(CW_ID_HOST), 6, (uint16_t)(i + 1), 2, 1);
		a[i].first_ns = T0 + i * 60 * S;
		a[i].last_ns = a[i].first_ns;
	}
	assert_int_equal(store_access_commit(s, b, a, 10, NULL, 0, T0 + DAY, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 200000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = store_access_commit(s, b, a, 2000, NULL, 0, T0 + 2 * DAY, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(r < 0);
	assert_true(store_error(s)[0] != 0);
	assert_true(access_book_is_dirty(b));
	/* The node keeps its table and comes again. */
	assert_int_equal(store_access_commit(s, b, a, 2000, NULL, 0, T0 + 2 * DAY, NULL), 0);
	assert_int_equal(gen_total_flows(b), 4000);
	before = dump(b);
	access_book_free(b);
	store_close(s);
	s = scratch_open(*state);
	b = gen_book();
	assert_int_equal(store_access_load(s, b), 0);
	after = dump(b);
	assert_string_equal(before, after);
	free(before);
	free(after);
	free(a);
	access_book_free(b);
	store_close(s);
}

/* ---- the simulated kernel ------------------------------------------------------------------------ */

#define KEYS 400
#define EPOCHS 4096

/* In shared memory: outlives the daemon that is killed. Counters of an epoch are never reused
 * here, so that the sum over all epochs is what was generated. */
struct kernel {
	_Atomic uint64_t flows[EPOCHS][KEYS];
	_Atomic uint8_t cleared[EPOCHS];
	_Atomic uint32_t epoch;
	_Atomic uint64_t lost;
};

static struct node_access record(const struct kernel *k, uint32_t epoch, unsigned key)
{
	static const char *const pods[] = { "web-1", "web-2", "rogue" };
	/* Some keys towards an address nobody ever claims: they wait, and are filed by force. */
	struct gen_end dst = key % 7 == 0 ? UNKNOWN("10.9.9.9") : POD("data", "db-0");
	struct node_access a = gen(POD("shop", pods[key % 3]), dst, 6, (uint16_t)(1000 + key), 0, 0);

	a.epoch = epoch;
	a.flows = k->flows[epoch][key];
	a.answered = key % 5 == 0 ? 0 : a.flows / 2;
	a.packets = a.flows * 3;
	a.bytes = a.flows * 300;
	memset(a.cnt, 0, sizeof(a.cnt));
	a.cnt[CW_EGRESS][key % 4 == 0 ? CW_OUT_DROP : CW_OUT_ALLOW] = a.flows;
	if (key % 4 == 0) {
		a.outcome[CW_EGRESS] = CW_OUT_DROP;
		a.verdict[CW_EGRESS] = (struct cw_verdict){ .rule = 9, .tier = CW_TIER_MANUAL, .action = CW_ACT_BLOCK };
	}
	a.first_ns = T0 + epoch * S;
	a.last_ns = T0 + epoch * S + S / 2;
	return a;
}

static int drain(struct kernel *k, struct store *s, struct access_book *b, uint32_t epoch)
{
	static struct node_access a[KEYS];
	struct node_fold f = { .ns = "shop", .name = "web-1", .instance = 77, .lost = k->lost };
	size_t n = 0;

	for (unsigned i = 0; i < KEYS; i++) {
		a[n] = record(k, epoch, i);
		n += a[n].flows != 0;
	}
	return store_access_commit(s, b, a, n, &f, 1, T0 + epoch * S + S, NULL);
}

/* What a restarted or switching agent does: drain, settle, only then clear. */
static int settle(struct kernel *k, struct store *s, struct access_book *b, uint32_t epoch)
{
	int r = drain(k, s, b, epoch);

	if (!r)
		r = store_access_epoch_done(s, b, 77, epoch, T0 + epoch * S + S);
	if (!r)
		k->cleared[epoch] = 1;
	return r;
}

static int daemon_open(struct kernel *k, const char *path, uint32_t scan_ports, struct store **s, struct access_book **b)
{
	struct access_config c = { .scan_ports = scan_ports, .scan_peers = scan_ports };
	struct fail_list f = { };
	int r = store_open(path, T0, &f, s);

	if (r < 0 || f.n)
		return r < 0 ? r : -EBADMSG; /* a killed daemon never damages the file */
	r = access_book_new(&c, b);
	if (!r)
		r = store_access_load(*s, *b);
	if (r < 0)
		return r;
	declare(*b);
	for (uint32_t e = k->epoch > 3 ? k->epoch - 3 : 1; e < k->epoch && !r; e++)
		if (!k->cleared[e])
			r = settle(k, *s, *b, e);
	return r;
}

static int daemon_step(struct kernel *k, struct store *s, struct access_book *b)
{
	uint32_t e = k->epoch;
	int r;

	for (unsigned i = 0; i < 1 + rnd() % 60; i++)
		k->flows[e][rnd() % (1 + rnd() % KEYS)] += 1 + rnd() % 3;
	if (rnd() % 10 == 0)
		k->lost++;
	r = drain(k, s, b, e);
	if (!r && rnd() % 4 == 0 && e + 1 < EPOCHS) {
		k->epoch = e + 1;
		/* Flows that had found the old table go on for a moment. */
		k->flows[e][rnd() % KEYS]++;
		/* The new table is drained as well before the old one is settled. */
		k->flows[e + 1][rnd() % KEYS]++;
		if (rnd() % 2)
			r = drain(k, s, b, e + 1);
		if (!r)
			r = settle(k, s, b, e);
	}
	return r;
}

static void check(struct kernel *k, struct access_book *b, bool exact)
{
	uint64_t made = 0, alerts = 0, want_alerts = 0, days = 0, sum = 0, members = 0, scans = 0;
	struct access_fold loss;

	for (uint32_t e = 1; e <= k->epoch; e++)
		for (unsigned i = 0; i < KEYS; i++) {
			made += k->flows[e][i];
			want_alerts += i % 4 == 0 ? k->flows[e][i] : 0;
		}
	for (size_t i = 0; i < access_book_count(b); i++) {
		const struct access *a = access_book_at(b, i);
		uint64_t one = 0;

		for (uint32_t e = 1; e <= k->epoch; e++)
			one += k->flows[e][a->port - 1000];
		assert_true(a->c.flows <= one);
		sum += a->c.flows;
		assert_int_equal(a->c.bytes, a->c.flows * 300);
		for (size_t d = 0; d < a->ndays; d++)
			days += a->days[d].flows;
		for (size_t m = 0; m < a->nmembers; m++)
			members += a->members[m]->c.flows;
	}
	for (size_t i = 0; i < access_book_scan_count(b); i++)
		scans += access_book_scan_at(b, i)->folded_flows;
	for (size_t i = 0; i < alert_book_count(access_book_alerts(b)); i++) {
		const struct alert *al = alert_book_at(access_book_alerts(b), i);

		/* What was closed into a scan is counted there. */
		alerts += al->kind == ALERT_ACCESS && al->scan ? 0 : al->count;
	}
	access_book_loss(b, "shop", &loss);
	assert_int_equal(days, sum);
	assert_int_equal(members, sum);
	assert_true(sum + scans <= made);
	assert_true(alerts <= want_alerts);
	if (!exact)
		return;
	assert_int_equal(sum + scans, made);
	assert_int_equal(alerts, want_alerts);
	assert_int_equal(loss.sum.lost, k->lost);
}

/* Killed at any instant, many times over; then one that lives to the end. */
static void crash(void **state, uint32_t scan_ports, int rounds)
{
	struct kernel *k = mmap(NULL, sizeof(*k), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct access_book *b = NULL;
	struct store *s = NULL;
	int killed = 0, status;

	assert_true(k != MAP_FAILED);
	seed();
	k->epoch = 1;
	for (int i = 0; i < rounds; i++) {
		struct timespec nap = { .tv_nsec = (long)(rnd() % 60000000) };
		pid_t pid;

		(void)rnd();
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			int r = daemon_open(k, scratch_path(*state), scan_ports, &s, &b);

			while (!r)
				r = daemon_step(k, s, b);
			_exit(1);
		}
		(void)nanosleep(&nap, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status)); /* it did not fail by itself */
		killed++;
		if (i % 8 == 0) {
			struct access_config c = { };

			s = scratch_open(*state);
			assert_int_equal(access_book_new(&c, &b), 0);
			assert_int_equal(store_access_load(s, b), 0);
			check(k, b, false);
			access_book_free(b);
			store_close(s);
		}
	}
	assert_int_equal(daemon_open(k, scratch_path(*state), scan_ports, &s, &b), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(daemon_step(k, s, b), 0);
	assert_int_equal(settle(k, s, b, k->epoch), 0);
	check(k, b, true);
	access_book_free(b);
	store_close(s);
	/* And from the disk alone. */
	s = scratch_open(*state);
	b = gen_book();
	assert_int_equal(store_access_load(s, b), 0);
	check(k, b, true);
	print_message("  %d kills, %u epochs, %zu accesses, %zu scans, %llu flows: exact\n", killed, k->epoch,
		      access_book_count(b), access_book_scan_count(b), (unsigned long long)gen_total_flows(b));
	access_book_free(b);
	store_close(s);
	assert_int_equal(munmap(k, sizeof(*k)), 0);
}

static void killed_daemons_lose_and_double_nothing(void **state)
{
	crash(state, 100000, 40);
}

static void the_same_while_scans_fold(void **state)
{
	crash(state, 20, 25);
}

/* Without kills, but with every order of drains: same totals as the generator's. */
static void random_drains(void **state)
{
	struct kernel *k = calloc(1, sizeof(*k));
	struct access_book *b;
	struct store *s;

	assert_non_null(k);
	seed();
	k->epoch = 1;
	assert_int_equal(daemon_open(k, scratch_path(*state), 100000, &s, &b), 0);
	for (int i = 0; i < 150; i++) {
		assert_int_equal(daemon_step(k, s, b), 0);
		if (rnd() % 3 == 0)
			assert_int_equal(drain(k, s, b, k->epoch), 0);
		if (rnd() % 5 == 0 && k->epoch > 1) /* an old epoch once more */
			assert_int_equal(drain(k, s, b, k->epoch - 1), 0);
		if (rnd() % 20 == 0) {
			access_book_free(b);
			store_close(s);
			assert_int_equal(daemon_open(k, scratch_path(*state), 100000, &s, &b), 0);
		}
	}
	assert_int_equal(settle(k, s, b, k->epoch), 0);
	check(k, b, true);
	access_book_free(b);
	store_close(s);
	free(k);
}

/* A file of the first schema, with accesses in it, is one of today's afterwards. */
static void an_older_file_is_brought_up(void **state)
{
	static const char back[] = "ALTER TABLE access DROP COLUMN scan; ALTER TABLE access_scan DROP COLUMN folded_would;"
		"ALTER TABLE access_scan DROP COLUMN folded_dropped; DROP TABLE hour; ALTER TABLE change DROP COLUMN flows; DROP TABLE shadow; DROP TABLE shadow_seen; DROP TABLE service; DROP TABLE kube; DROP TABLE node;"
		"DELETE FROM migration WHERE version>1";
	struct node_access *a = calloc(1000, sizeof(*a));
	struct store *s = scratch_open(*state);
	struct access_book *b = gen_book();
	size_t n;
	sqlite3 *db;

	assert_non_null(a);
	declare(b);
	assert_int_equal(store_access_commit(s, b, a, mixed_batch(a), NULL, 0, T0 + 2 * S, NULL), 0);
	n = access_book_count(b);
	access_book_free(b);
	store_close(s);
	assert_int_equal(sqlite3_open(scratch_path(*state), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, back, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	s = scratch_open(*state);
	b = gen_book();
	assert_int_equal(store_access_load(s, b), 0);
	assert_int_equal(access_book_count(b), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(access_book_at(b, i)->scan, 0);
	assert_int_equal(store_hour_put(s, &(struct store_hour){ "shop", 7, 1, 2 }), 0);
	access_book_free(b);
	store_close(s);
	free(a);
}

static void damaged_rows_are_refused(void **state)
{
	static const char *const harm[] = {
		"UPDATE access SET counts=x'00' WHERE num=1", "UPDATE access SET src=999 WHERE num=1",
		"UPDATE access SET id='zz' WHERE num=1", "UPDATE access SET hold=9 WHERE num=1",
		"UPDATE access SET days=zeroblob(64*32) WHERE num=1", "UPDATE access_member SET access=77 WHERE num=1",
		"UPDATE access_member SET src=0 WHERE num=1", "UPDATE access_counter SET key=x'01' WHERE num=1",
		"UPDATE access_counter SET member=4711 WHERE num=1", "UPDATE access_end SET kind=77 WHERE num=1",
		"UPDATE access_end SET plen=33 WHERE num=1", "UPDATE access_end SET ref=(SELECT ref FROM access_end WHERE num=2) WHERE num=1",
		"UPDATE access_point SET addr=NULL WHERE num=1", "UPDATE alert SET sides=zeroblob(3)",
		"UPDATE alert SET severity=7", "DELETE FROM access_end WHERE num=1",
	};
	size_t refused = 0;

	for (size_t i = 0; i < ARRAY_SIZE(harm); i++) {
		struct node_access *a = calloc(1000, sizeof(*a));
		struct store *s = scratch_open(*state);
		struct access_book *b = gen_book();
		sqlite3 *db;
		int r;

		assert_non_null(a);
		print_message("  %s\n", harm[i]);
		declare(b);
		assert_int_equal(store_access_commit(s, b, a, mixed_batch(a), NULL, 0, T0 + 2 * S, NULL), 0);
		access_book_free(b);
		store_close(s);
		assert_int_equal(sqlite3_open(scratch_path(*state), &db), SQLITE_OK);
		r = sqlite3_exec(db, harm[i], NULL, NULL, NULL);
		assert_true(r == SQLITE_OK || r == SQLITE_CONSTRAINT); /* the schema refuses some by itself */
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
		s = scratch_open(*state);
		b = gen_book();
		assert_int_equal(store_access_load(s, b), r == SQLITE_OK ? -EBADMSG : 0);
		refused += r == SQLITE_OK;
		access_book_free(b);
		store_close(s);
		scratch_wipe(*state);
		free(a);
	}
	assert_in_range(refused, ARRAY_SIZE(harm) - 2, ARRAY_SIZE(harm));
}

static void a_hundred_thousand(void **state)
{
#ifdef __SANITIZE_ADDRESS__
	enum { N = 10000 };
#else
	enum { N = 100000 };
#endif
	struct node_access *a = calloc(N, sizeof(*a));
	struct access_config c = { .scan_ports = 1000000, .scan_peers = 1000000 };
	struct store *s = scratch_open(*state);
	struct access_applied did;
	struct access_book *b;
	int64_t t, first, again, load, open;

	assert_non_null(a);
	assert_int_equal(access_book_new(&c, &b), 0);
	declare(b);
	for (unsigned i = 0; i < N; i++) {
		char addr[24];

		(void)snprintf(addr, sizeof(addr), "198.%u.%u.%u", 18 + i / 62500, i / 250 % 250, 1 + i % 250);
		a[i] = gen(i % 2 ? POD("shop", "web-1") : POD("shop", "rogue"), WORLD(addr), 6, (uint16_t)(i % 7 + 1), 3, 2);
	}
	t = cpu_ms();
	assert_int_equal(store_access_commit(s, b, a, N, NULL, 0, T0 + 2 * S, &did), 0);
	first = cpu_ms() - t;
	assert_int_equal(did.changed, N);
	assert_int_equal(access_book_count(b), N);
	t = cpu_ms();
	assert_int_equal(store_access_commit(s, b, a, N, NULL, 0, T0 + 4 * S, &did), 0);
	again = cpu_ms() - t;
	assert_int_equal(did.unchanged, N);
	access_book_free(b);
	store_close(s);
	t = cpu_ms();
	s = scratch_open(*state);
	open = cpu_ms() - t;
	t = cpu_ms();
	assert_int_equal(access_book_new(&c, &b), 0);
	assert_int_equal(store_access_load(s, b), 0);
	load = cpu_ms() - t;
	print_message("  %u accesses: commit %lld ms, unchanged %lld ms, open %lld ms, load %lld ms (CPU)\n", (unsigned)N,
		      (long long)first, (long long)again, (long long)open, (long long)load);
	assert_int_equal(gen_total_flows(b), 3 * N);
#ifndef __SANITIZE_ADDRESS__
	assert_in_range(first, 0, 3000);
	assert_in_range(again, 0, 300);
#endif
	access_book_free(b);
	store_close(s);
	free(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_trip, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(settled_epochs_stay_settled, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(decisions_ride_on_changes, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(full_disk, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(random_drains, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(killed_daemons_lose_and_double_nothing, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(the_same_while_scans_fold, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(damaged_rows_are_refused, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(an_older_file_is_brought_up, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(a_hundred_thousand, scratch_make, scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
