/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_rule.c - rule list, show, create, edit, delete, enable, disable, apply, export. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/addr.h"
#include "base/file.h"
#include "base/strparse.h"
#include "ctl/cmd.h"
#include "policy/model.h"

#define EDIT_BYTES_MAX (1u << 20)

extern char **environ;

static void ports_text(struct ctl *c, const cJSON *r, struct buf *b)
{
	const cJSON *list = json_get(r, "ports"), *p;

	(void)c;
	if (!cJSON_GetArraySize(list))
		buf_adds(b, "any");
	cJSON_ArrayForEach(p, list) {
		buf_adds(b, p == list->child ? "" : ",");
		put_str(b, cJSON_IsString(p) ? p->valuestring : NULL);
	}
}

static const struct col rule_cols[] = {
	{ "name", M_H_RULE_NAME, COL_STR, COL_CUT, NULL, 0 },
	{ "dstNamespace", M_H_DST_NAMESPACE, COL_STR, COL_CUT, NULL, 0 },
	{ "dstLabels", M_H_DST_LABELS, COL_STR, COL_CUT, NULL, 0 },
	{ "ports", M_H_PORT, COL_STR, 0, ports_text, 0 },
	{ "srcNamespace", M_H_SRC_NAMESPACE, COL_STR, COL_CUT, NULL, 0 },
	{ "srcLabels", M_H_SRC_LABELS, COL_STR, COL_CUT, NULL, 0 },
	{ "action", M_H_ACTION, COL_STR, 0, NULL, 0 },
	{ "creator", M_H_CREATOR, COL_STR, COL_OPT, NULL, 0 },
	{ "updated", M_H_UPDATED, COL_WHEN, COL_OPT, NULL, 0 },
	{ "id", M_H_ID, COL_STR, COL_WIDE, NULL, 0 },
	{ "origin", M_H_ORIGIN, COL_STR, COL_WIDE, NULL, 0 },
	{ "mode", M_H_MODE, COL_STR, COL_WIDE, NULL, 0 },
	{ "enabled", M_H_ENABLED, COL_BOOL, COL_WIDE, NULL, 0 },
	{ "hits", M_H_HITS, COL_NUM, COL_WIDE, NULL, 0 },
	{ "lastHit", M_H_LAST_HIT, COL_AGE, COL_WIDE, NULL, 0 },
};

static void isolates_text(struct ctl *c, const cJSON *r, struct buf *b)
{
	const cJSON *list = json_get(r, "isolates"), *s;

	(void)c;
	if (!cJSON_GetArraySize(list))
		buf_adds(b, "-");
	cJSON_ArrayForEach(s, list) {
		buf_adds(b, s == list->child ? "" : ",");
		put_str(b, cJSON_IsString(s) ? s->valuestring : NULL);
	}
}

/* Kubernetes policies by themselves: what a rule says stands in its parts. */
static const struct col kpolicy_cols[] = {
	{ "name", M_H_POLICY, COL_STR, COL_CUT, NULL, 0 },
	{ "priority", M_H_PRIORITY, COL_NUM, COL_OPT, NULL, 0 },
	{ "subject", M_H_SUBJECT, COL_STR, COL_CUT, NULL, 0 },
	{ "isolates", M_H_ISOLATES, COL_STR, COL_OPT, isolates_text, 0 },
	{ "action", M_H_ACTION, COL_STR, 0, NULL, 0 },
	{ "rules", M_H_RULES, COL_NUM, 0, NULL, 0 },
	{ "creator", M_H_CREATOR, COL_STR, COL_OPT, NULL, 0 },
	{ "updated", M_H_UPDATED, COL_WHEN, COL_OPT, NULL, 0 },
	{ "id", M_H_ID, COL_STR, COL_WIDE, NULL, 0 },
	{ "origin", M_H_ORIGIN, COL_STR, COL_WIDE, NULL, 0 },
	{ "hits", M_H_HITS, COL_NUM, COL_WIDE, NULL, 0 },
	{ "lastHit", M_H_LAST_HIT, COL_AGE, COL_WIDE, NULL, 0 },
};

