/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_api.h"

#include <malloc.h>

#include "kube/watch.h"

/* What the server does with the next request. */
struct step {
	const char *want;     /* the query; "watch": any watch; "list0": the first list from version 0 */
	int status;	      /* of the answer; 0: the connection is broken; -1: silence */
	const char *body;
	bool stream, end;     /* a stream (one byte a chunk), and whether it ends */
};

#define LIST(rv, items) "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv "\"},\"items\":[" items "]}"
#define PAGE(rv, cont, items) "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv "\",\"continue\":\"" cont "\"},\"items\":[" items "]}"
#define POD(name, rv) "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"s\",\"resourceVersion\":\"" rv "\"}}"
#define FULL(name, rv) "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name "\",\"namespace\":\"s\",\"resourceVersion\":\"" rv "\"}}"
#define EVENT(type, obj) "{\"type\":\"" type "\",\"object\":" obj "}\n"
#define GONE "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"too old\",\"reason\":\"Expired\",\"code\":410}"
#define TOO_LARGE "{\"kind\":\"Status\",\"message\":\"Too large resource version\",\"reason\":\"Timeout\",\"code\":504,\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource version\"}],\"retryAfterSeconds\":0}}"
#define LIST0 "resourceVersion=0&limit=500"
#define WATCH(rv) "watch=true&allowWatchBookmarks=true&resourceVersion=" rv "&timeoutSeconds="

