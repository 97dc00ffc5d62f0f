/* SPDX-License-Identifier: Apache-2.0 */
/* Single objects (apply.h), tokens, certificate requests, discovery: what is sent, and what is made of answers. */
#include "fake_api.h"

#include "kube/apply.h"
#include "kube/base64.h"
#include "kube/csr.h"
#include "kube/discovery.h"
#include "kube/token.h"

/* What the server says to the next request, in order; want: "METHOD target". */
struct step { const char *want, *type, *in_body; int status; const char *body; };

static struct {
	uv_loop_t loop;
	struct fake_api api;
	struct kube_config cfg;
	struct kube_client *c;
	const struct step *steps;
	unsigned step;
	char fault[1024];
	bool done, closed;
	unsigned ndone, dropped;
	int err;
	char text[512], out[4096];
} t;

static void api(struct fake_api *f, struct fake_rq *rq)
{
	const struct step *s = &t.steps[t.step];
	char got[8300];

	(void)f;
	snprintf(got, sizeof(got), "%s %s", rq->method, rq->target);
	if (!s->want || strcmp(got, s->want) || (s->type && strcmp(s->type, rq->type)) ||
	    (s->in_body && !strstr(rq->body, s->in_body)))
		snprintf(t.fault, sizeof(t.fault), "step %u: %.300s [%.100s] %.400s", t.step, got, rq->type, rq->body);
	if (!s->want)
		return;
	t.step++;
	if (s->status)
		fake_reply(rq, s->status, "", s->body);
}

static void start(const struct step *steps)
{
	memset(&t, 0, sizeof(t));
	t.steps = steps;
	uv_loop_init(&t.loop);
	fake_start(&t.api, &t.loop, api, NULL);
	fake_config(&t.api, &t.cfg);
	assert_int_equal(kube_client_new(&t.loop, &t.cfg, NULL, NULL, &t.c), 0);
}

static void on_closed(void *arg)
{
	(void)arg;
	t.closed = true;
}

static void stop(void)
{
	kube_client_close(t.c, on_closed, NULL);
	assert_true(fake_run(&t.loop, &t.closed, 5000));
	fake_stop(&t.api);
	kube_config_done(&t.cfg);
	fake_loop_done(&t.loop);
	assert_string_equal(t.fault, "");
}

static void wait_done(int err)
{
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_string_equal(t.fault, "");
	assert_int_equal(t.err, err);
	t.done = false;
}

/* ---- apply.h ------------------------------------------------------------------------------------------ */

