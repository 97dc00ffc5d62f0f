/* SPDX-License-Identifier: Apache-2.0 */
/* test_kpolicy.c - Kubernetes policies: what is valid, where the fault is, what is read. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/doc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/vec.h"
#include "policy/kpolicy.h"

static const char *const heads[] = {
	[KPOLICY_NP] = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}, spec: ",
	[KPOLICY_ANP] = "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {name: p}, spec: ",
	[KPOLICY_BANP] = "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: BaselineAdminNetworkPolicy, metadata: {name: default}, spec: ",
	[KPOLICY_CNP] = "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: p}, spec: ",
};

static int read_text(const char *text, struct fail_list *f, struct kpolicy *ret)
{
	struct yaml_docs y = {};
	struct doc d = { .file = "f.yaml", .prefix = "doc", .f = f };
	int r = yaml_parse(text, strlen(text), "f.yaml", f, &y);

	if (r < 0)
		fail_msg("%s: %s", text, f->n ? f->items[0].message : "?");
	assert_int_equal(y.n, 1);
	d.yaml = &y;
	r = kpolicy_read(&d, y.docs[0].root, ret);
	assert_int_equal(r, 0);
	assert_int_equal(d.faults, f->n + f->dropped);
	assert_string_equal(d.prefix, "doc");
	assert_null(d.object);
	assert_int_equal(d.path_len, 0);
	yaml_docs_done(&y);
	return f->n ? -EINVAL : 0;
}

static int read_spec(enum kpolicy_kind kind, const char *spec, struct fail_list *f, struct kpolicy *ret)
{
	struct buf b;
	int r;

	buf_init(&b, 1 << 20);
	buf_printf(&b, "%s%s}\n", heads[kind], spec);
	r = read_text(b.data, f, ret);
	buf_done(&b);
	return r;
}

/* "f.yaml:1, NetworkPolicy x/p, spec.ingress: ..." to the path. */
static bool at_path(const char *at, const char *path)
{
	const char *p = strstr(at, path);

	return p && p >= at + 2 && memcmp(p - 2, ", ", 2) == 0 && (!p[strlen(path)] || p[strlen(path)] == ':');
}

/* One fault or none: name and path. */
struct row { const char *spec, *name, *path; };

static void check(enum kpolicy_kind kind, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct fail_list f = {};
		struct kpolicy k = {};
		int r = read_spec(kind, rows[i].spec, &f, &k);

		if (!rows[i].name) {
			if (r)
				fail_msg("%s: refused: %s at %s", rows[i].spec, f.items[0].message, f.items[0].at);
			kpolicy_done(&k);
		} else {
			if (r == 0)
				fail_msg("%s: taken", rows[i].spec);
			if (f.n != 1 || strcmp(f.items[0].name, rows[i].name) != 0 ||
			    !at_path(f.items[0].at, rows[i].path))
				fail_msg("%s: %zu faults, the first %s (%s) at %s", rows[i].spec, f.n,
					 f.items[0].name, f.items[0].message, f.items[0].at);
			assert_null(k.json);
		}
		fail_list_done(&f);
	}
}

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define P(x) "{ingress: [{ports: [" x "]}]}"
#define FROM(x) "{ingress: [{from: [" x "]}]}"
#define IP(x) "{egress: [{to: [{ipBlock: {" x "}}]}]}"

static void networkpolicy_ports(void **state)
{
	static const struct row rows[] = {
		{ P("{}"), NULL, NULL },
		{ P("null"), NULL, NULL },
		{ P("{protocol: TCP}"), NULL, NULL },
		{ P("{protocol: SCTP, port: 1}"), NULL, NULL },
		{ P("{protocol: UDP, port: 65535}"), NULL, NULL },
		{ P("{protocol: null, port: null, endPort: null}"), NULL, NULL },
		{ P("{port: web}"), NULL, NULL },
		{ P("{port: a-1-b-2}"), NULL, NULL },
		{ P("{port: 1a}"), NULL, NULL },
		{ P("{port: abcdefghijklmno}"), NULL, NULL },
		{ P("{port: 80, endPort: 80}"), NULL, NULL },
		{ P("{port: 1, endPort: 65535}"), NULL, NULL },
		{ P("{port: 0}"), "policy.range", "spec.ingress[0].ports[0].port" },
		{ P("{port: -1}"), "policy.range", "spec.ingress[0].ports[0].port" },
		{ P("{port: 65536}"), "policy.range", "spec.ingress[0].ports[0].port" },
		{ P("{port: 80.5}"), "policy.range", "spec.ingress[0].ports[0].port" },
		{ P("{port: 4294967376}"), "policy.range", "spec.ingress[0].ports[0].port" },
		{ P("{port: true}"), "policy.type", "spec.ingress[0].ports[0].port" },
		{ P("{port: [80]}"), "policy.type", "spec.ingress[0].ports[0].port" },
		{ P("{port: ''}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: '80'}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: Web}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: a--b}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: '-ab'}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: ab-}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: a_b}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: 'a b'}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{port: abcdefghijklmnop}"), "policy.port-name", "spec.ingress[0].ports[0].port" },
		{ P("{protocol: tcp}"), "policy.word", "spec.ingress[0].ports[0].protocol" },
		{ P("{protocol: ''}"), "policy.word", "spec.ingress[0].ports[0].protocol" },
		{ P("{protocol: ICMP}"), "policy.word", "spec.ingress[0].ports[0].protocol" },
		{ P("{protocol: 6}"), "policy.type", "spec.ingress[0].ports[0].protocol" },
		{ P("{endPort: 80}"), "policy.end-port", "spec.ingress[0].ports[0].endPort" },
		{ P("{port: null, endPort: 80}"), "policy.end-port", "spec.ingress[0].ports[0].endPort" },
		{ P("{port: web, endPort: 80}"), "policy.end-port", "spec.ingress[0].ports[0].endPort" },
		{ P("{endPort: 79, port: 80}"), "policy.end-port", "spec.ingress[0].ports[0].endPort" },
		{ P("{port: 80, endPort: 65536}"), "policy.range", "spec.ingress[0].ports[0].endPort" },
		{ P("{port: 80, endPort: 0}"), "policy.range", "spec.ingress[0].ports[0].endPort" },
		{ P("{port: 80, endPort: '90'}"), "policy.type", "spec.ingress[0].ports[0].endPort" },
		{ P("{}, {portt: 80}"), "policy.unknown-field", "spec.ingress[0].ports[1].portt" },
		{ P("80"), "policy.type", "spec.ingress[0].ports[0]" },
		{ "{ingress: [{ports: 80}]}", "policy.type", "spec.ingress[0].ports" },
		{ "{egress: [{}, {ports: [{port: 0}]}]}", "policy.range", "spec.egress[1].ports[0].port" },
	};

	(void)state;
	check(KPOLICY_NP, rows, ARRAY_SIZE(rows));
}