static const struct {
	const char *name;
	struct step steps[10];
	const char *want;
	struct kube_watch_counts counts; /* those that are not 0 are compared */
} table[] = {
	{ "list, then events",
	  { { LIST0, 200, LIST("5", POD("a", "3") "," POD("b", "4")), 0, 0 },
	    { WATCH("5"), 200, EVENT("MODIFIED", FULL("a", "6")) EVENT("DELETED", FULL("b", "7")) EVENT("ADDED", FULL("c", "8")), 1, 0 } },
	  "begin a@3 b@4 end synced a@6 -b@7 c@8 ", { .lists = 1, .pages = 1, .watches = 1, .events = 3 } },
	{ "pages",
	  { { LIST0, 200, PAGE("5", "t/1", POD("a", "3")), 0, 0 },
	    { "continue=t%2F1&limit=500", 200, PAGE("5", "t2", POD("b", "3")), 0, 0 },
	    { "continue=t2&limit=500", 200, LIST("5", POD("c", "3")), 0, 0 },
	    { WATCH("5"), -1, NULL, 0, 0 } },
	  "begin a@3 b@3 c@3 end synced ", { .lists = 1, .pages = 3 } },
	{ "bookmarks move the place to resume from",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 200, EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"90\"}}"), 1, 1 },
	    { WATCH("90"), 200, EVENT("ADDED", FULL("a", "91")), 1, 0 } },
	  "begin end synced a@91 ", { .bookmarks = 1, .watches = 2, .lists = 1 } },
	{ "410 as an event: a list of what is true, at once",
	  { { LIST0, 200, LIST("5", POD("a", "3")), 0, 0 },
	    { WATCH("5"), 200, EVENT("ERROR", GONE), 1, 1 },
	    { "limit=500", 200, LIST("50", POD("b", "49")), 0, 0 },
	    { WATCH("50"), -1, NULL, 0, 0 } },
	  "begin a@3 end synced begin b@49 end ", { .expired = 1, .lists = 2 } },
	{ "410 as a status",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 410, GONE, 0, 0 },
	    { "limit=500", 200, LIST("50", ""), 0, 0 },
	    { WATCH("50"), -1, NULL, 0, 0 } },
	  "begin end synced begin end ", { .expired = 1 } },
	{ "410 of a page: the list begins again",
	  { { LIST0, 200, PAGE("5", "t1", POD("a", "3")), 0, 0 },
	    { "continue=t1&limit=500", 410, GONE, 0, 0 },
	    { "limit=500", 200, LIST("9", POD("b", "8")), 0, 0 },
	    { WATCH("9"), -1, NULL, 0, 0 } },
	  "begin a@3 begin b@8 end synced ", { .expired = 1, .lists = 2, .pages = 3 } },
	{ "410 for ever is not hammered, and ends",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 410, GONE, 0, 0 },
	    { "limit=500", 200, LIST("6", ""), 0, 0 },
	    { WATCH("6"), 410, GONE, 0, 0 },
	    { "limit=500", 200, LIST("7", ""), 0, 0 },
	    { WATCH("7"), -1, NULL, 0, 0 } },
	  "begin end synced begin end begin end ", { .expired = 2 } },
	{ "a server behind the others",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 404, "{\"kind\":\"Status\",\"code\":404,\"reason\":\"NotFound\",\"message\":\"x\"}", 0, 0 },
	    { "limit=500", 504, TOO_LARGE, 0, 0 },
	    { "limit=500", 200, LIST("4", ""), 0, 0 },
	    { WATCH("4"), -1, NULL, 0, 0 } },
	  "begin end synced lost:ENOENT begin lost:EAGAIN begin end synced ", { .lists = 3 } },
	{ "broken in the middle of a list",
	  { { LIST0, 200, "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" POD("a", "1") ",{\"meta", 1, 0 },
	    { "", 0, NULL, 0, 0 },
	    { LIST0, 200, LIST("5", POD("a", "1")), 0, 0 },
	    { WATCH("5"), -1, NULL, 0, 0 } },
	  NULL, {} },
	{ "truncated list",
	  { { LIST0, 200, "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" POD("a", "1"), 0, 0 },
	    { LIST0, 200, LIST("5", POD("a", "1")), 0, 0 },
	    { WATCH("5"), -1, NULL, 0, 0 } },
	  "begin a@1 lost:EBADMSG begin a@1 end synced ", { .malformed = 1 } },
	{ "a list of another kind",
	  { { LIST0, 200, "{\"kind\":\"SecretList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" POD("a", "1") "]}", 0, 0 },
	    { LIST0, 200, "{\"kind\":\"Status\",\"status\":\"Success\"}", 0, 0 },
	    { LIST0, 200, "<html>", 0, 0 },
	    { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), -1, NULL, 0, 0 } },
	  "begin lost:EBADMSG begin begin begin end synced ", { .malformed = 3 } },
	{ "a list without a version",
	  { { LIST0, 200, "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[]}", 0, 0 },
	    { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), -1, NULL, 0, 0 } },
	  "begin lost:EBADMSG begin end synced ", {} },
	{ "hostile names and wrong objects in a list",
	  { { LIST0, 200, LIST("5", "{\"metadata\":{\"name\":\"../x\"}},{\"metadata\":{\"name\":\"a\\nb\"}},{\"metadata\":{\"name\":7}},{},"
			     "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"q\"}},{\"metadata\":{\"name\":\"r\",\"namespace\":[]}},"
			     "{\"metadata\":{\"name\":\"..\"}},{\"metadata\":{\"name\":\"\xe2\x80\xae\"}}," POD("good", "1")), 0, 0 },
	    { WATCH("5"), -1, NULL, 0, 0 } },
	  "begin skip:/ skip:/ skip:/ skip:/ skip:/q skip:/r skip:/ skip:/ good@1 end synced ", { .skipped = 8 } },
	{ "an oversized object is told by name",
	  { { LIST0, 200, LIST("5", "{\"metadata\":{\"name\":\"fat\",\"namespace\":\"s\"},\"x\":\"0123456789012345678901234567890123456789"
			     "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
			     "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"}," POD("a", "1")), 0, 0 },
	    { WATCH("5"), -1, NULL, 0, 0 } },
	  "begin skip:s/fat a@1 end synced ", { .skipped = 1 } },
	{ "a malformed event: resumed, then listed again",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 200, EVENT("ADDED", FULL("a", "6")) "{\"type\":\"ADDED\",]", 1, 1 },
	    { WATCH("6"), 200, EVENT("ADDED", "{\"a\":01}"), 1, 1 },
	    { WATCH("6"), 200, EVENT("WHAT", FULL("x", "7")), 1, 1 },
	    { WATCH("7"), 200, "garbage", 1, 1 },
	    { WATCH("7"), 200, EVENT("ADDED", "5"), 1, 1 },
	    { "limit=500", 200, LIST("9", ""), 0, 0 },
	    { WATCH("9"), -1, NULL, 0, 0 } },
	  NULL, { .malformed = 5, .lists = 2 } },
	{ "the server ends a watch: nothing is lost",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 200, EVENT("ADDED", FULL("a", "6")), 1, 1 },
	    { WATCH("6"), 200, "", 1, 1 }, /* at once and empty: with back-off */
	    { WATCH("6"), 200, EVENT("ADDED", FULL("b", "7")), 1, 0 } },
	  "begin end synced a@6 b@7 ", { .watches = 3 } },
	{ "cut off (asked again at once), refused, back",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 0, NULL, 0, 0 },
	    { WATCH("5"), 403, "{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\",\"message\":\"no\"}", 0, 0 },
	    { WATCH("5"), 200, EVENT("ADDED", FULL("a", "6")), 1, 0 } },
	  "begin end synced lost:EACCES synced a@6 ", { .lists = 1 } },
	{ "a stalled watch",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 200, EVENT("ADDED", FULL("a", "6")), 1, 0 },
	    { WATCH("6"), 200, EVENT("ADDED", FULL("b", "7")), 1, 0 } },
	  "begin end synced a@6 b@7 ", { .stalls = 1, .lists = 1 } },
	{ "an event about a name nobody can have is passed over",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 200, EVENT("ADDED", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a/b\",\"namespace\":\"s\",\"resourceVersion\":\"6\"}}") EVENT("ADDED", FULL("a", "7")), 1, 0 } },
	  "begin end synced skip:s/ a@7 ", { .watches = 1, .skipped = 1 } },
	{ "an event about another kind",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 200, EVENT("ADDED", "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"}}"), 1, 0 },
	    { WATCH("5"), 200, EVENT("ADDED", FULL("a", "7")), 1, 0 } },
	  "begin end synced lost:EBADMSG synced a@7 ", { .malformed = 1 } },
	{ "an error event of another kind",
	  { { LIST0, 200, LIST("5", ""), 0, 0 },
	    { WATCH("5"), 200, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":500,\"message\":\"etcd\"}"), 1, 1 },
	    { WATCH("5"), 200, EVENT("ADDED", FULL("a", "6")), 1, 0 } },
	  "begin end synced lost:EAGAIN synced a@6 ", { .lists = 1 } },
};

