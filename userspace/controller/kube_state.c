/* SPDX-License-Identifier: Apache-2.0 */
/* kube_state.c - how it stands: the status of the objects there, and what `cellwall status` says. */
#define LOG_UNIT "kubernetes"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strparse.h"
#include "controller/kube_hook.h"
#include "controller/kube_priv.h"

static const char *const type_word[2] = { "Accepted", "InForce" };

struct condition { char status; const char *reason; char *message; };

/* ---- nodes ------------------------------------------------------------------------------------------ */

struct answers { struct { uint64_t generation; bool refused; } *v; size_t n, cap; };

static int add_node(void *arg, const struct node_status *n)
{
	struct answers *a = arg;
	__typeof__(*a->v) one = { .generation = n->generation, .refused = n->standing == NODE_REFUSED };

	return vec_push(a, one);
}

static int answers(const struct controller *c, struct answers *a)
{
	__typeof__(*a->v) one = { .generation = c->in_sync ? c->receipt.generation : 0, .refused = c->sync_error != NULL };

	if (!c->ops->nodes)
		return vec_push(a, one);
	return c->ops->nodes(c->node, add_node, a);
}

struct acks { size_t total, acknowledged, failed; };

static struct acks acks_of(const struct answers *a, uint64_t generation)
{
	struct acks s = { .total = a->n };

	for (size_t i = 0; i < a->n; i++) {
		bool has = a->v[i].generation >= generation;

		s.acknowledged += has && !a->v[i].refused;
		s.failed += a->v[i].refused;
	}
	return s;
}

/* ---- one object -------------------------------------------------------------------------------------- */

