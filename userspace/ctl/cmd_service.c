/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_service.c - services: what stands behind which address. */
#include <string.h>

#include "ctl/cmd.h"
#include "ctl/grid.h"

#define SERVICES_BYTES_MAX (16u << 20)

static void words_put(const cJSON *list, struct buf *b)
{
	const cJSON *i;
	bool any = false;

	cJSON_ArrayForEach(i, list) {
		buf_adds(b, any ? "," : "");
		put_str(b, cJSON_IsString(i) ? i->valuestring : NULL);
		any = true;
	}
	if (!any)
		buf_adds(b, "-");
}

static void addresses_text(struct ctl *c, const cJSON *s, struct buf *b)
{
	(void)c;
	words_put(json_get(s, "addresses"), b);
}

/* "tcp/80:30080>8080" as people know it: port, node port, target where it differs. */
static void ports_text(struct ctl *c, const cJSON *s, struct buf *b)
{
	const cJSON *p;
	bool any = false;

	(void)c;
	cJSON_ArrayForEach(p, json_get(s, "ports")) {
		const cJSON *t = json_get(p, "target");

		buf_adds(b, any ? "," : "");
		put_str(b, json_str(p, "port"));
		if (json_i64(p, "nodePort", 0))
			buf_printf(b, ":%lld", (long long)json_i64(p, "nodePort", 0));
		if (cJSON_IsNumber(t))
			buf_printf(b, ">%.0f", t->valuedouble);
		else if (cJSON_IsString(t))
			buf_printf(b, ">%s", t->valuestring);
		any = true;
	}
}

static void backends_text(struct ctl *c, const cJSON *s, struct buf *b)
{
	(void)c;
	buf_printf(b, "%lld/%lld", (long long)json_i64(s, "readyCount", 0), (long long)json_i64(s, "backendCount", 0));
}

static const struct col service_cols[] = {
	{ "namespace", M_H_NAMESPACE, COL_STR, COL_CUT, NULL, 0 },
	{ "name", M_H_NAME, COL_STR, COL_CUT, NULL, 0 },
	{ "addresses", M_H_ADDRESSES, COL_STR, COL_CUT, addresses_text, 0 },
	{ "ports", M_H_PORTS, COL_STR, COL_CUT, ports_text, 0 },
	{ "backends", M_H_BACKENDS, COL_STR, 0, backends_text, 0 },
	{ "source", M_H_FROM, COL_STR, COL_WIDE, NULL, 0 },
};

static void service_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (cJSON_GetArraySize(json_get(doc, "items")))
		list_rest(c, doc, b);
	else
		put_line(c, b, M_SERVICE_NONE, NULL);
}

int cmd_service_list(struct ctl *c)
{
	static const struct view v = { .cols = service_cols, .ncols = ARRAY_SIZE(service_cols), .name_key = "ref",
				       .after = service_after };

	return plain_list(c, "/v1/services", &v);
}

static char *service_path(struct ctl *c, const char *arg)
{
	auto_free char *ref = ref_complete(c, arg, "cellwall service list");
	const char *a = ref ? strchr(ref, '/') : NULL, *s = a ? strchr(a + 1, '/') : NULL;
	struct buf out;

	if (!ref)
		return NULL;
	if (!s || !s[1] || strchr(s + 1, '/') || s - a != 4 || memcmp(a, "/svc", 4)) {
		usage_fail(c, "ref.syntax", arg, "NS/svc/NAME", "cellwall service list", M_E_REF_SVC, NULL);
		return NULL;
	}
	buf_init(&out, 65536);
	buf_adds(&out, "/v1/services/");
	buf_add(&out, ref, (size_t)(a - ref));
	buf_adds(&out, s);
	return buf_take(&out, NULL);
}