static struct {
	uv_loop_t loop;
	struct fake_api api;
	struct kube_config cfg;
	struct kube_client *c;
	struct kube_watch *w;
	const struct step *steps;
	unsigned step, fault;
	char fault_text[1024];
	struct buf log;
	unsigned close_after; /* closes itself in the n-th object */
	bool closed, silent_end;
} t;

static const char *err_name(int err)
{
	switch (err) {
	case -ENOENT: return "ENOENT";
	case -EAGAIN: return "EAGAIN";
	case -EBADMSG: return "EBADMSG";
	case -EACCES: return "EACCES";
	case -ECONNRESET: return "ECONNRESET";
	case -ECONNREFUSED: return "ECONNREFUSED";
	case -ETIMEDOUT: return "ETIMEDOUT";
	default: return "other";
	}
}

static void api(struct fake_api *f, struct fake_rq *rq)
{
	const struct step *s = &t.steps[t.step];
	char *query = strchr(rq->target, '?');

	(void)f;
	if (!s->want) { /* more than the script has */
		snprintf(t.fault_text, sizeof(t.fault_text), "unexpected %.500s", rq->target);
		t.fault++;
		return;
	}
	t.step++;
	if (strncmp(rq->target, "/api/v1/pods?", 13) || strncmp(query + 1, s->want, strlen(s->want)) ||
	    (strncmp(s->want, "watch", 5) && strcmp(query + 1, s->want))) {
		snprintf(t.fault_text, sizeof(t.fault_text), "step %u: %.500s, not %.200s", t.step, rq->target, s->want);
		t.fault++;
	}
	if (s->status == 0) {
		fake_hang_up(rq->conn);
	} else if (s->stream) {
		fake_stream(rq->conn);
		for (const char *p = s->body; *p; p++)
			fake_stream_add(rq->conn, p, 1);
		if (s->end)
			fake_stream_end(rq->conn);
	} else if (s->status > 0) {
		fake_reply(rq, s->status, "", s->body);
	}
}

