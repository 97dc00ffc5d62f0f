/* SPDX-License-Identifier: Apache-2.0 */
/* What is found in rule sets, and what is not: every kind beside its near misses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lint.h"

/* Three namespaces: shop has web-1, web-2 and cart-1, data has db-0, ops has dns-1 and no account. */
struct bench { struct policy_state st; struct policy_lint l; };

static void workload(struct policy_state *st, const char *ns, const char *name, const char *ctl, const char *app, unsigned n)
{
	struct workload *w;
	char text[64];

	st->workloads = realloc(st->workloads, (st->nworkloads + 1) * sizeof(*w));
	w = &st->workloads[st->nworkloads++];
	*w = (struct workload){ .ns = strdup(ns), .name = strdup(name), .controller_kind = strdup("Deployment"),
				.controller_name = strdup(ctl), .naddrs = 1 };
	assert_int_equal(labels_set(&w->labels, "app", app), 0);
	w->addrs = calloc(1, sizeof(*w->addrs));
	snprintf(text, sizeof(text), "10.20.0.%u", n);
	assert_int_equal(addr_parse(text, w->addrs), 0);
}

static void service(struct policy_state *st, const char *ns, const char *name, const char *app)
{
	struct service *s;

	st->services = realloc(st->services, (st->nservices + 1) * sizeof(*s));
	s = &st->services[st->nservices++];
	*s = (struct service){ .ns = strdup(ns), .name = strdup(name), .naddrs = 1, .nports = 1 };
	s->selector.set = true;
	assert_int_equal(labels_set(&s->selector.match, "app", app), 0);
	s->addrs = calloc(1, sizeof(*s->addrs));
	assert_int_equal(addr_parse("10.96.0.10", s->addrs), 0);
	s->ports = calloc(1, sizeof(*s->ports));
	s->ports->proto = 6;
	s->ports->port = 80;
	s->ports->target = 8080;
}

static void world(struct policy_state *st)
{
	*st = (struct policy_state){ .default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_BLOCK };
	workload(st, "shop", "web-1", "web", "web", 1);
	workload(st, "shop", "web-2", "web", "web", 2);
	workload(st, "shop", "cart-1", "cart", "cart", 3);
	workload(st, "data", "db-0", "db", "db", 4);
	workload(st, "ops", "dns-1", "dns", "dns", 5);
	service(st, "shop", "web", "web");
	service(st, "shop", "ghost", "nobody");
}

/* One rule in a row: "NAME ORIGIN ACTION FROM TO PORTS [off|alert]"; FROM and TO as NS[/APP], *, CIDR,
 * svc:NS/NAME, pod:NS/NAME, fqdn:NAME. */
static void selector(const char *s, struct selector *to)
{
	char buf[64], *slash;

	memset(to, 0, sizeof(*to));
	to->kind = SEL_WORKLOAD;
	snprintf(buf, sizeof(buf), "%s", s);
	if (!strcmp(s, "*")) {
		to->kind = SEL_ANY;
		return;
	}
	if (!prefix_parse(s, &to->cidr)) {
		to->kind = SEL_CIDR;
		return;
	}
	slash = strchr(buf, '/');
	if (slash)
		*slash++ = 0;
	if (!strncmp(buf, "svc:", 4)) {
		to->kind = SEL_SERVICE;
		to->ns = strdup(buf + 4);
		to->service = strdup(slash);
		return;
	}
	if (!strncmp(buf, "fqdn:", 5)) {
		to->kind = SEL_FQDN;
		to->fqdn = strdup(buf + 5);
		return;
	}
	if (!strncmp(buf, "pod:", 4)) {
		to->ns = strdup(buf + 4);
		to->pod = strdup(slash);
		return;
	}
	to->ns = strdup(buf);
	if (slash) {
		to->labels.set = true;
		assert_int_equal(labels_set(&to->labels.match, "app", slash), 0);
	}
}

