/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h - IPv4 and IPv6 addresses, prefixes and MACs. One 16-byte form, wire order; IPv4 is
 * ::ffff:a.b.c.d, as in the ABI header. RFC 4291, text form RFC 5952.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
	uint8_t b[16];
};
/* plen counts within the address's own family: 0..32 for IPv4, 0..128 for IPv6. */
struct prefix {
	struct addr addr; /* bits beyond plen are zero */
	uint8_t plen;
	uint8_t v6;
};

#define ADDR_STR_MAX 48   /* longest text with NUL */
#define PREFIX_STR_MAX 52

bool addr_is_v4(const struct addr *a);
bool addr_is_zero(const struct addr *a);
/* Other hosts can meet it: neither unspecified, loopback, link-local nor multicast. */
bool addr_is_global(const struct addr *a);
int addr_cmp(const struct addr *a, const struct addr *b);
/* Strict: no leading zeros in IPv4, no zone suffix, no IPv4-mapped IPv6. 0 or -EINVAL. */
int addr_parse(const char *s, struct addr *ret);
const char *addr_str(const struct addr *a, char out[ADDR_STR_MAX]);
/* "10.0.0.0/8", "fd00::/48", or a bare address (full length). -EINVAL syntax, -ERANGE length,
 * -EDOM host bits set beyond the length. */
int prefix_parse(const char *s, struct prefix *ret);
const char *prefix_str(const struct prefix *p, char out[PREFIX_STR_MAX]);
bool prefix_has(const struct prefix *p, const struct addr *a);
/* inner inside or equal to outer, same family */
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);
int prefix_cmp(const struct prefix *a, const struct prefix *b);
int mac_parse(const char *s, uint8_t ret[6]);
