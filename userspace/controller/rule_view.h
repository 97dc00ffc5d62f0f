/* SPDX-License-Identifier: Apache-2.0 */
/* rule_view.h - rules and selectors as the short texts of lists and plans. Pure. */
#pragma once

#include "policy/model.h"

#define RULE_TEXT_MAX 65536u /* bytes of one text: a rule may name thousands of prefixes */

/* Each malloc'ed, NULL without memory. */
char *selectors_text(const struct selector *s, size_t n);	/* "shop app=cart" */
char *selectors_ns_text(const struct selector *s, size_t n, const char *own_ns); /* "shop", "*", "(world)" */
char *selectors_label_text(const struct selector *s, size_t n);	/* "app notin (cart,web)", "-" */
char *ports_text(const struct port_spec *p, size_t n);		/* "tcp/25, tcp/465", "any" */
char *rule_text(const struct rule *r);				/* "allow shop app=cart -> data app=db tcp/5432" */
