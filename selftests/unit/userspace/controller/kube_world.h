/* SPDX-License-Identifier: Apache-2.0 */
/* kube_world.h - a fake API server behind the controller of fixture.h: it says what a test says, and keeps
 * what it is asked to write until the test answers. */
#pragma once

#include "fixture.h"

#include <unistd.h>

#include "controller/kube_hook.h"
#include "controller/kube_priv.h"

#define SENT_MAX 4096

struct asked {
	enum kube_verb verb;
	enum cluster_kind kind;
	char ns[64], name[254], uid[64];
	cJSON *body;
	kube_done_fn *done;
	void *arg;
	bool open;
};

struct apiserver {
	struct fixture *fx;
	struct kube *k;
	struct asked sent[SENT_MAX];
	size_t n;		/* asked so far; statuses are answered at once and not kept */
	size_t statuses;
	cJSON *last_status;	/* body of the last one */
	char last_status_name[254];
	int version;		/* resourceVersion given last */
	bool no_rules;		/* kubernetes.writeRules: false */
	bool closed;
};

#define KINDS_ALL (1u << CLUSTER_NAMESPACE | 1u << CLUSTER_NODE | 1u << CLUSTER_POD | 1u << CLUSTER_SERVICE | \
		   1u << CLUSTER_NETWORK_POLICY | 1u << CLUSTER_ACCESS_RULE | 1u << CLUSTER_CLUSTER_ACCESS_RULE | \
		   1u << CLUSTER_MODE_PROFILE | 1u << CLUSTER_QUARANTINE)

static int world_send(void *port, const struct kube_out *o, kube_done_fn *done, void *arg)
{
	struct apiserver *s = port;
	struct asked *a;

	if (o->verb == KUBE_STATUS) {
		const struct kube_in in = { .text = "" };

		s->statuses++;
		cJSON_Delete(s->last_status);
		s->last_status = cJSON_Duplicate(o->body, 1);
		snprintf(s->last_status_name, sizeof(s->last_status_name), "%s", o->name);
		done(arg, &in);
		return 0;
	}
	assert_true(s->n < SENT_MAX);
	a = &s->sent[s->n++];
	*a = (struct asked){ .verb = o->verb, .kind = o->kind, .done = done, .arg = arg, .open = true,
			     .body = o->body ? cJSON_Duplicate(o->body, 1) : NULL };
	snprintf(a->ns, sizeof(a->ns), "%s", o->ns ? o->ns : "");
	snprintf(a->name, sizeof(a->name), "%s", o->name);
	snprintf(a->uid, sizeof(a->uid), "%s", o->uid ? o->uid : "");
	return 0;
}

static void world_server(void *port, struct kube_server *ret)
{
	(void)port;
	ret->address = "https://10.96.0.1:443";
	ret->version = "v1.31.0";
}

static inline void asked_done(struct apiserver *s)
{
	for (size_t i = 0; i < s->n; i++)
		cJSON_Delete(s->sent[i].body);
	memset(s->sent, 0, s->n * sizeof(s->sent[0]));
	s->n = 0;
}

static void world_close(void *port, void (*closed)(void *arg), void *arg)
{
	struct apiserver *s = port;

	for (size_t i = 0; i < s->n; i++) {
		const struct kube_in in = { .err = -ECANCELED, .text = "closed" };

		if (s->sent[i].open)
			s->sent[i].done(s->sent[i].arg, &in);
		s->sent[i].open = false;
	}
	s->closed = true;
	closed(arg);
}

static const struct kube_port world_port = { .send = world_send, .server = world_server, .close = world_close };

static inline void world_attach(struct fixture *fx)
{
	struct apiserver *s = fx->more;
	const struct controller_kube_config cfg = { .write_rules = !s->no_rules };

	s->fx = fx;
	s->closed = false;
	asked_done(s);
	assert_int_equal(controller_kube_new(fx->c, &cfg, &world_port, s, &s->k), 0);
}

/* Until nothing waits. */
static inline void rest(struct fixture *fx)
{
	struct apiserver *s = fx->more;

	for (int i = 0; i < 2000; i++) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		if (!uv_is_active((uv_handle_t *)&s->k->timer) && !uv_is_active((uv_handle_t *)&s->k->pump) &&
		    !uv_is_active((uv_handle_t *)&fx->c->push))
			return;
		usleep(1000);
	}
	fail_msg("it does not come to rest");
}

static inline cJSON *parse(const char *text)
{
	auto_free char *copy = strdup(text);
	cJSON *j;

	for (char *p = copy; *p; p++) /* quotes as in YAML are easier to read in C */
		if (*p == '\'')
			*p = '"';
	j = cJSON_Parse(copy);
	if (!j)
		fail_msg("not JSON: %s", text);
	return j;
}

/* Object of a kind; `rest` is what follows metadata, such as "'spec':{...}". */
static inline void there(struct apiserver *s, enum cluster_kind kind, const char *ns, const char *name, const char *uid,
			 const char *meta, const char *more)
{
	static const char *const api[CLUSTER_KIND_COUNT] = {
		[CLUSTER_NETWORK_POLICY] = "networking.k8s.io/v1", [CLUSTER_ACCESS_RULE] = "cellwall.io/v1alpha1",
		[CLUSTER_CLUSTER_ACCESS_RULE] = "cellwall.io/v1alpha1", [CLUSTER_MODE_PROFILE] = "cellwall.io/v1alpha1",
		[CLUSTER_QUARANTINE] = "cellwall.io/v1alpha1",
	};
	auto_free char *text = text_fmt("{'apiVersion':'%s','kind':'%s','metadata':{'name':'%s'%s%s%s,'uid':'%s',"
					"'resourceVersion':'%d','generation':1%s}%s%s}", api[kind] ? api[kind] : "v1",
					cluster_kind_str(kind), name, *ns ? ",'namespace':'" : "", ns, *ns ? "'" : "", uid,
					++s->version, meta, *more ? "," : "", more);
	cJSON *j = parse(text);

	kube_object(s->k, kind, j);
	cJSON_Delete(j);
}