static void service_human(struct ctl *c, const cJSON *s, struct buf *b)
{
	auto_free char *ports = NULL, *addrs = NULL;
	struct grid g = {};
	const cJSON *e;
	char n1[24], n2[24];
	struct buf t;

	buf_init(&t, 1u << 16);
	ports_text(c, s, &t);
	ports = buf_take(&t, NULL);
	buf_init(&t, 1u << 16);
	addresses_text(c, s, &t);
	addrs = buf_take(&t, NULL);
	put_line(c, b, M_SERVICE_HEAD, "ref", json_str(s, "ref"), "addresses", addrs, "ports", ports, "ready",
		 num_str(n1, json_i64(s, "readyCount", 0)), "backends", num_str(n2, json_i64(s, "backendCount", 0)), NULL);
	cJSON_ArrayForEach(e, json_get(s, "endpoints")) {
		grid_row(&g);
		grid_set(&g, 0, json_str(e, "address"));
		grid_set(&g, 1, json_str(e, "workload"));
		grid_set(&g, 2, msg_text(json_bool(e, "ready", false) ? M_SERVICE_READY : M_SERVICE_NOT_READY, c->lang));
	}
	grid_print(&g, "  ", b);
}

int cmd_service_show(struct ctl *c)
{
	static const struct view v = { .before = service_human };
	auto_free char *path = service_path(c, c->args[0]);

	return path ? show_run(c, path, &v) : EXIT_USAGE;
}

/* A list of services, or the services of Inventory documents; YAML or JSON. */
static int services_of_file(struct ctl *c, cJSON *body)
{
	const char *path = flag_str(c, FLAG_FILE);
	cJSON *items = cJSON_AddArrayToObject(body, "items");
	auto_free char *text = NULL;
	struct yaml_docs docs = {};
	size_t len;
	int r = input_read(c, path, SERVICES_BYTES_MAX, &text, &len);

	if (r < 0)
		return usage_fail(c, "cli.file", path, NULL, NULL, M_E_READ, "error", strerror(-r), NULL);
	if (yaml_parse(text, len, path, &c->fails, &docs) < 0)
		return EXIT_USAGE;
	for (size_t i = 0; i < docs.n; i++) {
		const cJSON *root = docs.docs[i].root, *s;
		const cJSON *list = cJSON_IsArray(root) ? root :
				    json_get(root, "services") ?: json_get(json_get(root, "spec"), "services") ?:
				    json_get(root, "items");

		cJSON_ArrayForEach(s, list)
			cJSON_AddItemToArray(items, cJSON_Duplicate(s, true));
	}
	yaml_docs_done(&docs);
	if (!cJSON_GetArraySize(items))
		r = usage_fail(c, "cli.file", path, "services: [{namespace, name, ports, ...}]", NULL, M_E_NO_DOCUMENTS, NULL);
	return r;
}

static void services_done(struct ctl *c, const cJSON *plan, struct buf *b)
{
	struct grid g = {};
	const cJSON *ch;

	(void)c;
	cJSON_ArrayForEach(ch, json_get(plan, "changes")) {
		grid_row(&g);
		grid_set(&g, 0, json_str(ch, "op"));
		grid_set(&g, 1, json_str(ch, "name"));
	}
	grid_print(&g, "  ", b);
}

int cmd_service_add(struct ctl *c)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	int r;

	if (!flag_given(c, FLAG_FILE))
		return usage_fail(c, "cli.arguments", "service add", "-f FILE", "cellwall help service add",
				  M_E_NEEDS_FILE, NULL);
	r = services_of_file(c, body);
	return r ?: change_run(c, &(struct change){ .path = "/v1/services", .body = body, .at_once = true,
						    .done = services_done });
}

int cmd_service_remove(struct ctl *c)
{
	int r = 0;

	for (unsigned i = 0; i < c->nargs && !r; i++) {
		auto_free char *path = service_path(c, c->args[i]);

		if (!path)
			return EXIT_USAGE;
		r = change_run(c, &(struct change){ .method = "DELETE", .path = path });
	}
	return r;
}
