/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_query.c - ready and query: questions answered with yes or no, and why. */
#include <inttypes.h>
#include <string.h>

#include "ctl/cmd.h"
#include "ctl/grid.h"

/* ---- ready ----------------------------------------------------------------------------------- */

static const struct { const char *topic; enum msg ok, missing; } topics[] = {
	{ "replicas", M_R_REPLICAS_OK, M_R_REPLICAS }, { "peers", M_R_PEERS_OK, M_R_PEERS },
	{ "loss", M_R_LOSS_OK, M_R_LOSS }, { "schedule", M_R_SCHEDULE_OK, M_R_SCHEDULE },
	{ "answer", M_R_ANSWER_OK, M_R_ANSWER }, { "decision", M_R_DECISION_OK, M_R_DECISION },
	{ "held", M_R_HELD_OK, M_R_HELD }, { "guard", M_R_GUARD_OK, M_R_GUARD },
};

/* The parameters of an item under their own names: numbers grouped, times and durations shown. */
#define READY_PARAMS_MAX 12u
static void ready_item(struct ctl *c, const cJSON *it, struct buf *b)
{
	const char *topic = json_str(it, "topic") ?: "-", *state = json_str(it, "state") ?: "-";
	const char *pairs[READY_PARAMS_MAX][2];
	char *values[READY_PARAMS_MAX];
	const cJSON *params = json_get(it, "params");
	/* a sum that falls short names nobody: those follow, one item each */
	bool ok = !strcmp(state, "ok") || ((!strcmp(topic, "replicas") || !strcmp(topic, "peers")) &&
					   !json_str(params, "subject") && !json_str(params, "src"));
	size_t n = 0, k;
	const cJSON *p;
	struct buf t;

	cJSON_ArrayForEach(p, params) {
		size_t len = p->string ? strlen(p->string) : 0;

		if (n == READY_PARAMS_MAX)
			break;
		buf_init(&t, 4096);
		if (cJSON_IsNumber(p) && len > 2 && !strcmp(p->string + len - 2, "Ms"))
			put_duration(&t, (int64_t)p->valuedouble);
		else if (cJSON_IsNumber(p))
			put_num(&t, (int64_t)p->valuedouble);
		else
			put_time(c, &t, cJSON_IsString(p) ? p->valuestring : NULL, TIME_LOCAL);
		values[n] = buf_take(&t, NULL);
		pairs[n][0] = p->string;
		pairs[n][1] = values[n] ?: "-";
		n++;
	}
	for (k = 0; k < ARRAY_SIZE(topics) && strcmp(topics[k].topic, topic); k++)
		;
	buf_printf(b, "  %-7s  %-9s ", state, topic);
	if (k < ARRAY_SIZE(topics))
		msg_put_text(b, msg_text(ok ? topics[k].ok : topics[k].missing, c->lang),
			     (const char *const (*)[2])pairs, n);
	else
		for (size_t i = 0; i < n; i++)
			buf_printf(b, "%s%s %s", i ? ", " : "", pairs[i][0], pairs[i][1]);
	buf_adds(b, "\n");
	for (size_t i = 0; i < n; i++)
		free(values[i]);
}

static void ready_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *ns, *it, *next;

	if (!cJSON_GetArraySize(json_get(doc, "items")))
		no_workloads(c, b);
	cJSON_ArrayForEach(ns, json_get(doc, "items")) {
		auto_free char *window = NULL, *last = NULL;
		const cJSON *w = json_get(ns, "window");
		char accesses[24], lost[24];

		window = duration_text(json_i64(w, "ms", -1));
		last = duration_text(json_i64(ns, "lastNewMs", -1));
		put_line(c, b, json_bool(ns, "ready", false) ? M_READY : M_NOT_READY, "namespace",
			 json_str(ns, "namespace"), "window", window, "accesses",
			 num_str(accesses, json_i64(ns, "accesses", 0)), "last", last, "lost",
			 num_str(lost, json_i64(ns, "lost", 0)), NULL);
		cJSON_ArrayForEach(it, json_get(ns, "items"))
			ready_item(c, it, b);
		cJSON_ArrayForEach(next, json_get(ns, "next")) {
			if (cJSON_IsString(next))
				put_next(c, b, next->valuestring);
		}
	}
}

