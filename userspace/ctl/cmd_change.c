/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_change.c - workload add and remove, mode, quarantine. */
#include <string.h>
#include <errno.h>

#include "base/file.h"
#include "ctl/cmd.h"
#include "ctl/grid.h"
#include "policy/model.h"

#define WORKLOADS_BYTES_MAX (8u << 20)

/* ---- workloads ------------------------------------------------------------------------------- */

char *workload_path(struct ctl *c, const char *ref)
{
	const char *a = strchr(ref, '/'), *b = a ? strchr(a + 1, '/') : NULL;
	struct buf out;

	if (!b || !b[1] || strchr(b + 1, '/') || b - a != 4 || memcmp(a, "/pod", 4)) {
		usage_fail(c, "ref.syntax", ref, "NS/pod/NAME", "cellwall workload list", M_E_REF_POD, NULL);
		return NULL;
	}
	buf_init(&out, 65536);
	buf_adds(&out, "/v1/workloads/");
	buf_add(&out, ref, (size_t)(a - ref));
	buf_adds(&out, b);
	return buf_take(&out, NULL);
}

static int labels_add(struct ctl *c, cJSON *w)
{
	auto_free char *text = flag_join(c, FLAG_LABELS);
	struct labels l = {};
	cJSON *o;

	if (!text)
		return 0;
	if (labels_parse(text, &l) < 0)
		return usage_fail(c, "cli.flag-value", "--labels", "KEY=VALUE,KEY=VALUE", NULL, M_E_FLAG_VALUE,
				  "flag", "labels", "value", text, NULL);
	o = cJSON_AddObjectToObject(w, "labels");
	for (size_t i = 0; i < l.n; i++)
		cJSON_AddStringToObject(o, l.v[i].key, l.v[i].value);
	labels_done(&l);
	return 0;
}

static int controller_add(struct ctl *c, cJSON *w)
{
	const char *s = flag_str(c, FLAG_CONTROLLER), *slash = s ? strchr(s, '/') : NULL, *kind;
	auto_free char *short_kind = slash ? strndup(s, (size_t)(slash - s)) : NULL;
	cJSON *o;

	if (!s)
		return 0;
	if (!slash || slash == s || !slash[1] || strchr(slash + 1, '/'))
		return usage_fail(c, "cli.flag-value", "--controller", "KIND/NAME: deploy/web, sts/db", NULL,
				  M_E_FLAG_VALUE, "flag", "controller", "value", s, NULL);
	kind = kind_long(short_kind);
	o = cJSON_AddObjectToObject(w, "controller");
	cJSON_AddStringToObject(o, "kind", kind ?: short_kind);
	cJSON_AddStringToObject(o, "name", slash + 1);
	return 0;
}

static int named_ports_add(struct ctl *c, cJSON *w)
{
	cJSON *list = NULL;

	for (size_t i = 0; i < c->values[FLAG_NAMED_PORT].n; i++) {
		const char *s = c->values[FLAG_NAMED_PORT].v[i], *eq = strchr(s, '=');
		auto_free char *name = eq ? strndup(s, (size_t)(eq - s)) : NULL;
		struct port_spec p = {};
		cJSON *o;

		if (!eq || port_spec_parse(eq + 1, &p) < 0 || p.kind != PORT_RANGE || p.from != p.to) {
			port_spec_done(&p);
			return usage_fail(c, "cli.flag-value", "--named-port", "http=tcp/8080", NULL,
					  M_E_FLAG_VALUE, "flag", "named-port", "value", s, NULL);
		}
		port_spec_done(&p);
		list = list ?: cJSON_AddArrayToObject(w, "ports");
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "name", name);
		cJSON_AddStringToObject(o, "port", eq + 1);
		cJSON_AddItemToArray(list, o);
	}
	return 0;
}

