/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - how to reach an API server and as whom: from the pod's own service account, or from
 * a kubeconfig file. Reading blocks on local files; exec credential plugins run later, on the
 * loop, when the first request needs them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

#define KUBE_CONFIG_BYTES_MAX (4u << 20)  /* of a kubeconfig; large ones inline many certificates */
#define KUBE_PEM_BYTES_MAX (1u << 20)
#define KUBE_TOKEN_BYTES_MAX (64u << 10)
#define KUBE_EXEC_ARGS_MAX 128u
#define KUBE_EXEC_ENV_MAX 128u
#define KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* A credential plugin (client.authentication.k8s.io/v1 or v1beta1), run without a shell. */
struct kube_exec {
	char *api_version;  /* the full group/version */
	char *command;	    /* a path, or a name looked up in PATH; relative paths are absolute here */
	char **args;	    /* without the command; NULL-terminated */
	char **env;	    /* "NAME=value" added to the environment; NULL-terminated */
	char *hint;	    /* installHint; NULL none */
	bool cluster_info;  /* provideClusterInfo */
};

struct kube_config {
	char *origin;	       /* for people: "in-cluster", "admin.kubeconfig, context lab" */
	char *server;	       /* "https://10.0.0.1:6443" or with a path prefix; no slash at the end */
	char *namespace_;      /* default namespace; never NULL */
	char *ca_pem;	       /* NULL: the system's store */
	char *ca_path;	       /* re-read for new connections when it changes; NULL: ca_pem stays */
	char *tls_server_name; /* NULL: from server */
	char *proxy;	       /* http, https or socks5 URL; NULL: direct (the environment is not asked) */
	bool insecure;	       /* insecure-skip-tls-verify */
	char *cert_pem, *key_pem; /* client certificate; both or none */
	char *cert_path, *key_path; /* when they were files: re-read when they change */
	char *token;	       /* bearer token; NULL none */
	char *token_path;      /* re-read while running; wins over token, as kubectl has it */
	struct kube_exec *exec;
};

/*
 * The service account of the pod this runs in: KUBERNETES_SERVICE_HOST and _PORT, and the files
 * token, ca.crt and namespace in dir (NULL: KUBE_SERVICE_ACCOUNT_DIR).
 * -ENOENT: not in a cluster (no fault is added when `f` is to stay clean: pass NULL). Others as below.
 */
int kube_config_in_cluster(const char *dir, struct fail_list *f, struct kube_config *ret);

/*
 * A kubeconfig file. context NULL: its current-context. Relative paths inside count from the
 * file's directory. 0; -EINVAL with one fault per mistake ("kubeconfig.*", at file:line and field);
 * -ENOENT, -EACCES, -E2BIG for a file that cannot be read, with a fault; -ENOMEM.
 * `warn` (may be NULL) hears of what is honoured but weak: TLS verification switched off,
 * plain http, a key that others can read.
 */
int kube_config_file(const char *path, const char *context, struct fail_list *f,
		     void (*warn)(void *arg, const char *text), void *arg, struct kube_config *ret);
/* The same from memory; dir: where relative paths count from. */
int kube_config_parse(const char *text, size_t len, const char *file, const char *dir, const char *context,
		      struct fail_list *f, void (*warn)(void *arg, const char *text), void *arg,
		      struct kube_config *ret);
/* Wipes secrets before freeing. Also an auto_cleanup function. */
void kube_config_done(struct kube_config *c);
int kube_config_copy(const struct kube_config *c, struct kube_config *ret);
