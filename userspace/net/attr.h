/* SPDX-License-Identifier: Apache-2.0 */
/* attr.h - checked reads of netlink attributes; private to this room. */
#pragma once

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"

/* Attributes of a message or a nest by type; later ones win, types beyond max are skipped. */
struct attr_set {
	const struct nlattr **v;
	uint16_t max;
};

static inline int attr_collect(const struct nlattr *a, void *arg)
{
	struct attr_set *s = arg;
	uint16_t type = mnl_attr_get_type(a);

	if (type <= s->max)
		s->v[type] = a;
	return MNL_CB_OK;
}

static inline bool attr_has(const struct nlattr *a, size_t bytes)
{
	return a && mnl_attr_get_payload_len(a) >= bytes;
}

/* The value, or dflt when the attribute is missing or too short. Payloads may be unaligned. */
static inline uint8_t attr_u8(const struct nlattr *a, uint8_t dflt)
{
	return attr_has(a, 1) ? *(const uint8_t *)mnl_attr_get_payload(a) : dflt;
}

static inline uint32_t attr_u32(const struct nlattr *a, uint32_t dflt)
{
	if (attr_has(a, sizeof(dflt)))
		memcpy(&dflt, mnl_attr_get_payload(a), sizeof(dflt));
	return dflt;
}

static inline uint16_t attr_be16(const struct nlattr *a, uint16_t dflt)
{
	uint16_t v;

	if (!attr_has(a, sizeof(v)))
		return dflt;
	memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	return ntohs(v);
}

static inline uint32_t attr_be32(const struct nlattr *a, uint32_t dflt)
{
	uint32_t v;

	if (!attr_has(a, sizeof(v)))
		return dflt;
	memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	return ntohl(v);
}

/* Copies a string attribute, cut to size - 1; "" when missing. */
static inline void attr_str(const struct nlattr *a, char *out, size_t size)
{
	size_t len = 0;

	memset(out, 0, size);
	if (!a)
		return;
	len = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	memcpy(out, mnl_attr_get_payload(a), len < size ? len : size - 1);
}

static inline void attr_v4(const void *wire, struct addr *ret)
{
	*ret = (struct addr){ .b = { [10] = 0xff, [11] = 0xff } };
	memcpy(ret->b + 12, wire, 4);
}

/* An address of the family's exact length. */
static inline bool attr_addr(const struct nlattr *a, bool v6, struct addr *ret)
{
	if (!a || mnl_attr_get_payload_len(a) != (v6 ? 16 : 4))
		return false;
	if (v6)
		memcpy(ret->b, mnl_attr_get_payload(a), 16);
	else
		attr_v4(mnl_attr_get_payload(a), ret);
	return true;
}
