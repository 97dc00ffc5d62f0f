/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy_priv.h - what the readers of Kubernetes policy objects share. Private to policy/. */
#pragma once

#include "base/doc.h"
#include "policy/kpolicy.h"

#define KPOLICY_NP_RULES_MAX 10000u  /* of one direction; the API bounds the object's bytes only */
#define KPOLICY_LIST_MAX 100000u     /* peers, excepted blocks, label values of one NetworkPolicy list */
#define KPOLICY_NAME_MAX 1024u	     /* bytes of any name that is looked at at all */
#define KPOLICY_CNP_LIST_MAX 25u     /* rules, peers, protocols, networks, names: v1alpha2 */
#define KPOLICY_ANP_LIST_MAX 100u    /* rules, peers, ports: v1alpha1 */
#define KPOLICY_NETWORKS_MAX 25u     /* both */
#define KPOLICY_RULE_NAME_MAX 100u   /* characters */
#define KPOLICY_CIDR_MAX 43u	     /* characters; admin kinds */

struct selectors { struct selector *v; size_t n, cap; };
struct ports { struct port_spec *v; size_t n, cap; };
struct krules { struct kpolicy_rule *v; size_t n, cap; };

void selectors_done(struct selectors *s);
void ports_done(struct ports *p);
void kpolicy_rule_done(struct kpolicy_rule *r);

/* The kind of that name, whatever the version. */
bool kpolicy_kind_parse(const char *kind, enum kpolicy_kind *ret);

/*
 * Field readers. As in doc.h: 0 also after faults, a negative errno ends the reading. Known fields
 * that are null are not given (doc.null_absent); items of a list that are null are what the item
 * is without fields.
 */

/* doc_list with any least number of items; a list that may be empty may be. */
int kp_list(struct doc *d, const cJSON *list, size_t min, size_t max,
	    int (*read)(struct doc *d, const cJSON *v, void *ctx), void *ctx);
/* An object; an item that is null counts as one without fields. */
int kp_object(struct doc *d, const cJSON *v, const struct doc_field *fields, size_t n, void *ctx);
int kp_label_selector(struct doc *d, const cJSON *v, struct label_selector *ret);
/* A whole number within 1..65535. */
bool kp_port(struct doc *d, const cJSON *v, uint16_t *ret);
bool kp_proto(struct doc *d, const cJSON *v, uint8_t *ret);
/* Host bits are cleared. `sloppy`: the forms that networking.k8s.io/v1 takes too, which are leading
 * zeros (decimal) and mapped addresses. False after a fault. */
bool kp_cidr(struct doc *d, const cJSON *v, bool sloppy, struct prefix *ret);
/* As the API has it: at most 253 characters, but labels of any length. */
bool kp_is_subdomain(const char *s);
/* "a, b and c" of up to 8 words. out: 200 bytes. */
const char *kp_words(const char *const *words, size_t n, const char *last, char out[200]);

/* Of several fields exactly one is given: the member, or NULL after a fault. `what`: its name. */
const cJSON *kp_only_member(struct doc *d, const cJSON *v, const char *what, const char *const *words, size_t n);
void kp_not_one(struct doc *d, const cJSON *v, const char *what, const char *const *words, size_t n, size_t found);
bool kp_one_of(const char *s, const char *const *words, size_t n);
/* One item of `ports` (v1alpha1), of `protocols` (v1alpha2). ctx: struct ports. */
int kp_anp_port(struct doc *d, const cJSON *v, void *ctx);
int kp_cnp_protocol(struct doc *d, const cJSON *v, void *ctx);

/* kpolicy_read of an object whose kind is known, as in a list of that kind: apiVersion and kind may
 * both be left out then. */
int kpolicy_read_as(struct doc *d, const cJSON *obj, enum kpolicy_kind kind, struct kpolicy *ret);
/* spec of one object; d->path is "spec", or empty when v is NULL. */
int kp_np_spec(struct doc *d, const cJSON *v, struct kpolicy *k);
int kp_admin_spec(struct doc *d, const cJSON *v, struct kpolicy *k);