static void paths(void **state)
{
	static const struct { struct kube_ref ref; const char *want; } rows[] = {
		{ { "v1", "pods", NULL, NULL, NULL }, "/api/v1/pods" },
		{ { "v1", "pods", "shop", "web-1", "status" }, "/api/v1/namespaces/shop/pods/web-1/status" },
		{ { "apps/v1", "deployments", "shop", NULL, NULL }, "/apis/apps/v1/namespaces/shop/deployments" },
		{ { "rbac.authorization.k8s.io/v1", "clusterroles", NULL, "system:node", NULL }, "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node" },
		{ { "v1", "pods", NULL, "a?b#c d", NULL }, "/api/v1/pods/a%3Fb%23c%20d" },
		{ { "v1", "pods", NULL, "\xe2\x80\xae", NULL }, "/api/v1/pods/%E2%80%AE" },
		{ { "v1", "pods", "..", "x", NULL }, NULL },
		{ { "v1", "pods", "", "x", NULL }, NULL },
		{ { "v1", "pods", "a/b", "x", NULL }, NULL },
		{ { "v1", "pods", NULL, "%2e%2e", NULL }, NULL },
		{ { "v1", "pods", NULL, NULL, "status" }, NULL },
		{ { "v1/../x", "pods", NULL, "x", NULL }, NULL },
		{ { "../v1", "pods", NULL, "x", NULL }, NULL },
		{ { "apps/", "pods", NULL, "x", NULL }, NULL },
		{ { "/v1", "pods", NULL, "x", NULL }, NULL },
		{ { NULL, "pods", NULL, "x", NULL }, NULL },
		{ { "v1", NULL, NULL, "x", NULL }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *p = NULL;

		assert_int_equal(kube_path_make(&rows[i].ref, &p), rows[i].want ? 0 : -EINVAL);
		assert_true(rows[i].want ? p && !strcmp(p, rows[i].want) : !p);
	}
}

static void on_reply(void *arg, const struct kube_reply *r)
{
	(void)arg;
	t.done = true;
	t.ndone++;
	t.err = r->err;
	snprintf(t.text, sizeof(t.text), "%s", r->a->text);
	snprintf(t.out, sizeof(t.out), "%s", json_str(json_get(r->obj, "metadata"), "name") ?: "");
	if (r->a->refused && r->a->refused->ncauses)
		snprintf(t.out, sizeof(t.out), "%s", r->a->refused->causes[0].field);
}

static void on_dropped(void *arg)
{
	(void)arg;
	t.dropped++;
}

#define RULES "/apis/cellwall.io/v1alpha1/namespaces/shop/accessrules"
#define RULE "{\"apiVersion\":\"cellwall.io/v1alpha1\",\"kind\":\"AccessRule\",\"metadata\":{\"name\":\"r\"}}"

static void objects(void **state)
{
	static const struct step steps[] = {
		{ "GET " RULES "/r", "", "", 200, RULE },
		{ "GET " RULES "/r", "", "", 404, "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"code\":404,\"message\":\"not found\"}" },
		{ "GET " RULES "/r", "", "", 200, "[]" },
		{ "POST " RULES "?fieldManager=cellwall", "application/json", "AccessRule", 201, RULE },
		{ "POST " RULES "?fieldManager=cellwall", "application/json", NULL, 409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"code\":409}" },
		{ "PUT " RULES "/r/status?fieldManager=me&dryRun=All", "application/json", NULL, 409, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"code\":409}" },
		{ "PATCH " RULES "/r?fieldManager=cellwall", "application/apply-patch+yaml", NULL, 409,
		  "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"code\":409,\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\",\"field\":\".spec.peers\",\"message\":\"conflict with kubectl\"}]}}" },
		{ "PATCH " RULES "/r/status?fieldManager=cellwall&force=true", "application/apply-patch+yaml", NULL, 200, RULE },
		{ "PATCH " RULES "/r?fieldManager=cellwall", "application/merge-patch+json", "\"x\":null", 200, RULE },
		{ "DELETE " RULES "/r", "", "", 200, "{\"kind\":\"Status\",\"status\":\"Success\",\"metadata\":{}}" },
		{ "DELETE " RULES "/r", "application/json", "\"preconditions\":{\"uid\":\"u-1\",\"resourceVersion\":\"7\"}", 409, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"code\":409}" },
		{ "GET " RULES "/r", "", "", 0, NULL },
		{},
	};
	struct kube_ref ref = { "cellwall.io/v1alpha1", "accessrules", "shop", "r", NULL }, status = ref;
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_Parse(RULE), *patch = cJSON_Parse("{\"x\":null}"), *unnamed = cJSON_Parse("{}");
	struct kube_write w = { .manager = "me", .dry_run = true }, force = { .force = true, .dropped = on_dropped };
	struct kube_call *call;

	(void)state;
	status.sub = "status";
	start(steps);
	assert_int_equal(kube_get(t.c, &ref, on_reply, NULL, NULL), 0);
	wait_done(0);
	assert_string_equal(t.out, "r");
	assert_int_equal(kube_get(t.c, &ref, on_reply, NULL, NULL), 0);
	wait_done(-ENOENT);
	assert_string_equal(t.text, "404 NotFound: not found");
	assert_int_equal(kube_get(t.c, &ref, on_reply, NULL, NULL), 0);
	wait_done(-EBADMSG);
	assert_int_equal(kube_create(t.c, &ref, o, NULL, on_reply, NULL, NULL), 0);
	wait_done(0);
	assert_int_equal(kube_create(t.c, &ref, o, NULL, on_reply, NULL, NULL), 0);
	wait_done(-EEXIST);
	assert_int_equal(kube_replace(t.c, &status, o, &w, on_reply, NULL, NULL), 0);
	wait_done(-EBUSY);
	assert_int_equal(kube_apply(t.c, &ref, o, NULL, on_reply, NULL, NULL), 0);
	wait_done(-EBUSY);
	assert_string_equal(t.out, ".spec.peers");
	assert_int_equal(kube_apply(t.c, &status, o, &force, on_reply, NULL, NULL), 0);
	wait_done(0);
	assert_int_equal(kube_merge(t.c, &ref, patch, NULL, on_reply, NULL, NULL), 0);
	wait_done(0);
	assert_int_equal(kube_delete(t.c, &ref, NULL, NULL, on_reply, NULL, NULL), 0);
	wait_done(0);
	assert_int_equal(kube_delete(t.c, &ref, "u-1", "7", on_reply, NULL, NULL), 0);
	wait_done(-EBUSY);
	/* what cannot be meant is not sent */
	assert_int_equal(kube_apply(t.c, &ref, unnamed, NULL, on_reply, NULL, NULL), -EINVAL);
	ref.api = "v1";
	assert_int_equal(kube_apply(t.c, &ref, o, NULL, on_reply, NULL, NULL), -EINVAL);
	ref.api = "cellwall.io/v1alpha1";
	assert_int_equal(kube_create(t.c, &ref, NULL, NULL, on_reply, NULL, NULL), -EINVAL);
	/* cancelled before and after it is under way, and left to the client's end */
	assert_int_equal(kube_apply(t.c, &ref, o, &force, on_reply, NULL, &call), 0);
	kube_call_cancel(call);
	assert_int_equal(t.dropped, 1);
	assert_int_equal(kube_get(t.c, &ref, on_reply, NULL, NULL), 0);
	fake_run(&t.loop, NULL, 30);
	t.ndone = 0;
	stop();
	assert_int_equal(t.ndone, 1);
	assert_int_equal(t.err, -ECANCELED);
}

/* ---- token.h --------------------------------------------------------------------------------------------- */

static void on_review(void *arg, int err, const char *text, const struct kube_token_user *u)
{
	(void)arg;
	t.done = true;
	t.err = err;
	snprintf(t.text, sizeof(t.text), "%s", text);
	assert_int_equal(err == 0, u != NULL);
	if (u)
		snprintf(t.out, sizeof(t.out), "%s|%s|%zu|%s|%s|%s|%s|%s", u->username, u->uid, u->ngroups, u->pod_name, u->pod_uid,
			 u->node_name, u->namespace_, u->service_account);
}

static void on_token(void *arg, int err, const char *text, const char *token, int64_t expires)
{
	(void)arg;
	t.done = true;
	t.err = err;
	snprintf(t.text, sizeof(t.text), "%s", text);
	snprintf(t.out, sizeof(t.out), "%s %lld", token ?: "", (long long)expires);
}

#define REVIEWS "POST /apis/authentication.k8s.io/v1/tokenreviews?fieldManager=cellwall"
#define REVIEW(status) "{\"kind\":\"TokenReview\",\"status\":" status "}"

static void tokens(void **state)
{
	static const struct { const char *name, *status; int err; const char *out; } rows[] = {
		{ "a bound token", REVIEW("{\"authenticated\":true,\"audiences\":[\"cellwall\"],\"user\":{\"username\":\"system:serviceaccount:ns:agent\",\"uid\":\"u\",\"groups\":[\"a\",\"b\"],"
		  "\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"p\"],\"authentication.kubernetes.io/pod-uid\":[\"pu\"],\"authentication.kubernetes.io/node-name\":[\"n1\"]}}}"), 0, "system:serviceaccount:ns:agent|u|2|p|pu|n1|ns|agent" },
		{ "a person", REVIEW("{\"authenticated\":true,\"audiences\":[\"x\",\"cellwall\"],\"user\":{\"username\":\"admin\"}}"), 0, "admin||0|||||" },
		{ "refused", REVIEW("{\"error\":\"expired\"}"), -EACCES, NULL },
		{ "refused without a word", REVIEW("{}"), -EACCES, NULL },
		{ "not a boolean", REVIEW("{\"authenticated\":\"true\",\"audiences\":[\"cellwall\"],\"user\":{\"username\":\"a\"}}"), -EACCES, NULL },
		{ "another audience", REVIEW("{\"authenticated\":true,\"audiences\":[\"other\"],\"user\":{\"username\":\"a\"}}"), -EACCES, NULL },
		{ "a server without audiences", REVIEW("{\"authenticated\":true,\"user\":{\"username\":\"a\"}}"), -EACCES, NULL },
		{ "nobody", REVIEW("{\"authenticated\":true,\"audiences\":[\"cellwall\"],\"user\":{}}"), -EBADMSG, NULL },
		{ "two pods", REVIEW("{\"authenticated\":true,\"audiences\":[\"cellwall\"],\"user\":{\"username\":\"system:serviceaccount:x\",\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"p\",\"q\"]}}}"), 0, "system:serviceaccount:x||0|||||" },
		{ "no object", "7", -EBADMSG, NULL },
	};
	static const char *const audiences[] = { "cellwall", NULL }, *const none[] = { NULL };
	static const struct step ask[] = {
		{ "POST /api/v1/namespaces/ns/serviceaccounts/agent/token?fieldManager=cellwall", "application/json",
		  "{\"audiences\":[\"cellwall\"],\"expirationSeconds\":3600,\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"p\",\"uid\":\"u\"}}",
		  201, "{\"status\":{\"token\":\"abc\",\"expirationTimestamp\":\"2033-05-18T03:33:20Z\"}}" },
		{ "POST /api/v1/namespaces/ns/serviceaccounts/agent/token?fieldManager=cellwall", NULL, NULL, 201, "{\"status\":{}}" },
		{ "POST /api/v1/namespaces/ns/serviceaccounts/agent/token?fieldManager=cellwall", NULL, NULL, 0, NULL },
		{},
	};
	struct kube_call *call;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct step steps[] = { { REVIEWS, "application/json", "{\"audiences\":[\"cellwall\"],\"token\":\"tok\"}", 201, rows[i].status }, {} };

		print_message("  %s\n", rows[i].name);
		start(steps);
		assert_int_equal(kube_token_review(t.c, "tok", audiences, on_review, NULL, NULL), 0);
		wait_done(rows[i].err);
		if (rows[i].out)
			assert_string_equal(t.out, rows[i].out);
		else
			assert_true(*t.text);
		stop();
	}
	start(ask);
	assert_int_equal(kube_token_review(t.c, "tok", none, on_review, NULL, NULL), -EINVAL);
	assert_int_equal(kube_token_review(t.c, "", audiences, on_review, NULL, NULL), -EINVAL);
	assert_int_equal(kube_token_request(t.c, "ns", "agent", "cellwall", 599, NULL, NULL, on_token, NULL, NULL), -EINVAL);
	assert_int_equal(kube_token_request(t.c, "ns", "agent", "cellwall", 3600, "p", "u", on_token, NULL, NULL), 0);
	wait_done(0);
	assert_string_equal(t.out, "abc 2000000000");
	assert_int_equal(kube_token_request(t.c, "ns", "agent", "cellwall", 3600, NULL, NULL, on_token, NULL, NULL), 0);
	wait_done(-EBADMSG);
	/* cancelled: nothing is left behind */
	assert_int_equal(kube_token_review(t.c, "tok", audiences, on_review, NULL, &call), 0);
	kube_call_cancel(call);
	assert_int_equal(kube_token_request(t.c, "ns", "agent", "cellwall", 3600, NULL, NULL, on_token, NULL, &call), 0);
	fake_run(&t.loop, NULL, 20);
	kube_call_cancel(call);
	assert_false(t.done);
	stop();
}