static void rules_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *meta = json_get(doc, "meta"), *hidden = json_get(meta, "hidden");
	int64_t learned = json_i64(hidden, "learned", 0), np = json_i64(hidden, "networkpolicy", 0);
	int64_t admin = json_i64(hidden, "admin", 0), base = json_i64(hidden, "baseline", 0);
	char n[24], l[24], p[24];

	if (!list_empty(c, doc, b, M_NO_RULES))
		put_line(c, b, M_RULE_SUM, "n",
			 num_str(n, json_i64(meta, "total", cJSON_GetArraySize(json_get(doc, "items")))), NULL);
	if (learned || np)
		put_line(c, b, M_RULES_HIDDEN, "learned", num_str(l, learned), "networkpolicy", num_str(p, np),
			 NULL);
	if (admin || base)
		put_line(c, b, M_RULES_HIDDEN_TIERS, "admin", num_str(l, admin), "baseline", num_str(p, base), NULL);
	list_rest(c, doc, b);
	if (learned || np || admin || base)
		put_next(c, b, "cellwall rule list --origin all");
}

int cmd_rule_list(struct ctl *c)
{
	static const struct view v = { .cols = rule_cols, .ncols = ARRAY_SIZE(rule_cols), .name_key = "name",
				       .after = rules_after };
	static const struct view kv = { .cols = kpolicy_cols, .ncols = ARRAY_SIZE(kpolicy_cols), .name_key = "name",
					.after = rules_after };
	const char *origin = flag_str(c, FLAG_ORIGIN);
	bool kube = origin && (!strcmp(origin, "networkpolicy") || !strcmp(origin, "admin") || !strcmp(origin, "baseline"));
	struct query q = {};

	query_flags(c, &q);
	return list_run(c, "/v1/rules", &q, kube ? &kv : &v);
}

static void rule_human(struct ctl *c, const cJSON *r, struct buf *b)
{
	auto_free char *updated = NULL, *hit = NULL;
	char id[24], hits[24];

	updated = time_text(c, json_str(r, "updated"));
	hit = time_text(c, json_str(r, "lastHit"));
	snprintf(id, sizeof(id), "%" PRId64, json_i64(r, "id", 0));
	put_line(c, b, M_RULE_HEAD, "origin", json_str(r, "origin"), "name", json_str(r, "name"), "id", id,
		 "state", msg_text(json_bool(r, "enabled", true) ? M_ENABLED : M_DISABLED, c->lang), "mode",
		 json_str(r, "mode"), "creator", json_str(r, "creator"), "updated", updated, "hits",
		 num_str(hits, json_i64(r, "hits", 0)), "last", hit, NULL);
	if (json_str(r, "yaml"))
		buf_adds(b, json_str(r, "yaml"));
	if (b->len && b->data[b->len - 1] != '\n')
		buf_adds(b, "\n");
}

/* "NetworkPolicy/shop/api", and as the column BY has it: networkpolicy shop/api. */
static char *rule_path(struct ctl *c)
{
	auto_free char *kind = c->nargs > 1 ? path_make("/v1/rules/", c->args[0]) : NULL;
	auto_free char *slash = kind ? path_make(kind, "/") : NULL;

	return c->nargs > 1 ? (slash ? path_make(slash, c->args[1]) : NULL) : path_make("/v1/rules/", c->args[0]);
}

int cmd_rule_show(struct ctl *c)
{
	static const struct view v = { .before = rule_human };
	auto_free char *path = rule_path(c);

	return show_run(c, path, &v);
}

/* ---- create ---------------------------------------------------------------------------------- */

static int selector_fail(struct ctl *c, const char *flag, const char *ref)
{
	return usage_fail(c, "ref.syntax", ref, "NS/KIND/NAME, ns/NS, NS/K=V, CIDR, fqdn/NAME, world, any", NULL,
			  M_E_SELECTOR, "flag", flag, "ref", ref, NULL);
}