static void on_begin(void *arg)
{
	(void)arg;
	buf_adds(&t.log, "begin ");
}

static void on_object(void *arg, const cJSON *o)
{
	const cJSON *m = json_get(o, "metadata");

	(void)arg;
	assert_string_equal(json_str(o, "kind"), "Pod");
	assert_string_equal(json_str(o, "apiVersion"), "v1");
	assert_string_equal(json_str(m, "namespace"), "s");
	buf_printf(&t.log, "%s@%s ", json_str(m, "name"), json_str(m, "resourceVersion"));
	if (t.close_after && !--t.close_after) {
		kube_watch_close(take_ptr(t.w));
		t.closed = true;
	}
}

static void on_gone(void *arg, const cJSON *o)
{
	buf_adds(&t.log, "-");
	on_object(arg, o);
}

static void on_end(void *arg)
{
	(void)arg;
	buf_adds(&t.log, "end ");
}

static void on_state(void *arg, enum kube_watch_state s, int err, const char *text)
{
	(void)arg;
	assert_int_equal(s == KUBE_WATCH_SYNCED, err == 0);
	assert_int_equal(s == KUBE_WATCH_SYNCED, !*text);
	if (s == KUBE_WATCH_SYNCED)
		buf_adds(&t.log, "synced ");
	else
		buf_printf(&t.log, "lost:%s ", err_name(err));
}

static void on_skipped(void *arg, const char *ns, const char *name, int err)
{
	(void)arg;
	assert_true(err < 0);
	buf_printf(&t.log, "skip:%s/%s ", ns, name);
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static const struct kube_watch_ops ops = { on_begin, on_object, on_gone, on_end, on_state, on_skipped };

static void start(const struct step *steps, uint32_t stall_ms)
{
	const struct kube_watch_spec spec = { .path = "/api/v1/pods", .kind = "Pod", .api_version = "v1",
					      .item_max = 300, .stall_ms = stall_ms, .backoff_ms = 8 };

	memset(&t, 0, sizeof(t));
	buf_init(&t.log, 1u << 20);
	t.steps = steps;
	uv_loop_init(&t.loop);
	fake_start(&t.api, &t.loop, api, NULL);
	fake_config(&t.api, &t.cfg);
	assert_int_equal(kube_client_new(&t.loop, &t.cfg, NULL, NULL, &t.c), 0);
	assert_int_equal(kube_watch_new(t.c, &spec, &ops, NULL, &t.w), 0);
}

static void stop(void)
{
	bool closed = false;

	kube_watch_close(t.w);
	kube_client_close(t.c, on_closed, &closed);
	assert_true(fake_run(&t.loop, &closed, 5000));
	fake_stop(&t.api);
	kube_config_done(&t.cfg);
	fake_loop_done(&t.loop);
	buf_done(&t.log);
}

static bool all_steps(void)
{
	return !t.steps[t.step].want;
}

static void scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct kube_watch_counts *c, *w = &table[i].counts;

		print_message("  %s\n", table[i].name);
		start(table[i].steps, w->stalls ? 150 : 10000);
		for (int k = 0; k < 1000 && !t.fault && (!all_steps() || (table[i].want && strcmp(t.log.data ?: "", table[i].want))); k++) {
			fake_run(&t.loop, NULL, 10);
			/* The list that was cut stays open: its connection breaks under it. */
			if (t.steps[t.step].want && !*t.steps[t.step].want) {
				t.step++;
				fake_hang_up(t.api.conns);
			}
		}
		assert_string_equal(t.fault_text, "");
		fake_run(&t.loop, NULL, 40); /* and nothing more */
		assert_string_equal(t.fault_text, "");
		if (table[i].want)
			assert_string_equal(t.log.data, table[i].want);
		c = kube_watch_counts(t.w);
#define SAME(field) do { if (w->field) assert_int_equal(c->field, w->field); } while (0)
		SAME(lists);
		SAME(pages);
		SAME(watches);
		SAME(events);
		SAME(bookmarks);
		SAME(skipped);
		SAME(stalls);
		SAME(expired);
		SAME(malformed);
		assert_true(kube_watch_synced(t.w));
		stop();
	}
}