/* ---- csr.h ------------------------------------------------------------------------------------------------ */

static void on_cert(void *arg, int err, const char *text, const char *pem)
{
	(void)arg;
	t.done = true;
	t.err = err;
	snprintf(t.text, sizeof(t.text), "%s", text);
	snprintf(t.out, sizeof(t.out), "%s", pem ?: "");
}

#define CSRS "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define MADE "{\"kind\":\"CertificateSigningRequest\",\"apiVersion\":\"certificates.k8s.io/v1\",\"metadata\":{\"name\":\"cw-abc\",\"resourceVersion\":\"5\"},\"spec\":{\"signerName\":\"a/b\"},\"status\":{}}"
#define WITH(status) "{\"metadata\":{\"name\":\"cw-abc\"},\"status\":" status "}"
#define CERT "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define CERT64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define CREATE { "POST " CSRS "?fieldManager=cellwall", "application/json", "\"generateName\":\"cw-\"", 201, MADE }
#define LOOK(status) { "GET " CSRS "/cw-abc", "", NULL, 200, WITH(status) }
#define DROP { "DELETE " CSRS "/cw-abc", "", NULL, 200, "{}" }

static void certificates(void **state)
{
	static const struct { const char *name; bool approve; struct step steps[8]; int err; } rows[] = {
		{ "approved by us", true, { CREATE,
		  { "PUT " CSRS "/cw-abc/approval?fieldManager=cellwall", "application/json", "\"type\":\"Approved\",\"status\":\"True\"", 200, MADE },
		  LOOK("{}"), { "GET " CSRS "/cw-abc", "", NULL, 503, "" }, LOOK("{\"certificate\":\"" CERT64 "\"}"), DROP }, 0 },
		{ "approved by others", false, { CREATE, LOOK("{\"conditions\":[{\"type\":\"Approved\"}],\"certificate\":\"" CERT64 "\"}"), DROP }, 0 },
		{ "denied", false, { CREATE, LOOK("{\"conditions\":[{\"type\":\"Denied\",\"message\":\"no\"}]}"), DROP }, -EACCES },
		{ "signer failed", false, { CREATE, LOOK("{\"conditions\":[{\"type\":\"Failed\"}]}"), DROP }, -EKEYREJECTED },
		{ "no certificate in it", false, { CREATE, LOOK("{\"certificate\":\"aGVsbG8=\"}"), DROP }, -EBADMSG },
		{ "may not create", false, { { "POST " CSRS "?fieldManager=cellwall", NULL, NULL, 403, "{}" } }, -EACCES },
		{ "may not approve", true, { CREATE, { "PUT " CSRS "/cw-abc/approval?fieldManager=cellwall", NULL, NULL, 403, "{}" }, DROP }, -EACCES },
		{ "nobody signs", false, { CREATE, LOOK("{}"), LOOK("{}"), LOOK("{}"), LOOK("{}"), LOOK("{}"), LOOK("{}"), LOOK("{}") }, -ETIMEDOUT },
	};
	static const char *const usages[] = { "client auth", "digital signature", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_csr_spec spec = { .prefix = "cw-", .request_pem = "-----BEGIN CERTIFICATE REQUEST-----\n", .signer = "a/b",
					      .usages = usages, .lifetime_s = 3600, .approve = rows[i].approve, .poll_ms = 10,
					      .timeout_ms = rows[i].err == -ETIMEDOUT ? 45 : 5000 };
		struct step steps[ARRAY_SIZE(rows[i].steps) + 1] = {};
		struct kube_csr *r;

		print_message("  %s\n", rows[i].name);
		memcpy(steps, rows[i].steps, sizeof(rows[i].steps));
		start(steps);
		assert_int_equal(kube_csr_new(t.c, &spec, on_cert, NULL, &r), 0);
		if (rows[i].err == -ETIMEDOUT) { /* how often it looks is not told */
			assert_true(fake_run(&t.loop, &t.done, 5000));
			assert_int_equal(t.err, -ETIMEDOUT);
			fake_run(&t.loop, NULL, 20);
			t.fault[0] = '\0';
		} else {
			wait_done(rows[i].err);
			assert_string_equal(t.out, rows[i].err ? "" : CERT);
			for (int k = 0; k < 300 && t.steps[t.step].want; k++) /* and takes it away */
				fake_run(&t.loop, NULL, 10);
			assert_null(t.steps[t.step].want);
		}
		assert_true(rows[i].err ? *t.text : !*t.text);
		stop();
	}
	{
		static const struct step steps[] = { CREATE, LOOK("{}"), LOOK("{}"), LOOK("{}"), LOOK("{}"), LOOK("{}"), {} };
		struct kube_csr_spec spec = { .prefix = "cw-", .request_pem = "x", .signer = "a/b", .usages = usages };
		struct kube_csr *r;

		start(steps);
		assert_int_equal(kube_csr_new(t.c, &spec, on_cert, NULL, &r), 0);
		kube_csr_cancel(r);
		fake_run(&t.loop, NULL, 20);
		assert_false(t.done);
		kube_csr_cancel(NULL);
		spec.lifetime_s = 5;
		assert_int_equal(kube_csr_new(t.c, &spec, on_cert, NULL, &r), -EINVAL);
		spec.lifetime_s = 0;
		spec.signer = "none";
		assert_int_equal(kube_csr_new(t.c, &spec, on_cert, NULL, &r), -EINVAL);
		stop();
	}
}