static void rules(struct policy_state *st, const char *text)
{
	char *copy = strdup(text), *line, *save = NULL;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[32], origin[16], action[16], from[64], to[64], port[32], how[16] = "";
		struct rule *r;

		assert_true(sscanf(line, "%31s %15s %15s %63s %63s %31s %15s", name, origin, action, from, to, port, how) >= 6);
		st->rules = realloc(st->rules, (st->nrules + 1) * sizeof(*r));
		r = &st->rules[st->nrules++];
		*r = (struct rule){ .id = (uint32_t)st->nrules, .name = strdup(name), .mode = CW_MODE_ENFORCE,
				    .enabled = strcmp(how, "off") != 0, .nfrom = 1, .nto = 1, .nports = 1 };
		if (!strcmp(how, "alert"))
			r->mode = CW_MODE_ALERT;
		assert_int_equal(rule_origin_parse(origin, &r->origin), 0);
		assert_int_equal(cw_action_parse(action, &r->action), 0);
		r->from = calloc(1, sizeof(*r->from));
		r->to = calloc(1, sizeof(*r->to));
		r->ports = calloc(1, sizeof(*r->ports));
		selector(from, r->from);
		selector(to, r->to);
		assert_int_equal(port_spec_parse(port, r->ports), 0);
	}
	free(copy);
}

/* "shadowed 2 by 1; contradiction 3 egress by 1+more" */
static char *told(const struct policy_lint *l)
{
	char *out = calloc(1, 4096);

	for (size_t i = 0; i < l->n; i++) {
		const struct lint_finding *f = &l->v[i];
		char *p = out + strlen(out), *end = out + 4096;

		p += snprintf(p, (size_t)(end - p), "%s%s", i ? "; " : "", lint_kind_str(f->kind) + 5);
		if (f->rule)
			p += snprintf(p, (size_t)(end - p), " %u", f->rule);
		if (f->side >= 0)
			p += snprintf(p, (size_t)(end - p), " %s", f->side == CW_EGRESS ? "egress" : "ingress");
		if (f->field)
			p += snprintf(p, (size_t)(end - p), " %s[%zu]", f->field, f->item);
		if (f->service)
			p += snprintf(p, (size_t)(end - p), " %s", f->service);
		if (f->src)
			p += snprintf(p, (size_t)(end - p), ":%u %s -> %s not %s", f->port, f->src, f->pass, f->block);
		for (unsigned k = 0; k < f->nby; k++)
			p += snprintf(p, (size_t)(end - p), "%s%u", k ? "," : " by ", f->by[k].rule);
	}
	return out;
}

