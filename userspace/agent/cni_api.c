/* SPDX-License-Identifier: Apache-2.0 */
/* cni_api.c - the plugin's requests. */
#include <errno.h>
#include <string.h>

#define LOG_UNIT "cni"
#include "agent/cni_priv.h"
#include "base/cleanup.h"
#include "base/log.h"

#define STATUS_WAITS_MAX 100u

static int body(const struct http_request *rq, struct fail_list *f, cJSON **ret)
{
	return json_parse(rq->body, rq->body_len, "body", f, ret);
}

static void reply_ok(struct http_exchange *x)
{
	static const char ok[] = "{\"kind\":\"CNIAttachment\"}";

	http_reply_text(x, 200, "application/json", ok, sizeof(ok) - 1);
}

static void on_add(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct cni_attachment *at = calloc(1, sizeof(*at)), *old;
	struct agent *a = arg;
	int r = at ? body(rq, &f, &o) : -ENOMEM;

	r = r ?: cni_attachment_read(o, &f, at);
	if (r) {
		free(at);
		http_reply_fails(x, http_status_of(r), &f);
		return;
	}
	/* Asked again, by an agent's restart in the middle: the newest question is answered. */
	old = cni_find(a, at->id, at->ifname);
	r = cni_put(a, at);
	if (old)
		cni_drop(a, old);
	if (r) {
		cni_attachment_free(at);
		http_reply_fail(x, http_status_of(r), "cni.too-many", NULL, NULL, NULL, "there are too many attachments");
		return;
	}
	r = cni_attach(a, at, true, &f); /* the runtime starts nothing before it is answered */
	if (r) {
		cni_drop(a, at);
		http_reply_fails(x, http_status_of(r), &f);
		return;
	}
	http_exchange_hold(x);
	at->x = x;
	agent_cni_kick(a);
}

/* The attachment a request speaks of, by its id and interface. */
static int asked(struct agent *a, const struct http_request *rq, struct fail_list *f, struct cni_attachment **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct cni_attachment *at;
	int r = body(rq, f, &o);
	const char *id = json_str(o, "containerID"), *ifname = json_str(o, "ifname");

	if (r)
		return r;
	if (!id || !ifname) {
		(void)fail_add(f, -EINVAL, "cni.field", "containerID, ifname", "strings", NULL,
			       "the field is missing or has a wrong value");
		return -EINVAL;
	}
	at = cni_find(a, id, ifname);
	if (!at) {
		(void)fail_add(f, -ENOENT, "cni.unknown", id, NULL, NULL, "no such attachment was made here");
		return -ENOENT;
	}
	*ret = at;
	return 0;
}

static void on_del(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	struct cni_attachment *at = NULL;
	int r = asked(arg, rq, &f, &at);

	if (!r)
		cni_drop(arg, at);
	/* Gone already is what was wanted. */
	if (r && r != -ENOENT)
		http_reply_fails(x, http_status_of(r), &f);
	else
		reply_ok(x);
}

static void on_check(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	static const struct { const char *name, *text; } why[] = {
		[CNI_WAITS] = { "cni.waits", "the interface is being attached" },
		[CNI_SUPERSEDED] = { "cni.superseded", "another sandbox has taken the workload's name" },
		[CNI_NO_INTERFACE] = { "cni.no-interface", "there is no such interface in the sandbox" },
		[CNI_FAILED] = { "cni.attach", "the interface could not be attached" },
		[CNI_ADDRESSES] = { "cni.addresses", "an address of the workload is not known as its own" },
	};
	auto_cleanup(fail_list_done) struct fail_list f = { };
	struct cni_attachment *at = NULL;
	int r = asked(arg, rq, &f, &at);
	enum cni_state s;
	struct cni_view v;

	if (r) {
		http_reply_fails(x, http_status_of(r), &f);
		return;
	}
	s = cni_look(arg, at, &v);
	/* Unresolved, or where no hook can judge: as configured, and shown as what it is. */
	if (s == CNI_STANDS || s == CNI_UNRESOLVED || s == CNI_NOT_GUARDED)
		reply_ok(x);
	else
		http_reply_fail(x, 409, why[s].name, at->ifname, NULL, NULL, "%s", why[s].text);
}