static int workload_of_flags(struct ctl *c, cJSON *w)
{
	const char *arg = c->args[0], *pod = strstr(arg, "/pod/");
	auto_free char *ns = pod ? strndup(arg, (size_t)(pod - arg)) : flag_join(c, FLAG_NAMESPACE);
	int r;

	if (!ns || strchr(ns, ',') || (!pod && strchr(arg, '/')))
		return usage_fail(c, "ref.syntax", arg, "-n NS NAME, NS/pod/NAME", NULL, M_E_REF_POD, NULL);
	if (!flag_given(c, FLAG_NETNS))
		return usage_fail(c, "cli.netns", arg, "--netns NAME", "ip netns list", M_E_NETNS, NULL);
	cJSON_AddStringToObject(w, "namespace", ns);
	cJSON_AddStringToObject(w, "name", pod ? pod + 5 : arg);
	cJSON_AddStringToObject(w, "netns", flag_str(c, FLAG_NETNS));
	if (flag_given(c, FLAG_NODE))
		cJSON_AddStringToObject(w, "node", flag_str(c, FLAG_NODE));
	if (flag_given(c, FLAG_SERVICE_ACCOUNT))
		cJSON_AddStringToObject(w, "serviceAccount", flag_str(c, FLAG_SERVICE_ACCOUNT));
	if (flag_given(c, FLAG_ADDRESS)) {
		cJSON *list = cJSON_AddArrayToObject(w, "addresses");

		for (size_t i = 0; i < c->values[FLAG_ADDRESS].n; i++)
			cJSON_AddItemToArray(list, cJSON_CreateString(c->values[FLAG_ADDRESS].v[i]));
	}
	r = labels_add(c, w);
	r = r ?: controller_add(c, w);
	return r ?: named_ports_add(c, w);
}

/* A list of workloads, {items: [...]}, or what `lab up -o json` prints; YAML or JSON. */
static int workloads_of_file(struct ctl *c, cJSON *body)
{
	const char *path = flag_str(c, FLAG_FILE);
	auto_free char *text = NULL;
	struct yaml_docs docs = {};
	const cJSON *root, *list;
	size_t len;
	int r;

	r = input_read(c, path, WORKLOADS_BYTES_MAX, &text, &len);
	if (r < 0)
		return usage_fail(c, "cli.file", path, NULL, NULL, M_E_READ, "error", strerror(-r), NULL);
	if (yaml_parse(text, len, path, &c->fails, &docs) < 0)
		return EXIT_USAGE;
	root = docs.n == 1 ? docs.docs[0].root : NULL;
	list = cJSON_IsArray(root) ? root : json_get(root, "items") ?: json_get(root, "workloads");
	if (cJSON_IsArray(list))
		cJSON_AddItemToObject(body, "items", cJSON_Duplicate(list, true));
	else
		r = usage_fail(c, "cli.file", path, "[{namespace, name, netns, ...}]", NULL, M_E_NO_DOCUMENTS,
			       NULL);
	yaml_docs_done(&docs);
	return r;
}

static void workloads_done(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *counts = json_get(plan, "counts"), *ch;
	char add[24], change[24], same[24];
	struct grid g = {};

	cJSON_ArrayForEach(ch, json_get(plan, "changes")) {
		grid_row(&g);
		grid_set(&g, 0, json_str(ch, "op"));
		grid_set(&g, 1, json_str(ch, "name"));
		grid_set(&g, 2, json_str(ch, "summary") ?: json_str(ch, "field"));
	}
	grid_print(&g, "  ", b);
	put_line(c, b, M_WORKLOADS_DONE, "add", num_str(add, json_i64(counts, "add", 0)), "change",
		 num_str(change, json_i64(counts, "change", 0)), "same",
		 num_str(same, json_i64(counts, "unchanged", 0)), NULL);
}

int cmd_workload_add(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	int r;

	if (flag_given(c, FLAG_FILE) == (c->nargs == 1))
		return usage_fail(c, "cli.arguments", c->nargs ? c->args[0] : "workload add", "NAME --netns NETNS, -f FILE",
				  "cellwall help workload add", M_E_NAME_OR_FILE, NULL);
	r = c->nargs ? workload_of_flags(c, body) : workloads_of_file(c, body);
	return r ?: change_run(c, &(struct change){ .path = "/v1/workloads", .body = body, .at_once = true,
						    .done = workloads_done });
}