/* The item of `from` or `to` that a REF means. */
static int selector_of_ref(struct ctl *c, const char *flag, const char *ref, cJSON *list)
{
	auto_cleanup(cJSON_Deletep) cJSON *s = cJSON_CreateObject();
	const char *a = strchr(ref, '/'), *k = a ? a + 1 : NULL, *b = k ? strchr(k, '/') : NULL;
	auto_free char *ns = a ? strndup(ref, (size_t)(a - ref)) : NULL;
	auto_free char *kind = b ? strndup(k, (size_t)(b - k)) : NULL;
	struct labels l = {};
	struct prefix px;
	uint32_t id;

	if (!strcmp(ref, "any")) {
		cJSON_AddTrueToObject(s, "any");
	} else if (reserved_parse(ref, &id) == 0) {
		cJSON_AddStringToObject(s, "reserved", ref);
	} else if (prefix_parse(ref, &px) == 0) {
		char text[PREFIX_STR_MAX];

		cJSON_AddStringToObject(s, "cidr", prefix_str(&px, text));
	} else if (ns && !strcmp(ns, "fqdn") && *k && !b) {
		cJSON_AddStringToObject(s, "fqdn", k);
	} else if (ns && !strcmp(ns, "ns") && is_dns_label(k)) {
		cJSON_AddStringToObject(s, "namespace", k);
	} else if (ns && is_dns_label(ns) && strchr(k, '=') && labels_parse(k, &l) == 0) {
		cJSON *o;

		cJSON_AddStringToObject(s, "namespace", ns);
		o = cJSON_AddObjectToObject(s, "labels");
		for (size_t i = 0; i < l.n; i++)
			cJSON_AddStringToObject(o, l.v[i].key, l.v[i].value);
		labels_done(&l);
	} else if (ns && is_dns_label(ns) && kind && is_dns_name(b + 1)) {
		const char *full = kind_long(kind);
		char text[512];

		cJSON_AddStringToObject(s, "namespace", ns);
		snprintf(text, sizeof(text), "%s/%s", full ?: kind, b + 1);
		if (!strcmp(kind, "pod"))
			cJSON_AddStringToObject(s, "pod", b + 1);
		else if (!strcmp(kind, "svc"))
			cJSON_AddStringToObject(s, "service", b + 1);
		else if (!strcmp(kind, "sa"))
			cJSON_AddStringToObject(s, "serviceAccount", b + 1);
		else if (full)
			cJSON_AddStringToObject(s, "controller", text);
		else
			return selector_fail(c, flag, ref);
	} else {
		return selector_fail(c, flag, ref);
	}
	cJSON_AddItemToArray(list, take_ptr(s));
	return 0;
}

static int selectors_add(struct ctl *c, cJSON *spec, const char *key, enum flag f)
{
	cJSON *list = cJSON_AddArrayToObject(spec, key);
	int r = 0;

	if (!flag_given(c, f))
		return usage_fail(c, "cli.rule-create", c->args[0], "--action, --src, --dst",
				  "cellwall help rule create", M_E_RULE_NEEDS, "flag", flag_defs[f].name, NULL);
	for (size_t i = 0; i < c->values[f].n; i++)
		r = selector_of_ref(c, flag_defs[f].name, c->values[f].v[i], list) ?: r;
	return r;
}

static int apply_text(struct ctl *c, const char *file, const char *text, const char *again)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(body, "documents"), *d = cJSON_CreateObject();

	cJSON_AddStringToObject(d, "file", file);
	cJSON_AddStringToObject(d, "text", text);
	cJSON_AddItemToArray(list, d);
	return change_run(c, &(struct change){ .path = "/v1/rules/apply", .body = body, .again = again });
}

int cmd_rule_create(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = cJSON_CreateObject();
	auto_free char *yaml = NULL;
	cJSON *meta, *spec;
	int r;

	cJSON_AddStringToObject(doc, "apiVersion", "cellwall.io/v1alpha1");
	cJSON_AddStringToObject(doc, "kind", "ClusterAccessRule");
	meta = cJSON_AddObjectToObject(doc, "metadata");
	cJSON_AddStringToObject(meta, "name", c->args[0]);
	spec = cJSON_AddObjectToObject(doc, "spec");
	if (!flag_given(c, FLAG_ACTION))
		return usage_fail(c, "cli.rule-create", c->args[0], "--action allow|alert|block",
				  "cellwall help rule create", M_E_RULE_NEEDS, "flag", "action", NULL);
	cJSON_AddStringToObject(spec, "action", flag_str(c, FLAG_ACTION));
	if (flag_given(c, FLAG_REJECT))
		cJSON_AddTrueToObject(spec, "reject");
	if (flag_given(c, FLAG_RULE_MODE) && !strcmp(flag_str(c, FLAG_RULE_MODE), "alert"))
		cJSON_AddStringToObject(spec, "mode", "alert");
	r = selectors_add(c, spec, "from", FLAG_SRC);
	r = selectors_add(c, spec, "to", FLAG_DST) ?: r;
	if (r)
		return r;
	if (flag_given(c, FLAG_PORT)) {
		cJSON *ports = cJSON_AddArrayToObject(spec, "ports");

		for (size_t i = 0; i < c->values[FLAG_PORT].n; i++)
			if (strcmp(c->values[FLAG_PORT].v[i], "any"))
				cJSON_AddItemToArray(ports, cJSON_CreateString(c->values[FLAG_PORT].v[i]));
		if (!ports->child)
			cJSON_DeleteItemFromObject(spec, "ports");
	}
	yaml = yaml_print(doc);
	if (!yaml)
		return api_unreachable(c, -ENOMEM);
	if (wants_human(c) && !flag_given(c, FLAG_QUIET))
		fprintf(c->io.out, "%s", yaml);
	return apply_text(c, "rule create", yaml, NULL);
}

