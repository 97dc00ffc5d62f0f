/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr.h - a certificate by way of a CertificateSigningRequest (certificates.k8s.io/v1): create,
 * approve if asked to, wait for the signer, remove the request.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"

struct kube_csr;

struct kube_csr_spec {
	const char *prefix;	  /* of the object's name: "cellwall-agent-" */
	const char *request_pem;  /* PKCS#10 */
	const char *signer;	  /* "kubernetes.io/kube-apiserver-client" or a signer of one's own */
	const char *const *usages; /* NULL-terminated: "client auth", "digital signature" */
	uint32_t lifetime_s;	  /* asked for (1.22 on; older servers ignore it); 0: the signer's choice */
	bool approve;		  /* approve it ourselves (needs the right to) */
	uint32_t timeout_ms;	  /* until signed; 0: 60 s */
	uint32_t poll_ms;	  /* 0: 1 s */
};

/* err 0: cert_pem is the chain. -EACCES: denied; -ETIMEDOUT; -EKEYREJECTED: the signer failed; others
 * as in struct kube_answer. text is one line for people. */
typedef void kube_csr_fn(void *arg, int err, const char *text, const char *cert_pem);

int kube_csr_new(struct kube_client *c, const struct kube_csr_spec *spec, kube_csr_fn *done, void *arg,
		 struct kube_csr **ret);
/* Before done(): ends it without done(). After done() the handle is gone already. NULL is fine. */
void kube_csr_cancel(struct kube_csr *r);