int cmd_workload_remove(struct ctl *c)
{
	int r = 0;

	for (unsigned i = 0; i < c->nargs && !r; i++) {
		auto_free char *ref = ref_complete(c, c->args[i], "cellwall workload list"), *path = NULL;

		path = ref ? workload_path(c, ref) : NULL;
		if (!path)
			return EXIT_USAGE;
		r = change_run(c, &(struct change){ .method = "DELETE", .path = path });
	}
	return r;
}

/* ---- modes ----------------------------------------------------------------------------------- */

static const struct col mode_cols[] = {
	{ "ref", M_H_REF, COL_STR, COL_CUT, NULL, 0 },
	{ "mode", M_H_MODE, COL_STR, 0, NULL, 0 },
	{ "default", M_H_DEFAULT, COL_STR, 0, NULL, 0 },
	{ "from", M_H_FROM, COL_STR, 0, NULL, 0 },
	{ "workloads", M_H_WORKLOADS, COL_NUM, 0, NULL, 0 },
};

int cmd_mode_get(struct ctl *c)
{
	static const struct view v = { .cols = mode_cols, .ncols = ARRAY_SIZE(mode_cols), .name_key = "ref" };
	struct query q = {};

	query_flags(c, &q);
	if (c->nargs && strcmp(c->args[0], "cluster")) {
		auto_free char *ref = ref_complete(c, c->args[0], "cellwall mode get");

		if (!ref) {
			query_done(&q);
			return EXIT_USAGE;
		}
		query_add(&q, "ref", ref);
	} else if (c->nargs) {
		query_add(&q, "ref", "cluster");
	}
	return list_run(c, "/v1/modes", &q, &v);
}

/* What a change is about: REF arguments, or -n, or -A. There is no default scope. */
static int scope_add(struct ctl *c, cJSON *body, unsigned first, const char *next)
{
	cJSON *refs = cJSON_AddArrayToObject(body, "refs");
	auto_free char *ns = flag_join(c, FLAG_NAMESPACE);

	for (unsigned i = first; i < c->nargs; i++) {
		auto_free char *ref = !strcmp(c->args[i], "cluster") ? strdup("cluster") :
								       ref_complete(c, c->args[i], next);

		if (!ref)
			return EXIT_USAGE;
		cJSON_AddItemToArray(refs, cJSON_CreateString(ref));
	}
	if (cJSON_GetArraySize(refs))
		return 0;
	for (const char *p = ns; p;) {
		size_t n = strcspn(p, ",");
		struct buf b;

		buf_init(&b, 65536);
		buf_adds(&b, "ns/");
		buf_add(&b, p, n);
		cJSON_AddItemToArray(refs, cJSON_CreateString(b.data ?: ""));
		buf_done(&b);
		p = p[n] ? p + n + 1 : NULL;
	}
	if (flag_given(c, FLAG_ALL))
		cJSON_AddItemToArray(refs, cJSON_CreateString("cluster"));
	if (!cJSON_GetArraySize(refs))
		return usage_fail(c, "scope.missing", c->cmd->words, "-n NS, -A, REF", next, M_E_SCOPE, NULL);
	return 0;
}

int cmd_mode_set(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	const char *dflt = flag_str(c, FLAG_DEFAULT);
	unsigned first = 0;
	char next[96];
	enum cw_mode m;
	int r;

	if (c->nargs && cw_mode_parse(c->args[0], &m) == 0) {
		cJSON_AddStringToObject(body, "mode", c->args[0]);
		first = 1;
	} else if (!dflt) {
		return usage_fail(c, "cli.mode", c->nargs ? c->args[0] : "mode set", "off, learn, alert, enforce",
				  "cellwall help mode set", M_E_MODE, NULL);
	}
	if (dflt)
		cJSON_AddStringToObject(body, "default", dflt);
	snprintf(next, sizeof(next), "cellwall mode set %s -n NS --dry-run", first ? c->args[0] : "MODE");
	r = scope_add(c, body, first, next);
	return r ?: change_run(c, &(struct change){ .path = "/v1/modes/set", .body = body, .again = next });
}

int cmd_mode_unset(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	int r = scope_add(c, body, 0, "cellwall mode unset -n NS --dry-run");

	return r ?: change_run(c, &(struct change){ .path = "/v1/modes/unset", .body = body });
}

/* ---- quarantine ------------------------------------------------------------------------------ */