/* ---- edit ------------------------------------------------------------------------------------ */

/* $EDITOR is a shell command by tradition; the file's name goes in as an argument. */
static int editor_run(const char *path)
{
	const char *const argv[] = { "sh", "-c", "exec ${VISUAL:-${EDITOR:-vi}} \"$1\"", "sh", path, NULL };
	int status = 0, r;
	pid_t pid;

	r = posix_spawn(&pid, "/bin/sh", NULL, NULL, (char *const *)argv, environ);
	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECANCELED;
}

int cmd_rule_edit(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *rule = NULL;
	auto_free char *path = rule_path(c), *text = NULL;
	char file[] = "/tmp/cellwall-rule-XXXXXX.yaml", next[160];
	const char *yaml;
	auto_close int fd = -1;
	size_t len;
	ssize_t n;
	int r = path ? api_call(c, "GET", path, NULL, NULL, &rule) : EXIT_REFUSED;

	if (r)
		return r;
	yaml = json_str(rule, "ruleKind");
	if (yaml && strcmp(yaml, "AccessRule") && strcmp(yaml, "ClusterAccessRule"))
		return usage_fail(c, "rule.kubernetes", c->args[0], "AccessRule, ClusterAccessRule",
				  "cellwall rule apply -f FILE --dry-run", M_E_RULE_KUBERNETES, "name",
				  json_str(rule, "name"), NULL);
	yaml = json_str(rule, "yaml") ?: "";
	fd = mkostemps(file, 5, O_CLOEXEC);
	if (fd < 0)
		return usage_fail(c, "cli.file", file, NULL, NULL, M_E_WRITE, "error", strerror(errno), NULL);
	n = write(fd, yaml, strlen(yaml));
	if (n != (ssize_t)strlen(yaml)) {
		r = n < 0 ? errno : ENOSPC;
		unlink(file);
		return usage_fail(c, "cli.file", file, NULL, NULL, M_E_WRITE, "error", strerror(r), NULL);
	}
	r = editor_run(file);
	if (!r)
		r = read_all_path(file, EDIT_BYTES_MAX, &text, &len);
	if (r) {
		unlink(file);
		return usage_fail(c, "cli.editor", "$EDITOR", NULL, NULL, M_E_EDITOR, "error", strerror(-r), NULL);
	}
	if (!strcmp(text, yaml)) {
		unlink(file);
		fprintf(c->io.out, "%s\n", msg_text(M_NOTHING_CHANGED, c->lang));
		return 0;
	}
	snprintf(next, sizeof(next), "cellwall rule apply -f %s", file);
	r = apply_text(c, file, text, next);
	if (!r && !flag_given(c, FLAG_DRY_RUN))
		unlink(file); /* after a refusal it stays, with what was written */
	return r;
}

/* ---- by name --------------------------------------------------------------------------------- */

static int by_name(struct ctl *c, const char *path)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	static const enum flag picks[] = { FLAG_SEARCH, FLAG_SELECTOR, FLAG_ORIGIN };
	bool pick = false;

	for (size_t i = 0; i < ARRAY_SIZE(picks); i++) {
		auto_free char *v = flag_join(c, picks[i]);

		if (!v)
			continue;
		pick = pick || picks[i] != FLAG_ORIGIN;
		cJSON_AddStringToObject(body, flag_defs[picks[i]].name, v);
	}
	if ((c->nargs > 0) == pick)
		return usage_fail(c, "scope.missing", c->cmd->words, "NAME..., -l K=V, --search TEXT",
				  "cellwall rule list", M_E_NAMES, NULL);
	if (c->nargs) {
		cJSON *names = cJSON_AddArrayToObject(body, "names");

		for (unsigned i = 0; i < c->nargs; i++)
			cJSON_AddItemToArray(names, cJSON_CreateString(c->args[i]));
	}
	return change_run(c, &(struct change){ .path = path, .body = body });
}

int cmd_rule_delete(struct ctl *c)
{
	return by_name(c, "/v1/rules/delete");
}

int cmd_rule_enable(struct ctl *c)
{
	return by_name(c, "/v1/rules/enable");
}

int cmd_rule_disable(struct ctl *c)
{
	return by_name(c, "/v1/rules/disable");
}

/* ---- apply, export --------------------------------------------------------------------------- */