static void test_kinds(void **state)
{
	static const struct { const char *what, *rules, *want; } rows[] = {
		{ "nothing", "a manual allow shop/web data tcp/5432", "" },
		/* shadowed */
		{ "a wider block before", "a manual block shop data tcp\nb manual allow shop/web data tcp/5432", "shadowed 2 by 1" },
		{ "only half of the ports", "a manual block shop data tcp/1-5432\nb manual allow shop/web data tcp/5432-5433", "" },
		{ "only one of two replicas", "a manual block pod:shop/web-1 data tcp\nb manual allow shop/web data tcp/5432", "" },
		{ "both replicas, one by one",
		  "a manual block pod:shop/web-1 data tcp\nb manual block pod:shop/web-2 data tcp\nc manual allow shop/web data tcp/5432",
		  "shadowed 3 by 1,2" },
		{ "only on the source's side", "a manual block shop/web data tcp\nb manual allow shop/web * tcp/5432", "" },
		{ "the same twice", "a manual allow shop/web data tcp/5432\nb manual allow shop/web data tcp/5432", "shadowed 2 by 1" },
		{ "manual before learned", "a manual allow shop data tcp/5432\nb learned allow shop/web data tcp/5432", "shadowed 2 by 1" },
		{ "learned beside manual", "a manual allow shop/cart data tcp/5432\nb learned allow shop/web data tcp/5432", "" },
		{ "disabled is not looked at", "a manual block shop data tcp\nb manual allow shop/web data tcp/5432 off", "" },
		{ "disabled shadows nothing", "a manual block shop data tcp off\nb manual allow shop/web data tcp/5432", "" },
		{ "simulated shadows nothing", "a manual block shop data tcp alert\nb manual allow shop/web data tcp/5432", "" },
		{ "simulated, and would decide nothing", "a manual block shop data tcp\nb manual allow shop/web data tcp/5432 alert",
		  "shadowed 2 by 1" },
		{ "block beats allow whatever the order", "a manual allow shop data tcp/5432\nb manual block shop/web data tcp/5432", "" },
		{ "the world is left", "a manual block * 203.0.113.0/24 tcp\nb manual allow shop 203.0.112.0/23 tcp", "" },
		{ "the world is covered", "a manual block * 203.0.112.0/23 tcp\nb manual allow shop 203.0.113.0/24 tcp", "shadowed 2 by 1" },
		/* contradictions */
		{ "the admin tier blocks all of it", "a admin block shop data any\nb manual allow shop/web data tcp/5432",
		  "contradiction 2 by 1" },
		{ "the admin tier allows what is blocked", "a admin allow shop data any\nb manual block shop/web data tcp/5432",
		  "contradiction 2 by 1" },
		{ "the admin tier says the same", "a admin allow shop data any\nb manual allow shop/web data tcp/5432",
		  "shadowed 2 by 1" },
		{ "on one side only", "a admin block pod:shop/web-1 data any\nb admin block pod:shop/web-2 data any\n"
		  "c manual allow shop/web * tcp/5432", "" },
		{ "the ingress side of it", "a admin block * data any\nb manual allow 198.51.100.0/24 data tcp/5432",
		  "contradiction 2 ingress by 1" },
		{ "half by the admin tier", "a admin block shop data tcp/1-5432\nb manual block shop data tcp\n"
		  "c manual allow shop/web data tcp/5432-5433", "shadowed 3 by 1,2" },
		/* unreachable */
		{ "no such app", "a manual allow shop/wbe data tcp/5432", "unreachable 1 from[0]" },
		{ "neither end", "a manual allow shop/wbe dta tcp/5432", "unreachable 1 from[0]; unreachable 1 to[0]" },
		{ "a named port that nobody has", "a manual allow shop/web data tcp/http", "unreachable 1" },
		{ "only itself", "a manual allow pod:data/db-0 pod:data/db-0 tcp/1", "unreachable 1" },
		{ "outside to outside", "a manual allow 198.51.100.0/24 203.0.113.0/24 tcp", "unreachable 1" },
		/* names */
		{ "a name", "a manual allow shop/web fqdn:pay.example.com tcp/443", "" },
		{ "the name's addresses are blocked", "a manual block shop * tcp\nb manual allow shop/web fqdn:pay.example.com tcp/443",
		  "shadowed 2 by 1" },
		{ "blocked somewhere only", "a manual block shop 203.0.113.0/24 tcp\nb manual allow shop/web fqdn:pay.example.com tcp/443",
		  "" },
		{ "a wildcard covers it", "a manual allow shop fqdn:*.example.com tcp/443\nb manual allow shop/web fqdn:pay.example.com tcp/443",
		  "shadowed 2 by 1" },
		{ "a name covers part of a wildcard",
		  "a manual allow shop fqdn:pay.example.com tcp/443\nb manual allow shop/web fqdn:*.example.com tcp/443", "" },
		/* services */
		{ "nobody behind it", "a manual allow shop/cart svc:shop/ghost tcp/80", "service-empty 1 to[0] shop/ghost" },
		{ "somebody behind it", "a manual allow shop/cart svc:shop/web tcp/80", "" },
		{ "backends differ", "a manual allow shop/cart pod:shop/web-1 tcp/8080",
		  "service-mixed egress shop/web:80 shop/pod/cart-1 -> shop/pod/web-1 not shop/pod/web-2" },
		{ "backends differ on another port", "a manual allow shop/cart pod:shop/web-1 tcp/9090", "" },
		{ "backends are alike", "a manual allow shop/cart shop/web tcp/8080", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fail_list f = {};
		struct bench b = {};
		char *got;
		int r;

		world(&b.st);
		rules(&b.st, rows[i].rules);
		r = policy_lint_make(&b.st, &f, &b.l);
		if (r)
			fail_msg("%s: %d %s", rows[i].what, r, f.n ? f.items[0].message : "");
		got = told(&b.l);
		if (strcmp(got, rows[i].want))
			fail_msg("%s: want \"%s\", got \"%s\"", rows[i].what, rows[i].want, got);
		free(got);
		policy_lint_done(&b.l);
		policy_state_done(&b.st);
		fail_list_done(&f);
	}
}

/* A quarantine passes: it shadows nothing. */
static void test_quarantine(void **state)
{
	struct policy_state st;
	struct policy_lint l;

	(void)state;
	world(&st);
	rules(&st, "a manual allow shop/cart data tcp/5432");
	st.quarantines = calloc(1, sizeof(*st.quarantines));
	st.nquarantines = 1;
	st.quarantines->name = strdup("q");
	st.quarantines->ns = strdup("shop");
	st.quarantines->pod = strdup("cart-1");
	assert_int_equal(policy_lint_make(&st, NULL, &l), 0);
	assert_int_equal(l.n, 0);
	policy_lint_done(&l);
	policy_state_done(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_quarantine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