static char *camel(const char *name)
{
	char *s = strdup(name), *to = s;
	bool up = true;

	for (const char *p = name; s && *p; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'))
			*to++ = up && *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
		up = !((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'));
	}
	if (s)
		*to = 0;
	return s;
}

static void accepted(const struct kobj *o, struct condition *c)
{
	if (o->invalid) {
		*c = (struct condition){ 'F', "Invalid", text_fmt("%s%s", o->fault ? o->fault : "it cannot be read",
								 o->hash ? "; the former version stays in force" : "") };
	} else if (o->refused) {
		*c = (struct condition){ 'F', NULL, strdup(o->refused) };
	} else {
		*c = (struct condition){ 'T', "Valid", strdup(o->fault ? o->fault : "it is understood") };
	}
}

static void in_force(const struct kube *k, const struct kobj *o, uint64_t here, const struct acks *a,
		     struct condition *c)
{
	uint64_t window = k->c->window.generation;
	char t[32];

	if (o->held && o->held == o->hash) {
		bool back = o->held_why && !strcmp(o->held_why, "Reverted");

		*c = (struct condition){ 'F', o->held_why ? o->held_why : "Removed",
			text_fmt("%s; change the object to put it in force again",
				 back ? "it was not confirmed in time" :
				 o->held_why && !strcmp(o->held_why, "Expired") ? "its time is over" : "it was taken out of force here") };
	} else if (!here) {
		*c = (struct condition){ 'F', "NotAccepted", strdup("nothing of it is in force") };
	} else if (here != o->hash || o->invalid) {
		*c = (struct condition){ 'F', "FormerVersion", strdup("its former version is in force") };
	} else if (!a->total) {
		*c = (struct condition){ 'U', "NoNodes", strdup("no node is there yet") };
	} else if (a->failed) {
		*c = (struct condition){ 'F', "NodeRefused", text_fmt("%zu of %zu nodes refused it", a->failed, a->total) };
	} else if (a->acknowledged < a->total) {
		*c = (struct condition){ 'U', "Waiting",
					 text_fmt("%zu of %zu nodes have answered", a->acknowledged, a->total) };
	} else if (window && o->window == window) {
		*c = (struct condition){ 'T', "ConfirmWindow",
					 text_fmt("it reverts at %s unless confirmed: cellwall change confirm %llu",
						  time_str(k->c->window.until_ns, t), (unsigned long long)window) };
	} else {
		*c = (struct condition){ 'T', "Acknowledged", text_fmt("every node has it (%zu)", a->total) };
	}
}

/* Without times: two that are equal say the same. */
static cJSON *status_doc(const struct kobj *o, const struct condition c[2], const struct acks *a)
{
	cJSON *s = cJSON_CreateObject(), *arr, *n;

	put_num(s, "observedGeneration", (double)o->meta_generation);
	if (o->came)
		put_num(s, "generation", (double)o->came);
	arr = cJSON_AddArrayToObject(s, "conditions");
	for (int i = 0; i < 2; i++) {
		auto_free char *reason = c[i].reason ? strdup(c[i].reason) : camel(o->refused_name ? o->refused_name : "Refused");
		cJSON *x = cJSON_CreateObject();

		put_str(x, "type", type_word[i]);
		put_str(x, "status", c[i].status == 'T' ? "True" : c[i].status == 'F' ? "False" : "Unknown");
		put_num(x, "observedGeneration", (double)o->meta_generation);
		/* Some servers take an empty text for none, and refuse that. */
		cJSON_AddStringToObject(x, "reason", given(reason) ? reason : "Unknown");
		cJSON_AddStringToObject(x, "message", given(c[i].message) ? c[i].message : "-");
		put_push(arr, x);
	}
	n = cJSON_AddObjectToObject(s, "nodes");
	put_num(n, "total", (double)a->total);
	put_num(n, "acknowledged", (double)a->acknowledged);
	put_num(n, "failed", (double)a->failed);
	put_str(s, "plan", o->plan);
	return s;
}

static uint64_t hash_doc(const cJSON *s)
{
	auto_free char *text = s ? cJSON_PrintUnformatted(s) : NULL;
	uint64_t h = text ? hash_bytes(1, text, strlen(text)) : 0;

	return text && !h ? 1 : h;
}

/* In the order of status_doc(), so that what was written is known again after a restart. */
void kube_status_note(struct kobj *o, const cJSON *obj)
{
	static const char *const fields[] = { "type", "status", "observedGeneration", "reason", "message" };
	static const char *const top[] = { "observedGeneration", "generation", "conditions", "nodes", "plan" };
	static const char *const counts[] = { "total", "acknowledged", "failed" };
	const cJSON *st = json_get(obj, "status"), *x;
	auto_cleanup(cJSON_Deletep) cJSON *copy = cJSON_CreateObject();

	o->conditions[0] = o->conditions[1] = 0;
	for (size_t i = 0; cJSON_IsObject(st) && i < ARRAY_SIZE(top); i++) {
		const cJSON *v = json_get(st, top[i]);
		cJSON *to;

		if (!v)
			continue;
		if (!strcmp(top[i], "nodes")) {
			to = cJSON_AddObjectToObject(copy, top[i]);
			for (size_t j = 0; j < ARRAY_SIZE(counts); j++)
				if (json_get(v, counts[j]))
					put_item(to, counts[j], cJSON_Duplicate(json_get(v, counts[j]), 1));
			continue;
		}
		if (strcmp(top[i], "conditions")) {
			put_item(copy, top[i], cJSON_Duplicate(v, 1));
			continue;
		}
		to = cJSON_AddArrayToObject(copy, top[i]);
		cJSON_ArrayForEach(x, v) {
			const char *type = json_str(x, "type"), *word = json_str(x, "status"), *t = json_str(x, "lastTransitionTime");
			cJSON *one = cJSON_CreateObject();

			for (size_t j = 0; j < ARRAY_SIZE(fields); j++)
				if (json_get(x, fields[j]))
					put_item(one, fields[j], cJSON_Duplicate(json_get(x, fields[j]), 1));
			put_push(to, one);
			for (int j = 0; j < 2; j++) {
				if (!type || !word || strcmp(type, type_word[j]))
					continue;
				o->conditions[j] = *word;
				snprintf(o->times[j], sizeof(o->times[j]), "%s", t && strlen(t) < sizeof(o->times[j]) ? t : "");
			}
		}
	}
	o->status_seen = st ? hash_doc(copy) : 0;
}

struct sending { struct kube *k; struct kobj *o; uint64_t hash; };

static void sent(void *arg, const struct kube_in *in)
{
	struct sending *s = arg;
	struct kube *k = s->k;
	struct kobj *o = s->o;

	k->statuses--;
	o->status_sent = false;
	if (!k->closing) {
		if (k->status_all && k->statuses <= KUBE_STATUSES_MAX / 2)
			kube_pump_soon(k);
		if (!in->err)
			o->status_seen = s->hash;
		else if (in->err != -ENOENT) /* the object went meanwhile */
			o->status_due = k->status_all = true;
		if (in->err && in->err != -ENOENT) {
			if (!str_eq(k->status_error, in->text))
				log_warn(0, "the status of an object is written later; object='%s' reason='%s'", o->name,
					 in->text ? in->text : "");
			k->status_errors++;
			(void)kube_text_set(&k->status_error, in->text); /* only for people */
			o->status_ns = controller_now(k->c) + KUBE_REFUSED_MS * 1000000ll;
		}
		if (kube_obj_idle(o))
			kube_row(k, o);
	}
	free(s);
}

static void stamp(struct kube *k, struct kobj *o, cJSON *st, const struct condition c[2])
{
	cJSON *arr = cJSON_GetObjectItemCaseSensitive(st, "conditions");
	char now[32];

	time_str(controller_now(k->c) / 1000000000ll * 1000000000ll, now);
	for (int i = 0; i < 2; i++) {
		if (o->conditions[i] != c[i].status || !*o->times[i])
			snprintf(o->times[i], sizeof(o->times[i]), "%s", now);
		o->conditions[i] = c[i].status;
		put_str(cJSON_GetArrayItem(arr, i), "lastTransitionTime", o->times[i]);
	}
}

static int send_status(struct kube *k, struct kobj *o, cJSON *st, uint64_t hash)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	struct kube_out out = { .verb = KUBE_STATUS, .kind = o->kind, .ns = o->ns, .name = o->name, .body = body };
	struct sending *s = calloc(1, sizeof(*s));
	int e;

	if (!s || !body || !cJSON_AddItemToObject(body, "status", st)) {
		cJSON_Delete(st);
		free(s);
		return -ENOMEM;
	}
	*s = (struct sending){ k, o, hash };
	o->status_sent = true;
	k->statuses++;
	e = k->ops->send(k->port, &out, sent, s);
	if (e) {
		o->status_sent = false;
		k->statuses--;
		free(s);
	}
	return e;
}

static void status_one(struct kube *k, struct kobj *o, const struct answers *nodes)
{
	struct acks a = acks_of(nodes, o->came);
	struct condition c[2];
	uint64_t hash;
	cJSON *st;

	accepted(o, &c[0]);
	in_force(k, o, kube_local_hash(&k->c->state, NULL, o), &a, &c[1]);
	st = status_doc(o, c, &a);
	hash = hash_doc(st);
	o->status_due = c[1].status == 'U' || a.failed || !hash; /* nodes answer by and by */
	if (hash && hash != o->status_seen) {
		stamp(k, o, st, c);
		k->status_room--;
		if (send_status(k, o, st, hash))
			o->status_due = true;
	} else {
		cJSON_Delete(st);
	}
	free(c[0].message);
	free(c[1].message);
}

/* What people changed comes before what was written here, and the newest first: somebody waits for it. */
static int by_urgency(const void *a, const void *b)
{
	const struct kobj *x = *(struct kobj *const *)a, *y = *(struct kobj *const *)b;

	if (x->ours != y->ours)
		return x->ours ? 1 : -1;
	return x->changed < y->changed ? 1 : x->changed > y->changed ? -1 : 0;
}

/* Some of the rate is left for what a person changes in the same second. */
static bool status_room(const struct kube *k, const struct kobj *o)
{
	return k->status_room > (o->ours ? KUBE_STATUS_SPARE : 0) && k->statuses < KUBE_STATUSES_MAX;
}

void kube_status_pump(struct kube *k)
{
	int64_t now = controller_now(k->c);
	struct answers nodes = {};
	struct kobjs due = {};
	const void *key;
	size_t it = 0, len;
	void *v;

	if (k->closing || !k->ready || !k->status_all || !k->status_room)
		return;
	if (answers(k->c, &nodes)) {
		vec_done(&nodes);
		return;
	}
	k->status_all = false;
	while (htab_next(k->objs, &it, &key, &len, &v)) {
		struct kobj *o = v;

		if (!o->status_due)
			continue;
		if (!o->present || o->kind < CLUSTER_ACCESS_RULE || !kube_followed(k, o->kind)) {
			o->status_due = false;
			continue;
		}
		k->status_all = true;
		if (!o->status_sent && !o->sent && !o->write && !o->todo && o->status_ns <= now && vec_push(&due, o))
			break; /* no memory: the others wait */
	}
	if (due.n > 1)
		qsort(due.v, due.n, sizeof(*due.v), by_urgency);
	for (size_t i = 0; i < due.n && status_room(k, due.v[i]); i++)
		status_one(k, due.v[i], &nodes);
	vec_done(&due);
	vec_done(&nodes);
}

/* ---- `status` ---------------------------------------------------------------------------------------- */

struct lists { cJSON *refused, *waiting, *held; size_t nrefused, nwaiting, nheld; };

static void add(cJSON *arr, size_t *n, const struct kobj *o, const char *error, const char *message)
{
	char ref[700];
	cJSON *x;

	if ((*n)++ >= KUBE_SHOWN_MAX)
		return;
	x = cJSON_CreateObject();
	put_str(x, "object", kube_obj_ref(o, ref));
	put_str(x, "error", error);
	put_str(x, "message", message);
	put_push(arr, x);
}

static void lists(const struct kube *k, struct lists *l)
{
	const void *key;
	size_t it = 0, len;
	void *v;

	while (htab_next(k->objs, &it, &key, &len, &v)) {
		const struct kobj *o = v;

		if (o->fault && (o->invalid || o->present))
			add(l->refused, &l->nrefused, o, o->fault_name, o->fault);
		else if (o->refused)
			add(l->refused, &l->nrefused, o, o->refused_name, o->refused);
		if (o->held && o->present && o->held == o->hash)
			add(l->held, &l->nheld, o, NULL, o->held_why ? o->held_why : "Removed");
		if (o->write)
			add(l->waiting, &l->nwaiting, o, NULL, o->write_error ? o->write_error : "on its way");
	}
}

static void kinds(const struct kube *k, cJSON *o)
{
	cJSON *arr = cJSON_AddArrayToObject(o, "kinds"), *x;
	struct cluster_counts n;

	cluster_counts(k->cluster, &n);
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++) {
		bool on = k->kinds >> i & 1, ours = i >= CLUSTER_ACCESS_RULE;

		if (!on && !ours)
			continue;
		x = cJSON_CreateObject();
		put_str(x, "kind", cluster_kind_str(i));
		put_num(x, "objects", (double)n.objects[i]);
		put_str(x, "state", !on ? "not-served" : k->lost >> i & 1 ? "lost" : k->listed >> i & 1 ? "synced" : "listing");
		put_push(arr, x);
	}
	put_num(o, "workloads", (double)n.workloads);
	put_num(o, "contested", (double)n.contested);
	put_num(o, "faults", (double)(n.faults + n.faults_left_out));
}