static bool is_valid(const cJSON *list, const struct cni_attachment *at)
{
	const cJSON *i;

	cJSON_ArrayForEach(i, list) {
		const char *id = json_str(i, "containerID"), *ifname = json_str(i, "ifname");

		if (id && ifname && !strcmp(id, at->id) && !strcmp(ifname, at->ifname))
			return true;
	}
	return false;
}

static void on_gc(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct agent *a = arg;
	int r = body(rq, &f, &o);
	const char *network = json_str(o, "network");
	const cJSON *valid = json_get(o, "valid");
	size_t n = 0;

	if (!r && (!network || !cJSON_IsArray(valid))) {
		(void)fail_add(&f, -EINVAL, "cni.field", "network, valid", "a string and a list", NULL,
			       "the field is missing or has a wrong value");
		r = -EINVAL;
	}
	if (r) {
		http_reply_fails(x, http_status_of(r), &f);
		return;
	}
	for (size_t i = a->cni->n; i-- > 0;) {
		struct cni_attachment *at = a->cni->v[i];

		/* An ADD that waits is newer than the runtime's list. */
		if (strcmp(at->network, network) || at->x || is_valid(valid, at))
			continue;
		cni_forget(a, at->id, at->ifname);
		cni_drop(a, at);
		n++;
	}
	if (n)
		log_info("%zu attachments collected; network='%s'", n, network);
	reply_ok(x);
}

/* What an ADD that is not answered yet waits for. */
static void put_wait(struct agent *a, const struct cni_attachment *at, cJSON *to)
{
	struct cni_view v;
	enum cni_state s = cni_look(a, at, &v);
	const char *why = agent_former_pending(a) ? "takeover" :
			  s == CNI_ADDRESSES ? "addresses" : s == CNI_UNRESOLVED ? "identity" :
			  s == CNI_NO_INTERFACE || (v.w && v.w->scans <= at->scans) ? "interface" :
			  s == CNI_WAITS ? "attach" : "answer";
	uint64_t since_ms = (agent_mono_ns() - at->asked_ns) / 1000000;
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "namespace", at->ns);
	cJSON_AddStringToObject(o, "name", at->name);
	cJSON_AddStringToObject(o, "ifname", at->ifname);
	cJSON_AddStringToObject(o, "for", why);
	cJSON_AddNumberToObject(o, "sinceMs", (double)since_ms);
	cJSON_AddItemToArray(to, o);
}

static void on_status(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *waits = cJSON_CreateArray();
	struct agent *a = arg;
	const struct agent_cni *c = a->cni;
	uint64_t mean_us = c->adds ? c->total_ns / c->adds / 1000 : 0, max_us = c->max_ns / 1000;
	size_t waiting = 0;

	(void)rq;
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->x && waiting++ < STATUS_WAITS_MAX)
			put_wait(a, c->v[i], waits);
	cJSON_AddStringToObject(o, "kind", "CNIStatus");
	cJSON_AddBoolToObject(o, "policy", a->first_commit_ns != 0);
	cJSON_AddNumberToObject(o, "attachments", (double)c->n);
	cJSON_AddNumberToObject(o, "waiting", (double)waiting);
	cJSON_AddNumberToObject(o, "adds", (double)c->adds);
	cJSON_AddNumberToObject(o, "failed", (double)c->failed);
	cJSON_AddNumberToObject(o, "unresolved", (double)c->unresolved);
	cJSON_AddNumberToObject(o, "meanUs", (double)mean_us);
	cJSON_AddItemToObject(o, "waits", waits);
	cJSON_AddNumberToObject(o, "maxUs", (double)max_us);
	http_reply_json(x, 200, o);
}

int agent_cni_routes(struct agent *a, struct http_server *srv)
{
	static const struct http_route routes[] = {
		{ HTTP_POST, "/v1/cni/add", on_add, HTTP_R_WRITE },
		{ HTTP_POST, "/v1/cni/del", on_del, HTTP_R_WRITE },
		{ HTTP_POST, "/v1/cni/check", on_check, HTTP_R_WRITE },
		{ HTTP_POST, "/v1/cni/gc", on_gc, HTTP_R_WRITE },
		{ HTTP_GET, "/v1/cni/status", on_status, 0 },
	};

	return a->cni ? http_server_routes(srv, routes, ARRAY_SIZE(routes), a) : 0;
}