int cmd_ready(struct ctl *c)
{
	static const struct view v = { .name_key = "namespace", .before = ready_human };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	struct query q = {};
	const cJSON *ns;
	int r;

	query_flags(c, &q);
	if (flag_given(c, FLAG_WATCH))
		return list_run(c, "/v1/ready", &q, &v);
	r = api_get(c, "/v1/ready", &q, &doc);
	query_done(&q);
	r = r ?: emit(c, doc, &v);
	if (r)
		return r;
	cJSON_ArrayForEach(ns, json_get(doc, "items")) {
		if (!json_bool(ns, "ready", false))
			return EXIT_NO;
	}
	return 0;
}

/* ---- query ----------------------------------------------------------------------------------- */

static void chain_put(struct ctl *c, const cJSON *side, struct buf *b)
{
	const cJSON *step;
	bool any = false;

	cJSON_ArrayForEach(step, json_get(side, "chain")) {
		const char *result = json_str(step, "result") ?: "-", *rule = json_str(step, "rule");

		buf_adds(b, any ? " > " : "");
		put_str(b, json_str(step, "tier"));
		buf_adds(b, " ");
		if (rule && *rule) {
			put_str(b, rule);
			buf_adds(b, " ");
		}
		put_verdict(c, b, result);
		any = true;
	}
}

static void query_side(struct ctl *c, const cJSON *doc, const char *name, struct buf *b)
{
	const cJSON *side = json_get(doc, name);

	buf_printf(b, "  %-8s ", name);
	if (!cJSON_IsObject(side)) {
		buf_adds(b, msg_text(M_QUERY_NOT_HERE, c->lang));
		buf_adds(b, "\n");
		return;
	}
	put_str(b, json_str(side, "workload"));
	msg_put(b, c->lang, M_QUERY_MODE, "mode", json_str(side, "mode"), "from", json_str(side, "modeFrom"), NULL);
	chain_put(c, side, b);
	buf_adds(b, ": ");
	put_verdict(c, b, json_str(side, "outcome"));
	buf_adds(b, "\n");
}

static bool side_blocks(const cJSON *doc, const char *name)
{
	const char *o = json_str(json_get(doc, name), "outcome");

	return o && !strcmp(o, "block");
}

static void query_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *members = json_get(doc, "members"), *now = json_get(doc, "now"), *via = json_get(doc, "via");
	bool eg = side_blocks(doc, "egress"), in = side_blocks(doc, "ingress");
	char gen[24], n1[24], n2[24], n3[24];
	const char *g = num_str(gen, json_i64(doc, "generation", 0));

	put_line(c, b, json_bool(doc, "passes", false) ? M_QUERY_PASSES :
		       eg && in			       ? M_QUERY_BOTH :
		       eg			       ? M_QUERY_EGRESS :
							 M_QUERY_INGRESS,
		 "src", json_str(doc, "src"), "dst", json_str(doc, "dst"), "port", json_str(doc, "port"),
		 "generation", g, NULL);
	if (cJSON_IsObject(now))
		put_line(c, b, M_QUERY_NOW, "egress", json_str(now, "egress"), "ingress",
			 json_str(now, "ingress"), NULL);
	if (json_i64(members, "pairs", 1) > 1)
		put_line(c, b, M_QUERY_MEMBERS, "pairs", num_str(n1, json_i64(members, "pairs", 0)), "passing",
			 num_str(n2, json_i64(members, "passing", 0)), "src",
			 json_str(json_get(doc, "pair"), "src"), "dst", json_str(json_get(doc, "pair"), "dst"),
			 NULL);
	if (cJSON_IsObject(via))
		put_line(c, b, M_QUERY_VIA, "service", json_str(via, "service"), "address", json_str(via, "address") ?: "",
			 "port", json_str(via, "port"), "backend", json_str(via, "backend") ?: "-", "target",
			 json_str(via, "target") ?: "", "ready", num_str(n1, json_i64(via, "ready", 0)), "backends",
			 num_str(n2, json_i64(via, "backends", 0)), "admits", num_str(n3, json_i64(via, "admits", 0)), NULL);
	query_side(c, doc, "egress", b);
	query_side(c, doc, "ingress", b);
}

int cmd_query(struct ctl *c)
{
	static const struct view v = { .before = query_human };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	auto_free char *assume = flag_join(c, FLAG_ASSUME);
	struct query q = {};
	int r;

	query_add(&q, "src", c->args[0]);
	query_add(&q, "dst", c->args[1]);
	query_add(&q, "port", c->args[2]);
	query_add(&q, "assume", assume);
	r = api_get(c, "/v1/query", &q, &doc);
	query_done(&q);
	r = r ?: emit(c, doc, &v);
	return r ?: json_bool(doc, "passes", false) ? 0 : EXIT_NO;
}