/* Closed by its owner in the middle of a list, and of a watch. */
static void closing(void **state)
{
	for (unsigned i = 1; i <= 2; i++) {
		start(table[0].steps, 10000);
		t.close_after = i * 2 - 1;
		(void)state;
		assert_true(fake_run(&t.loop, &t.closed, 3000));
		fake_run(&t.loop, NULL, 30);
		assert_string_equal(t.log.data, i == 1 ? "begin a@3 " : "begin a@3 b@4 end synced a@6 ");
		stop();
	}
}

/* The API server is away for a while, also at the start; nothing is lost. */
static void away(void **state)
{
	static const struct step steps[] = {
		{ LIST0, 200, LIST("5", POD("a", "3")), 0, 0 },
		{ WATCH("5"), 200, EVENT("ADDED", FULL("b", "6")), 1, 0 },
		{ WATCH("6"), 200, EVENT("DELETED", FULL("a", "7")), 1, 0 },
		{},
	};

	(void)state;
	start(steps, 10000);
	fake_stop(&t.api);
	for (int k = 0; k < 300 && (t.log.len < 40 || !strstr(t.log.data, "lost")); k++)
		fake_run(&t.loop, NULL, 10);
	assert_memory_equal(t.log.data, "begin lost:ECONNREFUSED begin ", 30);
	assert_null(strstr(t.log.data + 30, "lost")); /* said once */
	t.log.len = 0;
	fake_start(&t.api, &t.loop, api, NULL);
	for (int k = 0; k < 300 && !strstr(t.log.data ?: "", "b@6"); k++)
		fake_run(&t.loop, NULL, 10);
	fake_stop(&t.api);
	for (int k = 0; k < 300 && !strstr(strstr(t.log.data, "b@6"), "lost"); k++)
		fake_run(&t.loop, NULL, 10);
	fake_start(&t.api, &t.loop, api, NULL);
	for (int k = 0; k < 300 && !strstr(t.log.data, "-a@7"); k++)
		fake_run(&t.loop, NULL, 10);
	assert_non_null(strstr(t.log.data, "a@3 end synced b@6 lost:ECONNREFUSED synced -a@7 "));
	stop();
}

static void arguments(void **state)
{
	static const struct kube_watch_spec bad[] = {
		{ .path = NULL, .kind = "Pod", .api_version = "v1" },
		{ .path = "x", .kind = "Pod", .api_version = "v1" },
		{ .path = "/x", .kind = NULL, .api_version = "v1" },
		{ .path = "/x", .kind = "Pod", .api_version = NULL },
		{ .path = "/x", .kind = "Pod", .api_version = "v1", .item_max = JSON_BYTES_MAX },
	};
	struct kube_watch *w = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(kube_watch_new(NULL, &bad[i], &ops, NULL, &w), -EINVAL);
	assert_null(w);
	kube_watch_close(NULL);
}

/* ---- 100,000 pods over the wire: what is held at most ------------------------------------------------ */