int cmd_rule_apply(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	char again[256];
	int r;

	if (!flag_given(c, FLAG_FILE))
		return usage_fail(c, "cli.arguments", "rule apply", "-f FILE|DIR|-", "cellwall help rule apply",
				  M_E_NO_FILE, NULL);
	r = documents_put(c, body);
	if (r)
		return r;
	if (flag_given(c, FLAG_PRUNE))
		cJSON_AddTrueToObject(body, "prune");
	snprintf(again, sizeof(again), "cellwall rule apply -f %.200s --dry-run", flag_str(c, FLAG_FILE));
	return change_run(c, &(struct change){ .path = "/v1/rules/apply", .body = body, .again = again });
}

/* What the target cannot say goes to standard error, rule by rule: nothing is left out in silence. */
static int export_told(struct ctl *c, const cJSON *doc)
{
	const cJSON *refused = json_get(doc, "refused"), *notes = json_get(doc, "notes"), *it;
	int n = cJSON_GetArraySize(refused);
	char objects[24], rules[24], left[24];
	auto_free char *sum = NULL;
	struct buf b;

	buf_init(&b, 64u << 20);
	cJSON_ArrayForEach(it, notes)
		put_line(c, &b, M_EXPORT_NOTE, "name", json_str(it, "name"), "note", json_str(it, "note"), NULL);
	cJSON_ArrayForEach(it, refused)
		put_line(c, &b, M_EXPORT_REFUSED, "name", json_str(it, "name"), "reason", json_str(it, "reason"), NULL);
	put_line(c, &b, M_EXPORT_SUM, "objects", num_str(objects, cJSON_GetArraySize(json_get(doc, "items"))), "rules",
		 num_str(rules, json_i64(doc, "rules", 0)), "refused", num_str(left, n), NULL);
	sum = buf_take(&b, NULL);
	fputs(sum ? sum : "", c->io.err);
	return n ? EXIT_INCOMPLETE : 0;
}

/* As `kubectl` takes it, and `rule apply`. */
static char *export_list(const cJSON *doc)
{
	auto_cleanup(cJSON_Deletep) cJSON *list = cJSON_CreateObject();

	cJSON_AddStringToObject(list, "apiVersion", "v1");
	cJSON_AddStringToObject(list, "kind", "List");
	cJSON_AddItemToObject(list, "items", cJSON_Duplicate(json_get(doc, "items"), 1));
	return cJSON_PrintUnformatted(list);
}

static int export_as(struct ctl *c, const char *as)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	struct query q = {};
	int r;

	query_flags(c, &q);
	query_add(&q, "as", as);
	r = api_get(c, "/v1/export/rules", &q, &doc);
	query_done(&q);
	for (size_t i = 0; i < c->noutputs && !r; i++) {
		struct output *o = &c->outputs[i];
		auto_free char *text = o->format == FMT_JSON ? export_list(doc) : strdup(json_str(doc, "yaml") ?: "");

		if (o->format != FMT_TABLE && o->format != FMT_YAML && o->format != FMT_JSON)
			return usage_fail(c, "cli.output", o->name, "yaml, json", NULL, M_E_FORMAT, "value", o->name, NULL);
		r = text ? emit_text(c, o, text, strlen(text)) : EXIT_REFUSED;
	}
	return r ?: export_told(c, doc);
}

int cmd_rule_export(struct ctl *c)
{
	const char *as = flag_str(c, FLAG_AS);
	int r = 0;

	if (as && (!strcmp(as, "enforce") || !strcmp(as, "live")))
		return usage_fail(c, "cli.flag-value", "--as", "networkpolicy, clusternetworkpolicy, cilium",
				  "cellwall help rule export", M_E_EXPORT_AS, "value", as, NULL);
	if (as)
		return export_as(c, as);

	for (size_t i = 0; i < c->noutputs && !r; i++) {
		struct output *o = &c->outputs[i];
		auto_free char *text = NULL;
		struct query q = {};
		size_t len = 0;

		if (o->format != FMT_TABLE && o->format != FMT_YAML && o->format != FMT_JSON)
			return usage_fail(c, "cli.output", o->name, "yaml, json", NULL, M_E_FORMAT, "value", o->name, NULL);
		query_flags(c, &q);
		query_add(&q, "format", o->format == FMT_JSON ? "json" : "yaml");
		r = api_text(c, "/v1/export/rules", &q, &text, &len);
		query_done(&q);
		if (!r)
			r = emit_text(c, o, text, len);
	}
	return r;
}