cJSON *kube_json(const struct kube *k)
{
	struct kube_server s = { "", "" };
	struct lists l = {};
	cJSON *o;

	if (!k)
		return NULL;
	o = cJSON_CreateObject();
	k->ops->server(k->port, &s);
	put_str(o, "server", s.address);
	put_str(o, "version", s.version);
	put_str(o, "state", !k->ready ? "syncing" : k->lost_ns ? "lost" : "synced");
	put_time(o, "syncedSince", k->ready_ns);
	if (k->lost_ns) {
		put_time(o, "lostSince", k->lost_ns);
		put_str(o, "reason", k->lost_why);
	}
	put_ms(o, "lagMs", (int64_t)k->lag_ns);
	put_ms(o, "lagMaxMs", (int64_t)k->lag_max_ns);
	put_num(o, "events", (double)k->events);
	put_num(o, "changes", (double)k->changes);
	cJSON_AddBoolToObject(o, "writeRules", k->cfg.write_rules);
	kinds(k, o);
	l.refused = cJSON_AddArrayToObject(o, "refused");
	l.waiting = cJSON_AddArrayToObject(o, "notWritten");
	l.held = cJSON_AddArrayToObject(o, "notInForce");
	lists(k, &l);
	put_num(o, "statusErrors", (double)k->status_errors);
	put_str(o, "statusError", k->status_error);
	put_num(o, "clashes", (double)htab_count(k->clashes));
	put_num(o, "refusedCount", (double)l.nrefused);
	put_num(o, "notWrittenCount", (double)l.nwaiting);
	put_num(o, "notInForceCount", (double)l.nheld);
	return o;
}