#define PODS 100000u

static struct {
	unsigned sent, got;
	size_t before, peak;
	uv_write_t w;
	struct fake_conn *conn;
	char out[65536];
} crowd;

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2(); /* zeros under a sanitizer */

	return m.uordblks + m.hblkhd;
}

static void crowd_more(uv_write_t *w, int status)
{
	size_t n = 0;
	uv_buf_t b;

	(void)w;
	if (status || crowd.sent > PODS)
		return;
	while (n < sizeof(crowd.out) - 2048 && crowd.sent < PODS) {
		n += (size_t)snprintf(crowd.out + n, sizeof(crowd.out) - n,
				      "%s{\"metadata\":{\"name\":\"web-%u\",\"namespace\":\"s\",\"uid\":\"%036u\",\"labels\":{\"app\":\"web\"},"
				      "\"managedFields\":[{\"manager\":\"kubelet\",\"fieldsV1\":{\"f:status\":{\"f:conditions\":{}}}}]},"
				      "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"web:1\",\"args\":[\"%0400d\"]}]},"
				      "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\"}}", crowd.sent ? "," : "", crowd.sent, crowd.sent, 7);
		crowd.sent++;
	}
	if (crowd.sent == PODS) {
		crowd.sent++;
		n += (size_t)snprintf(crowd.out + n, sizeof(crowd.out) - n, "]}");
	}
	b = uv_buf_init(crowd.out, (unsigned)n);
	assert_int_equal(uv_write(&crowd.w, (uv_stream_t *)&crowd.conn->tcp, &b, 1, crowd_more), 0);
}

static void crowd_api(struct fake_api *f, struct fake_rq *rq)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
				   "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[";

	(void)f;
	if (strstr(rq->target, "watch=true"))
		return;
	fake_send(rq->conn, head, strlen(head));
	crowd.conn = rq->conn;
	crowd_more(&crowd.w, 0);
}

static void crowd_object(void *arg, const cJSON *o)
{
	size_t now;

	(void)arg;
	assert_non_null(json_str(json_get(o, "status"), "podIP"));
	if (crowd.got++ % 100 == 0 && (now = in_use()) > crowd.peak)
		crowd.peak = now;
}

static void crowd_end(void *arg)
{
	(void)arg;
	t.closed = true;
}

static void memory(void **state)
{
	static const struct kube_watch_ops crowd_ops = { .object = crowd_object, .end = crowd_end };
	const struct kube_watch_spec spec = { .path = "/api/v1/pods", .kind = "Pod", .api_version = "v1" };

	(void)state;
	memset(&t, 0, sizeof(t));
	memset(&crowd, 0, sizeof(crowd));
	uv_loop_init(&t.loop);
	fake_start(&t.api, &t.loop, crowd_api, NULL);
	fake_config(&t.api, &t.cfg);
	assert_int_equal(kube_client_new(&t.loop, &t.cfg, NULL, NULL, &t.c), 0);
	crowd.before = crowd.peak = in_use();
	assert_int_equal(kube_watch_new(t.c, &spec, &crowd_ops, NULL, &t.w), 0);
	for (int i = 0; i < 6000 && !t.closed; i++) {
		fake_run(&t.loop, &t.closed, 10);
		/* The end of the answer is the end of its connection. */
		if (crowd.sent > PODS && crowd.conn && !uv_stream_get_write_queue_size((uv_stream_t *)&crowd.conn->tcp)) {
			fake_run(&t.loop, &t.closed, 10);
			fake_hang_up(take_ptr(crowd.conn));
		}
	}
	assert_int_equal(crowd.got, PODS);
	print_message("  %zu KiB more than before at most\n", (crowd.peak - crowd.before) >> 10);
	assert_true(crowd.peak - crowd.before < 2u << 20);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts),
		cmocka_unit_test(memory),
		cmocka_unit_test(closing),
		cmocka_unit_test(away),
		cmocka_unit_test(arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
