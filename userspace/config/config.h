/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - /etc/cellwall/cellwalld.yaml. One table of keys (keys.c) drives reading, checking,
 * the commented default file, `config show` and the reference pages.
 *
 * Every key may be left out. Unknown and duplicate keys are faults; all faults come in one run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fail.h"
#include "cw_abi.h"

struct cJSON;

#define CONFIG_PATH_DEFAULT CW_SYSCONFDIR "/cellwall/cellwalld.yaml"
#define CONFIG_BYTES_MAX (1u << 20)
#define CONFIG_KEYS_MAX 128
#define CONFIG_LIST_MAX 1024

enum config_role { CONFIG_ROLE_ALL, CONFIG_ROLE_AGENT, CONFIG_ROLE_CONTROLLER };
enum config_hook { CONFIG_HOOK_AUTO, CONFIG_HOOK_TCX, CONFIG_HOOK_CLSACT };
enum config_expedite { CONFIG_EXPEDITE_AUTO, CONFIG_EXPEDITE_NEVER };
enum config_kube { CONFIG_KUBE_AUTO, CONFIG_KUBE_ON, CONFIG_KUBE_OFF };
enum config_log { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

struct config_prefixes { struct prefix *v; size_t n; };
struct config_texts { char **v; size_t n; };
struct config_ids { uint32_t *v; size_t n; };

/* Numbers are 64 bit whatever their range: the table checks it. Words are indexes. */
struct config {
	uint64_t role;			/* enum config_role */
	char *cluster, *node;		/* node "": the host's name */
	uint64_t mode;			/* enum cw_mode */
	uint64_t unmatched;		/* enum cw_action: CW_ACT_BLOCK or CW_ACT_ALLOW */
	uint64_t enforce_always;	/* bit per enum cw_tier */
	uint64_t local_node;		/* CW_CTL_LOCAL_NODE_* */
	struct config_prefixes cluster_cidrs;

	struct config_prefixes fold_cidrs;
	struct config_texts ignore_labels;
	uint64_t scan_ports, scan_peers, scan_window_ms;
	uint64_t drain_ms;		/* between two readings of the kernel's counters */
	uint64_t share_accesses, share_pairs; /* per workload, 0: computed */

	bool closed;			/* start.unresolved: closed */
	uint64_t hook;			/* enum config_hook */
	uint64_t repair_ms;
	uint64_t expedite;		/* enum config_expedite */
	uint64_t probe_ms;		/* between two proofs of an attachment; 0: never */
	uint64_t shield_pps;		/* 0: never */

	uint64_t cni_install;		/* 1: the plugin is kept in the node's network configuration */
	bool cni_closed;		/* cni.agentDown: closed */
	uint64_t cni_timeout_ms, cni_wait_ms;
	char *cni_conf_dir, *cni_bin_dir, *cni_plugin; /* plugin "": beside this program */
	char *cni_socket;		/* as the plugin finds it; "": api.socket */

	struct config_prefixes resolvers; /* none: those of the cluster */
	uint64_t dns_min_ttl_ms, dns_grace_ms;
	uint64_t dns_names;		/* addresses with names, per workload */

	uint64_t policy_entries, rows, groups, endpoints, addresses, flows, accesses, pairs;
	uint64_t generations;		/* states kept for a rollback */
	uint64_t event_bytes;		/* a power of two */
	uint64_t event_gap_ms;

	struct config_texts controllers; /* where an agent finds them: HOST, HOST:PORT, [V6]:PORT */
	struct config_texts listen;	/* where agents are waited for */
	struct config_texts host_names;	/* in the certificate that a controller makes for itself */
	char *tls_cert, *tls_key, *tls_ca, *tls_authority, *tls_token; /* "": see the table */
	uint64_t spool_bytes;
	char *lease;			/* "": no other controller is there */

	uint64_t kube;			/* enum config_kube */
	uint64_t kube_write;		/* 1: changes made here are written to the API server */
	char *kubeconfig, *kube_context; /* "": the service account; the file's current context */

	char *socket;
	struct config_ids write_uids, write_gids;
	char *state_dir, *pin_root, *inventory; /* inventory "": none is watched */
	uint64_t log_level;		/* enum log_level */
	uint64_t log_format;		/* enum config_log */

	/* Where each value comes from, by position in the key table: line 0 with file NULL is the
	 * default, line 0 with a name is an override ("--set"). */
	struct config_from { char *file; unsigned line; } from[CONFIG_KEYS_MAX];
};

enum config_type {
	CONFIG_WORD,	/* one of words; the value is values[i] */
	CONFIG_WORDS,	/* list of words; the value has bit values[i] for each */
	CONFIG_NUMBER,	/* min..max */
	CONFIG_POWER,	/* a number that is a power of two */
	CONFIG_DURATION, /* "60s"; min..max in ms */
	CONFIG_NAME,	/* DNS name; may be empty when min is 0 */
	CONFIG_TEXT,	/* one line; at most max bytes */
	CONFIG_PATH,	/* absolute; may be empty when min is 0; at most max bytes */
	CONFIG_PREFIXES,
	CONFIG_LABEL_KEYS,
	CONFIG_HOSTS,	/* list of HOST, HOST:PORT or [V6]:PORT; with max 1: also ":PORT" */
	CONFIG_IDS,	/* list of numbers up to max */
	CONFIG_CLOSED,	/* open | closed, a bool */
};

struct config_key {
	const char *path;	/* "learn.scan.ports" */
	enum config_type type;
	size_t offset;		/* in struct config */
	const char *dflt;	/* as it would stand in the file */
	uint64_t min, max;
	const char *const *words;
	const uint64_t *values;
	size_t nwords;
	const char *doc_en, *doc_zh; /* one or two sentences */
};
extern const struct config_key config_keys[];
extern const size_t config_nkeys;

/* All defaults. 0 or -ENOMEM. */
int config_default(struct config *ret);
/* A file's text over the defaults. -EINVAL, -EBADMSG, -E2BIG, -ENOMEM; *ret untouched then. */
int config_parse(const char *file, const char *text, size_t len, struct fail_list *f,
		 struct config *ret);
/* Reads and parses; a missing file is the defaults when `optional`. Blocks. */
int config_load(const char *path, bool optional, struct fail_list *f, struct config *ret);
/* One value over what c has ("maps.flows", "1000"); `source` is shown by config_show. On failure
 * c is as before. */
int config_set(struct config *c, const char *path, const char *value, const char *source,
	       struct fail_list *f);
void config_done(struct config *c);

/* [{"key","value","default","source","doc"}] in table order; source is "default", FILE:LINE or an
 * override's name. zh: doc in Chinese. NULL: no memory. */
struct cJSON *config_show(const struct config *c, bool zh);
/* The file with every key at its default, commented. malloc'ed. */
char *config_default_text(bool zh);
/* A Markdown table of all keys, for docs/reference. malloc'ed. */
char *config_reference_text(bool zh);