/* ---- discovery.h -------------------------------------------------------------------------------------------- */

static const struct kube_discovery *found;
static unsigned changes;

static void on_changed(void *arg, const struct kube_discovery *d)
{
	(void)arg;
	found = d;
	changes++;
	t.done = true;
	t.err = 0;
}

static void on_fault(void *arg, int err, const char *text)
{
	(void)arg;
	assert_true(*text);
	t.err = err;
	t.ndone++;
}

#define VERSION { "GET /version", "", "", 200, "{\"major\":\"1\",\"minor\":\"20+\",\"gitVersion\":\"v1.20.2\"}" }
#define CORE { "GET /api", "", "", 200, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}" }
#define GROUPS(more) { "GET /apis", "", "", 200, "{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":\"apps\",\"versions\":[{\"groupVersion\":\"apps/v1\"}]}," \
		 "{\"name\":\"discovery.k8s.io\",\"versions\":[{\"groupVersion\":\"discovery.k8s.io/v1beta1\"}]}" more "]}" }
#define CELLWALL ",{\"name\":\"cellwall.io\",\"versions\":[{\"groupVersion\":\"cellwall.io/v1alpha1\"}]}"

static void discovery(void **state)
{
	static const struct step steps[] = {
		{ "GET /version", "", "", 403, "{}" },
		VERSION, CORE, { "GET /apis", "", "", 200, "{\"groups\":7}" },
		VERSION, CORE, GROUPS(""), { "GET /api/v1", "", "", 200, "{\"resources\":[{\"name\":\"pods\"},{\"name\":\"pods/status\"},{},7]}" },
		/* a CRD appears, its group is not ready yet, then it is */
		VERSION, CORE, GROUPS(CELLWALL), { "GET /apis/cellwall.io/v1alpha1", "", "", 503, "" }, { "GET /api/v1", "", "", 200, "{\"resources\":[{\"name\":\"pods\"},{\"name\":\"pods/status\"}]}" },
		VERSION, CORE, GROUPS(CELLWALL), { "GET /apis/cellwall.io/v1alpha1", "", "", 200, "{\"resources\":[{\"name\":\"accessrules\"}]}" }, { "GET /api/v1", "", "", 200, "{\"resources\":[{\"name\":\"pods\"},{\"name\":\"pods/status\"}]}" },
		VERSION, CORE, GROUPS(CELLWALL), { "GET /apis/cellwall.io/v1alpha1", "", "", 200, "{\"resources\":[{\"name\":\"accessrules\"}]}" }, { "GET /api/v1", "", "", 200, "{\"resources\":[{\"name\":\"pods/status\"},{\"name\":\"pods\"}]}" },
		{},
	};
	static const char *const of[] = { "cellwall.io/v1alpha1", "v1", NULL };
	static const char *const slices[] = { "discovery.k8s.io/v1", "discovery.k8s.io/v1beta1", NULL }, *const none[] = { "x/v1", NULL };
	const struct kube_discovery_spec spec = { .resources_of = of, .backoff_ms = 5 };
	const struct kube_discovery_ops dops = { on_changed, on_fault };
	struct kube_discoverer *d;

	(void)state;
	changes = 0;
	start(steps);
	assert_int_equal(kube_discoverer_new(t.c, &spec, &dops, NULL, &d), 0);
	wait_done(0);
	assert_int_equal(t.ndone, 2); /* faults before that */
	assert_true(kube_discovery_has(found, "v1", NULL));
	assert_true(kube_discovery_has(found, "v1", "pods/status"));
	assert_false(kube_discovery_has(found, "v1", "nodes"));
	assert_true(kube_discovery_has(found, "apps/v1", NULL));
	assert_false(kube_discovery_has(found, "apps/v1", "deployments")); /* not asked for */
	assert_false(kube_discovery_has(found, "cellwall.io/v1alpha1", NULL));
	assert_string_equal(kube_discovery_best(found, slices), "discovery.k8s.io/v1beta1");
	assert_null(kube_discovery_best(found, none));
	assert_string_equal(kube_discovery_version(found), "v1.20.2");
	assert_int_equal(kube_discovery_minor(found), 20);
	kube_discoverer_refresh(d);
	wait_done(0);
	assert_true(kube_discovery_has(found, "cellwall.io/v1alpha1", NULL));
	assert_false(kube_discovery_has(found, "cellwall.io/v1alpha1", "accessrules"));
	kube_discoverer_refresh(d);
	fake_run(&t.loop, NULL, 2);
	kube_discoverer_refresh(d); /* while one runs: another round after it */
	wait_done(0);
	assert_true(kube_discovery_has(found, "cellwall.io/v1alpha1", "accessrules"));
	for (int i = 0; i < 200 && steps[t.step].want; i++)
		fake_run(&t.loop, NULL, 10);
	fake_run(&t.loop, NULL, 20);
	assert_int_equal(changes, 3); /* the same again is no change */
	kube_discoverer_close(d);
	kube_discoverer_close(NULL);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(objects),
		cmocka_unit_test(tokens),
		cmocka_unit_test(certificates),
		cmocka_unit_test(discovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