static inline void gone(struct apiserver *s, enum cluster_kind kind, const char *ns, const char *name, const char *uid)
{
	auto_free char *text = text_fmt("{'kind':'%s','metadata':{'name':'%s'%s%s%s,'uid':'%s','resourceVersion':'%d'}}",
					cluster_kind_str(kind), name, *ns ? ",'namespace':'" : "", ns, *ns ? "'" : "", uid,
					++s->version);
	cJSON *j = parse(text);

	kube_gone(s->k, kind, j);
	cJSON_Delete(j);
}

static inline void pod(struct apiserver *s, const char *ns, const char *name, const char *app, const char *ip)
{
	auto_free char *uid = text_fmt("uid-%s-%s", ns, name);
	auto_free char *meta = text_fmt(",'labels':{'app':'%s'},'creationTimestamp':'2026-03-12T08:00:00Z'", app);
	auto_free char *more = text_fmt("'spec':{'nodeName':'n1','containers':[{'name':'c','image':'x'}]},"
					"'status':{'phase':'Running','podIP':'%s','podIPs':[{'ip':'%s'}]}", ip, ip);

	there(s, CLUSTER_POD, ns, name, uid, meta, more);
}

static inline void namespace_is(struct apiserver *s, const char *name, const char *meta)
{
	auto_free char *uid = text_fmt("uid-%s", name);

	there(s, CLUSTER_NAMESPACE, "", name, uid, meta, "");
}

#define RULE_SPEC "'spec':{'action':'block','from':[{'namespace':'shop','labels':{'app':'web'}}],'to':[{'namespace':'data'," \
	"'labels':{'app':'db'}}],'ports':['tcp/5432']}"
#define RULE_SPEC_2 "'spec':{'action':'allow','from':[{'namespace':'shop','labels':{'app':'web'}}],'to':[{'namespace':'data'," \
	"'labels':{'app':'db'}}]}"

/* Pods and namespaces, then whatever `more` says, each kind as a whole list. */
static inline void lists(struct apiserver *s, void (*more)(struct apiserver *s, enum cluster_kind kind))
{
	kube_kinds(s->k, KINDS_ALL);
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++) {
		if (!(KINDS_ALL >> i & 1))
			continue;
		kube_begin(s->k, i);
		if (i == CLUSTER_NAMESPACE) {
			namespace_is(s, "shop", "");
			namespace_is(s, "data", "");
		}
		if (i == CLUSTER_POD) {
			pod(s, "shop", "web-1", "web", "10.20.0.11");
			pod(s, "data", "db-0", "db", "10.20.0.12");
		}
		if (more)
			more(s, i);
		kube_end(s->k, i);
		kube_following(s->k, i, true, "");
	}
	rest(s->fx);
}

/* Answers the write i; the object then is as it was sent, and the watch says so too if `echo`. */
static inline void answer(struct apiserver *s, size_t i, int err, bool echo)
{
	struct asked *a = &s->sent[i];
	cJSON *obj = a->verb == KUBE_APPLY ? cJSON_Duplicate(a->body, 1) : NULL, *meta;
	struct kube_in in = { .err = err, .text = err ? "the server said no" : "" };
	char version[32];

	assert_true(i < s->n && a->open);
	a->open = false;
	if (obj) {
		meta = cJSON_GetObjectItemCaseSensitive(obj, "metadata");
		snprintf(version, sizeof(version), "%d", ++s->version);
		cJSON_DeleteItemFromObjectCaseSensitive(meta, "resourceVersion");
		cJSON_DeleteItemFromObjectCaseSensitive(meta, "uid");
		cJSON_AddStringToObject(meta, "resourceVersion", version);
		cJSON_AddStringToObject(meta, "uid", *a->uid ? a->uid : "uid-made");
		cJSON_AddNumberToObject(meta, "generation", 1);
	}
	in.obj = err ? NULL : obj;
	a->done(a->arg, &in);
	if (echo && obj && !err)
		kube_object(s->k, a->kind, obj);
	cJSON_Delete(obj);
	rest(s->fx);
}

static inline int world_setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	struct apiserver *s = calloc(1, sizeof(*s));

	assert_non_null(fx);
	assert_non_null(s);
	fx->more = s;
	fx->before_start = world_attach;
	snprintf(fx->dir, sizeof(fx->dir), "/tmp/cwt-controller-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	snprintf(fx->store, sizeof(fx->store), "%s/store.db", fx->dir);
	snprintf(fx->inventory, sizeof(fx->inventory), "%s/inventory.yaml", fx->dir);
	assert_int_equal(parse_time_ns("2026-03-12T08:00:00Z", &fx->now), 0);
	fixture_open(fx);
	*state = fx;
	return 0;
}

static inline int world_teardown(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	int e = fixture_teardown(state);

	asked_done(s);
	cJSON_Delete(s->last_status);
	free(s);
	return e;
}

/* A second of the controller's clock. */
static inline void second(struct fixture *fx)
{
	fx->now += SECOND_NS;
	controller_tick(fx->c);
	rest(fx);
}

/* The condition of the status that was written last. */
static inline const char *condition(const struct apiserver *s, int i, const char *field)
{
	const cJSON *c = at(s->last_status, i ? "status.conditions.1" : "status.conditions.0");

	return str_at(c, field);
}