static void networkpolicy_peers(void **state)
{
	static const struct row rows[] = {
		{ FROM("{podSelector: {}}"), NULL, NULL },
		{ FROM("{namespaceSelector: {}}"), NULL, NULL },
		{ FROM("{podSelector: {}, namespaceSelector: {matchLabels: {a: b}}}"), NULL, NULL },
		{ FROM("{podSelector: null, namespaceSelector: {}}"), NULL, NULL },
		{ FROM("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: null}"), NULL, NULL },
		{ FROM("{}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ FROM("null"), "policy.peer", "spec.ingress[0].from[0]" },
		{ FROM("{podSelector: null}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ FROM("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ FROM("{namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ FROM("{serviceAccounts: {}}"), "policy.unknown-field", "spec.ingress[0].from[0].serviceAccounts" },
		{ FROM("{podSelector: {}, matchLabels: {}}"), "policy.unknown-field", "spec.ingress[0].from[0].matchLabels" },
		{ FROM("{podSelector: {app: web}}"), "policy.unknown-field", "spec.ingress[0].from[0].podSelector.app" },
		{ FROM("{podSelector: []}"), "policy.type", "spec.ingress[0].from[0].podSelector" },
		{ FROM("{namespaceSelector: shop}"), "policy.type", "spec.ingress[0].from[0].namespaceSelector" },
		{ "{ingress: [{from: {podSelector: {}}}]}", "policy.type", "spec.ingress[0].from" },
		{ "{ingress: [{to: [{podSelector: {}}]}]}", "policy.unknown-field", "spec.ingress[0].to" },
		{ "{egress: [{from: [{podSelector: {}}]}]}", "policy.unknown-field", "spec.egress[0].from" },
		{ IP("cidr: 0.0.0.0/0"), NULL, NULL },
		{ IP("cidr: '::/0'"), NULL, NULL },
		{ IP("cidr: 10.1.2.3/8"), NULL, NULL },
		{ IP("cidr: 010.001.0.0/08"), NULL, NULL },
		{ IP("cidr: '::ffff:10.0.0.0/104', except: [10.1.0.0/16]"), NULL, NULL },
		{ IP("cidr: 10.0.0.0/8, except: null"), NULL, NULL },
		{ IP("cidr: 10.0.0.0/8, except: []"), NULL, NULL },
		{ IP("except: [10.1.9.9/16, 10.2.0.0/16], cidr: 10.0.0.0/8"), NULL, NULL },
		{ IP("cidr: 'fd00::/8', except: ['fd00:1::/64']"), NULL, NULL },
		{ IP(""), "policy.missing-field", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: null"), "policy.missing-field", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: ''"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.1"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: any"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.0/33"), "policy.cidr-length", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.0/-1"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.0/"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.0/8 "), NULL, NULL }, /* the blank is YAML's */
		{ IP("cidr: '10.0.0.0/8 '"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0/8"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.256/8"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.0.0/8"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 'fd00::/129'"), "policy.cidr-length", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 'fd00:::/8'"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 'fe80::1%eth0/64'"), "policy.cidr", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10"), "policy.type", "spec.egress[0].to[0].ipBlock.cidr" },
		{ IP("cidr: 10.0.0.0/8, except: [10.0.0.0/8]"), "policy.except-outside", "spec.egress[0].to[0].ipBlock.except[0]" },
		{ IP("cidr: 10.0.0.0/8, except: [10.0.0.0/7]"), "policy.except-outside", "spec.egress[0].to[0].ipBlock.except[0]" },
		{ IP("cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16]"), "policy.except-outside",
		  "spec.egress[0].to[0].ipBlock.except[1]" },
		{ IP("cidr: 10.0.0.0/8, except: ['fd00::/16']"), "policy.cidr-family", "spec.egress[0].to[0].ipBlock.except[0]" },
		{ IP("cidr: '::/0', except: ['10.0.0.0/8']"), "policy.cidr-family", "spec.egress[0].to[0].ipBlock.except[0]" },
		{ IP("cidr: 10.0.0.0/8, except: [10.1.0.1]"), "policy.cidr", "spec.egress[0].to[0].ipBlock.except[0]" },
		{ IP("cidr: 10.0.0.0/8, except: [null]"), "policy.type", "spec.egress[0].to[0].ipBlock.except[0]" },
		{ IP("cidr: 10.0.0.0/8, except: 10.1.0.0/16"), "policy.type", "spec.egress[0].to[0].ipBlock.except" },
		{ IP("cidr: 10.0.0.0/8, excepts: [10.1.0.0/16]"), "policy.unknown-field",
		  "spec.egress[0].to[0].ipBlock.excepts" },
	};

	(void)state;
	check(KPOLICY_NP, rows, ARRAY_SIZE(rows));
}

#define SEL(x) "{podSelector: {" x "}}"
#define EXPR(x) SEL("matchExpressions: [" x "]")
#define EX "spec.podSelector.matchExpressions[0]"

static void selectors(void **state)
{
	static const struct row rows[] = {
		{ "{}", NULL, NULL },
		{ "{podSelector: null}", NULL, NULL },
		{ SEL(""), NULL, NULL },
		{ SEL("matchLabels: null, matchExpressions: null"), NULL, NULL },
		{ SEL("matchLabels: {}, matchExpressions: []"), NULL, NULL },
		{ SEL("matchLabels: {a: '', example.com/b: c.d_e-f}"), NULL, NULL },
		{ SEL("matchLabels: {a: null}"), NULL, NULL },
		{ SEL("matchLabels: {A: " A60 "aaa}"), NULL, NULL },
		{ SEL("matchLabels: {" A60 A60 ".x/a: b}"), NULL, NULL },
		{ SEL("matchLabels: {x..y/a: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {x.-y/a: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {x-/a: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a: " A60 "aaaa}"), "policy.label-value", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {" A60 "aaaa: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {'': b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {bad key: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a/b/c: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {/a: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a/: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {Ex.com/a: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {-a: b}"), "policy.label-key", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a: b c}"), "policy.label-value", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a: b-}"), "policy.label-value", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a: .b}"), "policy.label-value", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a: 1}"), "policy.type", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: {a: true}"), "policy.type", "spec.podSelector.matchLabels" },
		{ SEL("matchLabels: [a]"), "policy.type", "spec.podSelector.matchLabels" },
		{ SEL("matchlabels: {a: b}"), "policy.unknown-field", "spec.podSelector.matchlabels" },
		{ EXPR("{key: k, operator: In, values: [a, '']}"), NULL, NULL },
		{ EXPR("{key: k, operator: NotIn, values: [a]}"), NULL, NULL },
		{ EXPR("{key: k, operator: Exists}"), NULL, NULL },
		{ EXPR("{key: k, operator: Exists, values: []}"), NULL, NULL },
		{ EXPR("{key: k, operator: DoesNotExist, values: null}"), NULL, NULL },
		{ EXPR("{key: k, operator: In}"), "policy.values", EX ".values" },
		{ EXPR("{key: k, operator: In, values: []}"), "policy.values", EX ".values" },
		{ EXPR("{key: k, operator: NotIn, values: null}"), "policy.values", EX ".values" },
		{ EXPR("{key: k, operator: Exists, values: [a]}"), "policy.values", EX ".values" },
		{ EXPR("{key: k, operator: DoesNotExist, values: [a]}"), "policy.values", EX ".values" },
		{ EXPR("{key: k, operator: in, values: [a]}"), "policy.word", EX ".operator" },
		{ EXPR("{key: k, operator: Gt, values: ['1']}"), "policy.word", EX ".operator" },
		{ EXPR("{key: k, operator: '', values: [a]}"), "policy.word", EX ".operator" },
		{ EXPR("{key: k, values: [a]}"), "policy.missing-field", EX ".operator" },
		{ EXPR("{operator: Exists}"), "policy.missing-field", EX ".key" },
		{ EXPR("{key: '', operator: Exists}"), "policy.label-key", EX ".key" },
		{ EXPR("{key: 'a b', operator: Exists}"), "policy.label-key", EX ".key" },
		{ EXPR("{key: k, operator: In, values: ['a b']}"), "policy.label-value", EX ".values[0]" },
		{ EXPR("{key: k, operator: In, values: [a, 1]}"), "policy.type", EX ".values[1]" },
		{ EXPR("{key: k, operator: In, values: a}"), "policy.type", EX ".values" },
		{ EXPR("{key: k, operator: Exists, value: a}"), "policy.unknown-field", EX ".value" },
		{ SEL("matchExpressions: {key: k, operator: Exists}"), "policy.type", "spec.podSelector.matchExpressions" },
	};

	(void)state;
	check(KPOLICY_NP, rows, ARRAY_SIZE(rows));
}

static void networkpolicy_shape(void **state)
{
	static const struct row rows[] = {
		{ "{policyTypes: null, ingress: null, egress: null}", NULL, NULL },
		{ "{policyTypes: [], ingress: [], egress: []}", NULL, NULL },
		{ "{policyTypes: [Egress, Ingress]}", NULL, NULL },
		{ "{policyTypes: [Egress, Egress]}", NULL, NULL },
		{ "{ingress: [{}], egress: [null]}", NULL, NULL },
		{ "{ingress: [{from: null, ports: null}]}", NULL, NULL },
		{ "{policyTypes: [Ingress, Egress, Ingress]}", "policy.too-many", "spec.policyTypes" },
		{ "{policyTypes: [Ingress, egress]}", "policy.word", "spec.policyTypes[1]" },
		{ "{policyTypes: [null]}", "policy.type", "spec.policyTypes[0]" },
		{ "{policyTypes: Ingress}", "policy.type", "spec.policyTypes" },
		{ "{policyType: [Ingress]}", "policy.unknown-field", "spec.policyType" },
		{ "{ingress: {}}", "policy.type", "spec.ingress" },
		{ "{ingress: [x]}", "policy.type", "spec.ingress[0]" },
		{ "{ingress: [{form: []}]}", "policy.unknown-field", "spec.ingress[0].form" },
		{ "{tier: Admin}", "policy.unknown-field", "spec.tier" },
		{ "[]", "policy.type", "spec" },
		{ "null", NULL, NULL },
	};

	(void)state;
	check(KPOLICY_NP, rows, ARRAY_SIZE(rows));
}

#define SUBJ "subject: {namespaces: {}}"
#define CNP(x) "{tier: Admin, priority: 5, " SUBJ ", " x "}"
#define ING(x) CNP("ingress: [{action: Deny, from: [{namespaces: {}}], " x "}]")
#define PROTO(x) ING("protocols: [" x "]")
#define PEER(x) CNP("ingress: [{action: Deny, from: [" x "]}]")
#define TO(action, x) CNP("egress: [{action: " action ", to: [" x "]}]")
#define R5 "{action: Deny, from: [{namespaces: {}}]},"
#define R25 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5 R5
#define N5 "{namespaces: {}},{namespaces: {}},{namespaces: {}},{namespaces: {}},{namespaces: {}},"
#define N25 N5 N5 N5 N5 N5
#define T5 "{tcp: {destinationPort: {number: 1}}},{tcp: {destinationPort: {number: 2}}},{udp: {destinationPort: {number: 3}}},{sctp: {destinationPort: {number: 4}}},{destinationNamedPort: web},"
#define T25 T5 T5 T5 T5 T5
#define C5(n) #n "0.1.0.0/16," #n "0.2.0.0/16," #n "0.3.0.0/16," #n "0.4.0.0/16," #n "0.5.0.0/16,"
#define C25 C5(1) C5(2) C5(3) C5(4) C5(5)
#define IP0 "spec.ingress[0].protocols[0]"

static void clusternetworkpolicy(void **state)
{
	static const struct row rows[] = {
		{ CNP("ingress: []"), NULL, NULL },
		{ CNP("ingress: null, egress: null"), NULL, NULL },
		{ "{tier: Baseline, priority: 0, " SUBJ "}", NULL, NULL },
		{ "{tier: Admin, priority: 1000, " SUBJ "}", NULL, NULL },
		{ "{tier: Admin, priority: 1001, " SUBJ "}", "policy.range", "spec.priority" },
		{ "{tier: Admin, priority: -1, " SUBJ "}", "policy.range", "spec.priority" },
		{ "{tier: Admin, priority: 1.5, " SUBJ "}", "policy.range", "spec.priority" },
		{ "{tier: Admin, priority: '5', " SUBJ "}", "policy.type", "spec.priority" },
		{ "{tier: Admin, " SUBJ "}", "policy.missing-field", "spec.priority" },
		{ "{tier: Admin, priority: null, " SUBJ "}", "policy.missing-field", "spec.priority" },
		{ "{priority: 5, " SUBJ "}", "policy.missing-field", "spec.tier" },
		{ "{tier: admin, priority: 5, " SUBJ "}", "policy.word", "spec.tier" },
		{ "{tier: NetworkPolicy, priority: 5, " SUBJ "}", "policy.word", "spec.tier" },
		{ "{tier: Admin, priority: 5}", "policy.missing-field", "spec.subject" },
		{ "{tier: Admin, priority: 5, subject: {}}", "policy.subject", "spec.subject" },
		{ "{tier: Admin, priority: 5, subject: {namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}}",
		  "policy.subject", "spec.subject" },
		{ "{tier: Admin, priority: 5, subject: {networks: [10.0.0.0/8]}}", "policy.unknown-field",
		  "spec.subject.networks" },
		{ "{tier: Admin, priority: 5, subject: []}", "policy.type", "spec.subject" },
		{ "{tier: Admin, priority: 5, subject: {pods: {namespaceSelector: {}, podSelector: {}}}}", NULL, NULL },
		{ "{tier: Admin, priority: 5, subject: {pods: {podSelector: {}}}}", NULL, NULL },
		{ "{tier: Admin, priority: 5, subject: {pods: {namespaceSelector: {}}}}", "policy.missing-field",
		  "spec.subject.pods.podSelector" },
		{ "{tier: Admin, priority: 5, subject: {namespaces: {matchLabels: {a b: c}}}}", "policy.label-key",
		  "spec.subject.namespaces.matchLabels" },
		{ CNP("ingress: [" R25 "]"), NULL, NULL },
		{ CNP("ingress: [" R25 R5 "]"), "policy.too-many", "spec.ingress" },
		{ ING("name: x"), NULL, NULL },
		{ ING("name: " A60 A10 A10 A10 A10), NULL, NULL },
		{ ING("name: " A60 A10 A10 A10 A10 "a"), "policy.too-long", "spec.ingress[0].name" },
		{ ING("name: '中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中'"), NULL, NULL },
		{ ING("names: x"), "policy.unknown-field", "spec.ingress[0].names" },
		{ ING("ports: []"), "policy.unknown-field", "spec.ingress[0].ports" },
		{ CNP("ingress: [{from: [{namespaces: {}}]}]"), "policy.missing-field", "spec.ingress[0].action" },
		{ CNP("ingress: [{action: Allow, from: [{namespaces: {}}]}]"), "policy.word", "spec.ingress[0].action" },
		{ CNP("ingress: [{action: Pass, from: [{namespaces: {}}]}]"), NULL, NULL },
		{ CNP("ingress: [{action: Deny}]"), "policy.missing-field", "spec.ingress[0].from" },
		{ CNP("ingress: [null]"), "policy.type", "spec.ingress[0]" },
		{ PEER(""), "policy.empty-list", "spec.ingress[0].from" },
		{ PEER(N25), NULL, NULL },
		{ PEER(N25 "{namespaces: {}}"), "policy.too-many", "spec.ingress[0].from" },
		{ PEER("{}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ PEER("{namespaces: null}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ PEER("{namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}"), "policy.peer",
		  "spec.ingress[0].from[0]" },
		{ PEER("{serviceAccounts: {}, namespaces: {}}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ PEER("{serviceAccounts: {matchLabels: {a: b}}}"), NULL, NULL },
		{ PEER("{namespace: {}}"), "policy.unknown-field", "spec.ingress[0].from[0].namespace" },
		{ PEER("{networks: [10.0.0.0/8]}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ PEER("{nodes: {}}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ PEER("{domainNames: [a.example.com]}"), "policy.peer", "spec.ingress[0].from[0]" },
		{ PEER("[]"), "policy.type", "spec.ingress[0].from[0]" },
		{ TO("Deny", "{nodes: {}}"), NULL, NULL },
		{ TO("Pass", "{networks: [10.1.2.3/8, 'fd00::/8']}"), NULL, NULL },
		{ TO("Deny", "{networks: [" C25 "]}"), NULL, NULL },
		{ TO("Deny", "{networks: [" C25 "9.9.9.9/32]}"), "policy.too-many", "spec.egress[0].to[0].networks" },
		{ TO("Deny", "{networks: []}"), "policy.empty-list", "spec.egress[0].to[0].networks" },
		{ TO("Deny", "{networks: [10.0.0.1]}"), "policy.cidr", "spec.egress[0].to[0].networks[0]" },
		{ TO("Deny", "{networks: [10.0.0.0/33]}"), "policy.cidr-length", "spec.egress[0].to[0].networks[0]" },
		{ TO("Deny", "{networks: ['fd00::1']}"), "policy.cidr", "spec.egress[0].to[0].networks[0]" },
		{ TO("Deny", "{networks: [010.0.0.0/8]}"), "policy.cidr", "spec.egress[0].to[0].networks[0]" },
		{ TO("Deny", "{networks: [10.0.0.0/08]}"), "policy.cidr", "spec.egress[0].to[0].networks[0]" },
		{ TO("Deny", "{networks: ['::ffff:10.0.0.0/104']}"), "policy.cidr", "spec.egress[0].to[0].networks[0]" },
		{ TO("Deny", "{networks: [10.0.0.0/8, 11.0.0.0/8, 10.0.0.0/8]}"), "policy.duplicate",
		  "spec.egress[0].to[0].networks[2]" },
		{ TO("Accept", "{domainNames: [kubernetes.io, '*.Example.com.', a_b.c-d.x1]}"), NULL, NULL },
		{ TO("Deny", "{domainNames: [kubernetes.io]}"), "policy.fqdn-block", "spec.egress[0].to[0].domainNames" },
		{ TO("Pass", "{nodes: {}}, {domainNames: [kubernetes.io]}"), "policy.fqdn-block",
		  "spec.egress[0].to[1].domainNames" },
		{ CNP("egress: [{to: [{domainNames: [kubernetes.io]}], action: Deny}]"), "policy.fqdn-block",
		  "spec.egress[0].to[0].domainNames" },
		{ TO("Accept", "{domainNames: [io]}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: ['*']}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: ['*.io']}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: ['a.*.io']}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: ['*a.example.io']}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: [a..io]}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: [-a.io]}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: ['']}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: ['.']}"), "policy.fqdn", "spec.egress[0].to[0].domainNames[0]" },
		{ TO("Accept", "{domainNames: [a.io, a.io]}"), "policy.duplicate", "spec.egress[0].to[0].domainNames[1]" },
		{ TO("Accept", "{domainNames: []}"), "policy.empty-list", "spec.egress[0].to[0].domainNames" },
		{ PROTO("{tcp: {destinationPort: {number: 80}}}"), NULL, NULL },
		{ PROTO("{sctp: {destinationPort: {range: {start: 80, end: 81}}}}"), NULL, NULL },
		{ PROTO("{destinationNamedPort: web}"), NULL, NULL },
		{ PROTO(T25), NULL, NULL },
		{ PROTO(T25 "{destinationNamedPort: web}"), "policy.too-many", "spec.ingress[0].protocols" },
		{ PROTO(""), "policy.empty-list", "spec.ingress[0].protocols" },
		{ PROTO("{}"), "policy.protocol", IP0 },
		{ PROTO("{tcp: {destinationPort: {number: 80}}, udp: {destinationPort: {number: 80}}}"), "policy.protocol", IP0 },
		{ PROTO("{icmp: {type: 8}}"), "policy.unknown-field", IP0 ".icmp" },
		{ PROTO("{TCP: {destinationPort: {number: 80}}}"), "policy.unknown-field", IP0 ".TCP" },
		{ PROTO("{tcp: {}}"), "policy.protocol", IP0 ".tcp" },
		{ PROTO("{tcp: {destinationPort: {}}}"), "policy.port", IP0 ".tcp.destinationPort" },
		{ PROTO("{tcp: {destinationPort: {number: 80, range: {start: 1, end: 2}}}}"), "policy.port",
		  IP0 ".tcp.destinationPort" },
		{ PROTO("{tcp: {destinationPort: 80}}"), "policy.type", IP0 ".tcp.destinationPort" },
		{ PROTO("{tcp: {destinationPort: {number: 0}}}"), "policy.range", IP0 ".tcp.destinationPort.number" },
		{ PROTO("{tcp: {destinationPort: {number: 65536}}}"), "policy.range", IP0 ".tcp.destinationPort.number" },
		{ PROTO("{tcp: {destinationPort: {number: web}}}"), "policy.type", IP0 ".tcp.destinationPort.number" },
		{ PROTO("{udp: {destinationPort: {range: {start: 80}}}}"), "policy.missing-field",
		  IP0 ".udp.destinationPort.range.end" },
		{ PROTO("{udp: {destinationPort: {range: {start: 0, end: 80}}}}"), "policy.range",
		  IP0 ".udp.destinationPort.range.start" },
		{ PROTO("{udp: {destinationPort: {range: {start: 80, end: 80}}}}"), "policy.port-range",
		  IP0 ".udp.destinationPort.range" },
		{ PROTO("{udp: {destinationPort: {range: {start: 81, end: 80}}}}"), "policy.port-range",
		  IP0 ".udp.destinationPort.range" },
		{ PROTO("{destinationNamedPort: ''}"), "policy.port-name", IP0 ".destinationNamedPort" },
		{ PROTO("{destinationNamedPort: 80}"), "policy.type", IP0 ".destinationNamedPort" },
		{ CNP("egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: web}]}]"),
		  "policy.named-port", "spec.egress[0]" },
		{ CNP("egress: [{action: Deny, to: [{pods: {podSelector: {}}}], protocols: [{destinationNamedPort: web}]}]"),
		  NULL, NULL },
		{ CNP("podSelector: {}"), "policy.unknown-field", "spec.podSelector" },
	};

	(void)state;
	check(KPOLICY_CNP, rows, ARRAY_SIZE(rows));
}

#define ANP(x) "{priority: 5, " SUBJ ", " x "}"
#define AP(x) ANP("ingress: [{action: Deny, from: [{namespaces: {}}], ports: [" x "]}]")
#define ATO(action, x) ANP("egress: [{action: " action ", to: [" x "]}]")
#define AP0 "spec.ingress[0].ports[0]"
#define R100 R25 R25 R25 R25
#define N100 N25 N25 N25 N25

static void adminnetworkpolicy(void **state)
{
	static const struct row rows[] = {
		{ ANP("ingress: []"), NULL, NULL },
		{ "{" SUBJ "}", "policy.missing-field", "spec.priority" },
		{ "{priority: 1001, " SUBJ "}", "policy.range", "spec.priority" },
		{ "{tier: Admin, priority: 1, " SUBJ "}", "policy.unknown-field", "spec.tier" },
		{ "{priority: 1}", "policy.missing-field", "spec.subject" },
		{ "{priority: 1, subject: {pods: {podSelector: {}}}}", "policy.missing-field",
		  "spec.subject.pods.namespaceSelector" },
		{ ANP("ingress: [" R100 "]"), NULL, NULL },
		{ ANP("ingress: [" R100 R5 "]"), "policy.too-many", "spec.ingress" },
		{ ANP("ingress: [{action: Accept, from: [{namespaces: {}}]}]"), "policy.word", "spec.ingress[0].action" },
		{ ANP("ingress: [{action: Allow, from: [{namespaces: {}}]}]"), NULL, NULL },
		{ ANP("ingress: [{action: Pass, from: [" N100 "]}]"), NULL, NULL },
		{ ANP("ingress: [{action: Pass, from: [" N100 "{namespaces: {}}]}]"), "policy.too-many", "spec.ingress[0].from" },
		{ ANP("ingress: [{action: Pass, from: []}]"), "policy.empty-list", "spec.ingress[0].from" },
		{ ANP("ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]"), "policy.peer", "spec.ingress[0].from[0]" },
		{ ATO("Allow", "{domainNames: [example.com]}"), NULL, NULL },
		{ ATO("Pass", "{domainNames: [example.com]}"), "policy.fqdn-block", "spec.egress[0].to[0].domainNames" },
		{ ATO("Deny", "{networks: [10.0.0.0]}"), "policy.cidr", "spec.egress[0].to[0].networks[0]" },
		{ AP("{portNumber: {port: 80}}"), NULL, NULL },
		{ AP("{portNumber: {protocol: SCTP, port: 80}}"), NULL, NULL },
		{ AP("{portRange: {start: 1, end: 65535}}"), NULL, NULL },
		{ AP("{namedPort: web}"), NULL, NULL },
		{ AP(""), "policy.empty-list", "spec.ingress[0].ports" },
		{ AP("{}"), "policy.port", AP0 },
		{ AP("{namedPort: web, portNumber: {port: 80}}"), "policy.port", AP0 },
		{ AP("{portNumber: {protocol: tcp, port: 80}}"), "policy.word", AP0 ".portNumber.protocol" },
		{ AP("{portNumber: {protocol: TCP}}"), "policy.missing-field", AP0 ".portNumber.port" },
		{ AP("{portNumber: {port: 70000}}"), "policy.range", AP0 ".portNumber.port" },
		{ AP("{portRange: {start: 2, end: 1}}"), "policy.port-range", AP0 ".portRange" },
		{ AP("{portRange: {end: 1}}"), "policy.missing-field", AP0 ".portRange.start" },
		{ AP("{port: 80}"), "policy.unknown-field", AP0 ".port" },
		{ AP("{portnumber: {port: 80}}"), "policy.unknown-field", AP0 ".portnumber" },
		{ ANP("egress: [{action: Deny, to: [{nodes: {}}], ports: [{namedPort: web}]}]"), "policy.named-port",
		  "spec.egress[0]" },
	};
	static const struct row baseline[] = {
		{ "{" SUBJ "}", NULL, NULL },
		{ "{priority: 1, " SUBJ "}", "policy.unknown-field", "spec.priority" },
		{ "{" SUBJ ", ingress: [{action: Allow, from: [{namespaces: {}}]}]}", NULL, NULL },
		{ "{" SUBJ ", ingress: [{action: Deny, from: [{namespaces: {}}]}]}", NULL, NULL },
		{ "{" SUBJ ", ingress: [{action: Pass, from: [{namespaces: {}}]}]}", "policy.word", "spec.ingress[0].action" },
		{ "{" SUBJ ", egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]}", NULL, NULL },
		{ "{" SUBJ ", egress: [{action: Allow, to: [{domainNames: [a.io]}]}]}", "policy.peer", "spec.egress[0].to[0]" },
	};

	(void)state;
	check(KPOLICY_ANP, rows, ARRAY_SIZE(rows));
	check(KPOLICY_BANP, baseline, ARRAY_SIZE(baseline));
}

static void head(void **state)
{
#define NP_HEAD "apiVersion: networking.k8s.io/v1, kind: NetworkPolicy"
	static const struct { const char *text, *name, *path; } rows[] = {
		{ "{" NP_HEAD ", metadata: {name: a.b-c, namespace: x, labels: {a: b}, annotations: {x/y: '1'},"
		  " uid: u, resourceVersion: '1', generation: 2, creationTimestamp: null, managedFields: [{}],"
		  " ownerReferences: [], finalizers: [f]}, spec: {}, status: {conditions: []}}", NULL, NULL },
		{ "{" NP_HEAD ", metadata: {name: a}}", NULL, NULL },
		{ "{" NP_HEAD ", metadata: {name: a, namespace: ''}}", NULL, NULL },
		{ "{" NP_HEAD "}", "policy.missing-field", "metadata.name" },
		{ "{" NP_HEAD ", metadata: null}", "policy.missing-field", "metadata.name" },
		{ "{" NP_HEAD ", metadata: []}", "policy.type", "metadata" },
		{ "{" NP_HEAD ", metadata: {generateName: a-}}", "policy.missing-field", "metadata.name" },
		{ "{" NP_HEAD ", metadata: {name: ''}}", "policy.name", "metadata.name" },
		{ "{" NP_HEAD ", metadata: {name: a-.b}}", "policy.name", "metadata.name" },
		{ "{" NP_HEAD ", metadata: {name: .a}}", "policy.name", "metadata.name" },
		{ "{" NP_HEAD ", metadata: {name: a.}}", "policy.name", "metadata.name" },
		{ "{" NP_HEAD ", metadata: {name: A}}", "policy.name", "metadata.name" },
		{ "{" NP_HEAD ", metadata: {name: 1}}", "policy.type", "metadata.name" },
		{ "{" NP_HEAD ", metadata: {name: a, namespace: a.b}}", "policy.name", "metadata.namespace" },
		{ "{" NP_HEAD ", metadata: {name: a, labels: {a: b c}}}", "policy.label-value", "metadata.labels.a" },
		{ "{" NP_HEAD ", metadata: {name: a, labels: {a: 1}}}", "policy.type", "metadata.labels.a" },
		{ "{" NP_HEAD ", metadata: {name: a, annotations: {a: 1}}}", "policy.type", "metadata.annotations.a" },
		{ "{" NP_HEAD ", metadata: {name: a, annotations: {a b: c}}}", "policy.annotation-key", "metadata.annotations.a b" },
		{ "{" NP_HEAD ", metadata: {name: a, lables: {a: b}}}", "policy.unknown-field", "metadata.lables" },
		{ "{" NP_HEAD ", metadata: {name: a}, specs: {}}", "policy.unknown-field", "specs" },
		{ "{apiVersion: networking.k8s.io/v1beta1, kind: NetworkPolicy, metadata: {name: a}}", "policy.api-version",
		  "apiVersion" },
		{ "{kind: NetworkPolicy, metadata: {name: a}}", "policy.missing-field", "apiVersion" },
		{ "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: ClusterNetworkPolicy, metadata: {name: a},"
		  " spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}}", "policy.api-version", "apiVersion" },
		{ "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: a}}",
		  "policy.missing-field", "spec" },
		{ "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: BaselineAdminNetworkPolicy, metadata: {name: a},"
		  " spec: {subject: {namespaces: {}}}}", "policy.name", "metadata.name" },
		{ "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy,"
		  " metadata: {name: a, namespace: dropped}, spec: {priority: 1, subject: {namespaces: {}}}}", NULL, NULL },
		{ "{apiVersion: v1, kind: Pod}", "doc.word", "kind" },
		{ "{apiVersion: v1}", "doc.word", "kind" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fail_list f = {};
		struct kpolicy k = {};
		int r = read_text(rows[i].text, &f, &k);

		if ((r < 0) != (rows[i].name != NULL) || (r < 0 && (f.n != 1 || strcmp(f.items[0].name, rows[i].name) != 0 ||
								   !at_path(f.items[0].at, rows[i].path))))
			fail_msg("%s: %zu faults, the first %s at %s", rows[i].text, f.n, f.n ? f.items[0].name : "-",
				 f.n ? f.items[0].at : "-");
		kpolicy_done(&k);
		fail_list_done(&f);
	}
}

/* All faults of one object at once, in its order, each with object and place. */
static void places(void **state)
{
	static const char *const want[] = {
		"f.yaml:8, NetworkPolicy shop/api, spec.podSelector.matchLabels",
		"f.yaml:13, NetworkPolicy shop/api, spec.ingress[0].ports[1].endPort: 8000",
		"f.yaml:15, NetworkPolicy shop/api, spec.ingress[1].form",
	};
	static const char text[] =
		"apiVersion: networking.k8s.io/v1\n"
		"kind: NetworkPolicy\n"
		"metadata:\n"
		"  namespace: shop\n"
		"  name: api\n"
		"spec:\n"
		"  podSelector:\n"
		"    matchLabels: {app: a b}\n"
		"  ingress:\n"
		"  - ports:\n"
		"    - port: 80\n"
		"    - port: 9000\n"
		"      endPort: 8000\n"
		"  - ports: []\n"
		"    form: []\n";
	struct fail_list f = {};
	struct kpolicy k = {};

	(void)state;
	assert_int_equal(read_text(text, &f, &k), -EINVAL);
	assert_int_equal(f.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(f.items[i].at, want[i]);
	assert_string_equal(f.items[1].message, "endPort 8000 is below port 9000");
	assert_string_equal(f.items[1].expected, "9000 to 65535");
	fail_list_done(&f);
}

static void kinds(void **state)
{
	static const struct { const char *json; bool is; } rows[] = {
		{ "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\"}", true },
		{ "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ClusterNetworkPolicy\"}", false },
		{ "{\"apiVersion\":\"policy.networking.k8s.io/v1alpha2\",\"kind\":\"ClusterNetworkPolicy\"}", true },
		{ "{\"apiVersion\":\"policy.networking.k8s.io/v1alpha1\",\"kind\":\"BaselineAdminNetworkPolicy\"}", true },
		{ "{\"apiVersion\":\"cellwall.io/v1alpha1\",\"kind\":\"AccessRule\"}", false },
		{ "{\"kind\":7}", false }, { "{}", false }, { "[]", false }, { "3", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cJSON *j = cJSON_Parse(rows[i].json);
		struct kpolicy k = {};

		assert_int_equal(kpolicy_is(j), rows[i].is);
		if (!rows[i].is)
			assert_int_equal(kpolicy_parse(j, "body", NULL, &k), -EINVAL);
		cJSON_Delete(j);
	}
	assert_false(kpolicy_is(NULL));
}

/* ---- corpora --------------------------------------------------------------------------------- */

static void corpus(const char *path, size_t least)
{
	char *text = NULL;
	size_t len = 0, n = 0;
	cJSON *all = NULL, *c;

	assert_int_equal(read_all_path(path, 16 << 20, &text, &len), 0);
	assert_int_equal(json_parse(text, len, path, NULL, &all), 0);
	cJSON_ArrayForEach(c, all) {
		const char *name = json_str(c, "name"), *at = json_str(c, "path");
		bool valid = json_bool(c, "valid", false);
		struct fail_list f = {};
		struct kpolicy k = {};
		int r = kpolicy_parse(json_get(c, "object"), "body", &f, &k);

		if ((r == 0) != valid)
			fail_msg("%s: %s", name, r ? f.items[0].message : "taken");
		if (!valid && at && !at_path(f.items[0].at, at))
			fail_msg("%s: fault at %s, not at %s", name, f.items[0].at, at);
		if (r == 0)
			kpolicy_done(&k);
		fail_list_done(&f);
		n++;
	}
	assert_true(n >= least);
	cJSON_Delete(all);
	free(text);
}

static void corpora(void **state)
{
	(void)state;
	corpus("selftests/data/corpora/networkpolicy/validation.json", 41);
	corpus("selftests/data/corpora/clusterpolicy/validation.json", 13);
}

/* ---- what is read ------------------------------------------------------------------------------ */

static void get(enum kpolicy_kind kind, const char *spec, struct kpolicy *ret)
{
	struct fail_list f = {};

	if (read_spec(kind, spec, &f, ret) < 0)
		fail_msg("%s: %s at %s", spec, f.items[0].message, f.items[0].at);
	fail_list_done(&f);
}

static void isolation(void **state)
{
	static const struct { const char *spec; bool in, out; } rows[] = {
		{ "{}", true, false },
		{ "{egress: []}", true, false },
		{ "{egress: [{}]}", true, true },
		{ "{policyTypes: []}", true, false },
		{ "{policyTypes: null, egress: [{}]}", true, true },
		{ "{policyTypes: [Egress]}", false, true },
		{ "{policyTypes: [Ingress], egress: [{}]}", true, false },
		{ "{policyTypes: [Egress, Ingress]}", true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kpolicy k;

		get(KPOLICY_NP, rows[i].spec, &k);
		assert_int_equal(k.isolates[CW_INGRESS], rows[i].in);
		assert_int_equal(k.isolates[CW_EGRESS], rows[i].out);
		kpolicy_done(&k);
	}
}

static void networkpolicy_read(void **state)
{
	struct ir_rules irs = {};
	struct kpolicy k, c;
	struct ir_rule *ir;
	char text[PREFIX_STR_MAX], ref[600];

	(void)state;
	get(KPOLICY_NP,
	    "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], egress: [{}], ingress: ["
	    "{from: [{podSelector: {}}, {namespaceSelector: {}}, {podSelector: {matchLabels: {a: b}}, namespaceSelector: {matchLabels: {t: u}}},"
	    " {ipBlock: {cidr: 10.1.2.3/8, except: [10.1.9.9/16]}}],"
	    " ports: [{}, {port: 80}, {protocol: UDP, port: 5, endPort: 9}, {protocol: SCTP, port: web}]},"
	    " {from: []}]}", &k);
	assert_string_equal(kpolicy_ref(&k, ref), "NetworkPolicy x/p");
	assert_int_equal(kpolicy_copy(&k, &c), 0);
	kpolicy_done(&k);
	c.id = 7;
	assert_int_equal(kpolicy_ir(&c, &irs), 0);
	/* The egress rule is of no direction that the policy has. */
	assert_int_equal(irs.n, 3);
	ir = &irs.v[0];
	assert_int_equal(ir->effect, IR_ISOLATE);
	assert_int_equal(ir->side, CW_INGRESS);
	assert_int_equal(ir->rule, 7);
	assert_true(ir->everyone);
	assert_int_equal(ir->nsubjects, 1);
	assert_string_equal(ir->subjects[0].ns, "x");
	assert_string_equal(labels_get(&ir->subjects[0].labels.match, "app"), "web");
	ir = &irs.v[1];
	assert_int_equal(ir->effect, IR_ALLOW);
	assert_int_equal(ir->tier, CW_TIER_NETWORKPOLICY);
	assert_false(ir->everyone);
	assert_int_equal(ir->npeers, 4);
	assert_string_equal(ir->peers[0].ns, "x");
	assert_true(ir->peers[0].labels.set);
	assert_null(ir->peers[1].ns);
	assert_true(ir->peers[1].ns_labels.set);
	assert_false(ir->peers[1].labels.set);
	assert_true(ir->peers[2].ns_labels.set && ir->peers[2].labels.set);
	assert_null(ir->peers[2].ns);
	assert_string_equal(prefix_str(&ir->peers[3].cidr, text), "10.0.0.0/8");
	assert_string_equal(prefix_str(&ir->peers[3].except[0], text), "10.1.0.0/16");
	assert_int_equal(ir->nports, 4);
	assert_int_equal(ir->ports[0].kind, PORT_PROTO);
	assert_int_equal(ir->ports[0].proto, IPPROTO_TCP);
	assert_int_equal(ir->ports[1].kind, PORT_RANGE);
	assert_int_equal(ir->ports[1].from, 80);
	assert_int_equal(ir->ports[1].to, 80);
	assert_int_equal(ir->ports[2].proto, IPPROTO_UDP);
	assert_int_equal(ir->ports[2].to, 9);
	assert_int_equal(ir->ports[3].kind, PORT_NAMED);
	assert_int_equal(ir->ports[3].proto, IPPROTO_SCTP);
	assert_string_equal(ir->ports[3].name, "web");
	assert_true(irs.v[2].everyone);
	assert_int_equal(irs.v[2].nports, 0);
	vec_done(&irs);
	kpolicy_done(&c);
}

/* Forms that only networking.k8s.io/v1 takes mean what they mean there. */
static void sloppy_blocks(void **state)
{
	static const struct { const char *cidr, *means; } rows[] = {
		{ "010.008.0.0/016", "10.8.0.0/16" }, { "::ffff:10.1.2.3/104", "10.0.0.0/8" },
		{ "::ffff:1.2.3.4/64", "::/64" }, { "fd00::1/64", "fd00::/64" }, { "1.2.3.4/32", "1.2.3.4/32" },
		{ "255.255.255.255/0", "0.0.0.0/0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char spec[200], text[PREFIX_STR_MAX];
		struct kpolicy k;

		snprintf(spec, sizeof(spec), "{ingress: [{from: [{ipBlock: {cidr: '%s'}}]}]}", rows[i].cidr);
		get(KPOLICY_NP, spec, &k);
		assert_string_equal(prefix_str(&k.rules[0].peers[0].cidr, text), rows[i].means);
		kpolicy_done(&k);
	}
}

static void admin_read(void **state)
{
	struct ir_rules irs = {};
	struct kpolicy k;

	(void)state;
	get(KPOLICY_CNP,
	    "{tier: Baseline, priority: 9, subject: {pods: {namespaceSelector: {matchLabels: {n: m}}, podSelector: {matchLabels: {a: b}}}},"
	    "egress: [{action: Pass, to: [{nodes: {}}, {networks: [10.0.0.0/8, 'fd00::/8']}]},"
	    " {action: Accept, to: [{serviceAccounts: {}}, {namespaces: {}}]},"
	    " {action: Accept, name: n, to: [{domainNames: ['*.Example.COM.']}], protocols: [{udp: {destinationPort: {range: {start: 5, end: 9}}}}]},"
	    " {action: Pass, to: [{serviceAccounts: {}}, {namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 1}}}]}],"
	    "ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{destinationNamedPort: web}]}]}", &k);
	assert_int_equal(k.tier, CW_TIER_BASELINE);
	assert_int_equal(k.nrules, 5);
	assert_true(k.rules[1].unknown_peer);
	assert_int_equal(k.rules[1].npeers, 0);
	assert_string_equal(k.rules[2].name, "n");
	assert_int_equal(kpolicy_ir(&k, &irs), 0);
	/* Accept with a peer that is unknown lets nobody pass, but keeps its number. */
	assert_int_equal(irs.n, 4);
	assert_int_equal(irs.v[0].effect, IR_PASS);
	assert_int_equal(irs.v[0].tier, CW_TIER_BASELINE);
	assert_int_equal(irs.v[0].priority, 9 * KPOLICY_RULES_MAX);
	assert_int_equal(irs.v[0].npeers, 3);
	assert_int_equal(irs.v[0].peers[0].kind, SEL_NODES);
	assert_int_equal(irs.v[0].peers[2].kind, SEL_CIDR);
	assert_true(irs.v[0].subjects[0].ns_labels.set && irs.v[0].subjects[0].labels.set);
	assert_int_equal(irs.v[1].priority, 9 * KPOLICY_RULES_MAX + 2);
	assert_int_equal(irs.v[1].peers[0].kind, SEL_FQDN);
	assert_string_equal(irs.v[1].peers[0].fqdn, "*.example.com");
	assert_int_equal(irs.v[1].ports[0].proto, IPPROTO_UDP);
	assert_int_equal(irs.v[1].ports[0].to, 9);
	/* Pass becomes block all. */
	assert_int_equal(irs.v[2].effect, IR_BLOCK);
	assert_true(irs.v[2].everyone);
	assert_int_equal(irs.v[2].nports, 0);
	assert_int_equal(irs.v[2].priority, 9 * KPOLICY_RULES_MAX + 3);
	assert_int_equal(irs.v[3].side, CW_INGRESS);
	assert_int_equal(irs.v[3].priority, 9 * KPOLICY_RULES_MAX);
	assert_int_equal(irs.v[3].nports, 3);
	assert_int_equal(irs.v[3].ports[1].kind, PORT_NAMED);
	assert_int_equal(irs.v[3].ports[1].proto, IPPROTO_UDP);
	vec_done(&irs);
	kpolicy_done(&k);
	get(KPOLICY_ANP, AP("{portNumber: {port: 80}}, {portRange: {protocol: SCTP, start: 3, end: 4}}"), &k);
	assert_int_equal(k.tier, CW_TIER_ADMIN);
	assert_int_equal(k.priority, 5);
	assert_int_equal(k.rules[0].ports[0].proto, IPPROTO_TCP);
	assert_int_equal(k.rules[0].ports[0].to, 80);
	assert_int_equal(k.rules[0].ports[1].proto, IPPROTO_SCTP);
	kpolicy_done(&k);
}

/* The text that is kept reads as the same policy again, without what only a cluster writes. */
static void json_kept(void **state)
{
	static const char text[] = "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"a\","
				   "\"managedFields\":[{\"x\":1}],\"uid\":\"u\"},\"spec\":{\"podSelector\":null},\"status\":{\"x\":1}}";
	cJSON *j = cJSON_Parse(text), *again;
	struct kpolicy k = {}, l = {};

	(void)state;
	assert_int_equal(kpolicy_parse(j, "body", NULL, &k), 0);
	assert_string_equal(k.ns, "default");
	assert_string_equal(k.json, "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":"
				    "{\"name\":\"a\",\"uid\":\"u\"},\"spec\":{\"podSelector\":null}}");
	again = cJSON_Parse(k.json);
	assert_int_equal(kpolicy_parse(again, "body", NULL, &l), 0);
	assert_string_equal(k.json, l.json);
	cJSON_Delete(again);
	cJSON_Delete(j);
	kpolicy_done(&k);
	kpolicy_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networkpolicy_ports), cmocka_unit_test(networkpolicy_peers),
		cmocka_unit_test(selectors), cmocka_unit_test(networkpolicy_shape),
		cmocka_unit_test(clusternetworkpolicy), cmocka_unit_test(adminnetworkpolicy),
		cmocka_unit_test(head), cmocka_unit_test(places), cmocka_unit_test(kinds),
		cmocka_unit_test(corpora), cmocka_unit_test(isolation), cmocka_unit_test(networkpolicy_read),
		cmocka_unit_test(sloppy_blocks), cmocka_unit_test(admin_read), cmocka_unit_test(json_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