/* "192.0.2.10/32:tcp/22": the port begins after the last colon that a PORT follows. */
static int allow_add(struct ctl *c, cJSON *body)
{
	cJSON *list = NULL;

	for (size_t i = 0; i < c->values[FLAG_ALLOW].n; i++) {
		const char *s = c->values[FLAG_ALLOW].v[i], *colon = strrchr(s, ':'), *port = NULL;
		auto_free char *cidr = NULL;
		struct port_spec ps = {};
		struct prefix px;
		cJSON *o;

		if (colon && port_spec_parse(colon + 1, &ps) == 0 && strchr(colon + 1, '/') &&
		    (colon[1] < '0' || colon[1] > '9'))
			port = colon + 1;
		port_spec_done(&ps);
		cidr = port ? strndup(s, (size_t)(colon - s)) : strdup(s);
		if (!cidr || prefix_parse(cidr, &px) < 0)
			return usage_fail(c, "cli.flag-value", s, "192.0.2.10/32, 192.0.2.10/32:tcp/22", NULL,
					  M_E_FLAG_VALUE, "flag", "allow", "value", s, NULL);
		list = list ?: cJSON_AddArrayToObject(body, "allow");
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "cidr", cidr);
		if (port)
			cJSON_AddItemToArray(cJSON_AddArrayToObject(o, "ports"), cJSON_CreateString(port));
		cJSON_AddItemToArray(list, o);
	}
	return 0;
}

static void quarantined_done(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *ch = json_get(plan, "changes") ? json_get(plan, "changes")->child : NULL, *r;
	auto_free char *after = NULL;
	int64_t us = 0, cut = 0;
	struct buf t;
	char n[24];

	if (json_bool(plan, "noop", false)) {
		plan_done_print(c, plan, b);
		return;
	}
	cJSON_ArrayForEach(r, json_get(plan, "receipts")) {
		us = json_i64(r, "afterUs", 0) > us ? json_i64(r, "afterUs", 0) : us;
		cut += json_i64(r, "flowsCut", 0);
	}
	buf_init(&t, 64);
	put_micros(&t, us);
	after = buf_take(&t, NULL);
	put_line(c, b, M_QUARANTINED, "ref", json_str(ch, "name") ?: c->args[0], "after", after, "n",
		 num_str(n, cut), NULL);
	if (json_str(plan, "undo")) {
		buf_adds(b, msg_text(M_UNDO, c->lang));
		put_str(b, json_str(plan, "undo"));
		buf_adds(b, "\n");
	}
}

int cmd_quarantine_add(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	auto_free char *ref = ref_complete(c, c->args[0], "cellwall workload list");
	char next[256];
	int r;

	if (!ref)
		return EXIT_USAGE;
	snprintf(next, sizeof(next), "cellwall quarantine add %.150s --reason \"...\"", ref);
	if (!flag_given(c, FLAG_REASON))
		return usage_fail(c, "quarantine.reason", ref, "--reason TEXT", next, M_E_REASON, NULL);
	cJSON_AddStringToObject(body, "ref", ref);
	cJSON_AddStringToObject(body, "reason", flag_str(c, FLAG_REASON));
	if (flag_given(c, FLAG_FOR))
		cJSON_AddStringToObject(body, "for", flag_str(c, FLAG_FOR));
	r = allow_add(c, body);
	return r ?: change_run(c, &(struct change){ .path = "/v1/quarantines", .body = body, .at_once = true,
						    .done = quarantined_done });
}

int cmd_quarantine_release(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	cJSON *refs = cJSON_AddArrayToObject(body, "refs");

	for (unsigned i = 0; i < c->nargs; i++) {
		/* a bare word may also be the quarantine's own name */
		auto_free char *ref = strchr(c->args[i], '/') || flag_given(c, FLAG_NAMESPACE) ?
					      ref_complete(c, c->args[i], "cellwall quarantine list") :
					      strdup(c->args[i]);

		if (!ref)
			return EXIT_USAGE;
		cJSON_AddItemToArray(refs, cJSON_CreateString(ref));
	}
	return change_run(c, &(struct change){ .path = "/v1/quarantines/release", .body = body, .at_once = true });
}
