/* SPDX-License-Identifier: Apache-2.0 */
/* dns.h - just enough of DNS (RFC 1035) for the lab's resolvers: one question, one address. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_MSG_MAX 512u
#define DNS_NAME_MAX 256u

/* Writes a query for A (family 4) or AAAA. Length, or -EINVAL for a name that is none. */
int dns_query_make(uint16_t id, const char *name, uint8_t family, uint8_t out[DNS_MSG_MAX]);
/* Reads one question out of a message. 0 or -EBADMSG; family 0: another type. */
int dns_query_read(const uint8_t *msg, size_t len, char name[DNS_NAME_MAX], uint8_t *ret_family);
/* The answer to a query that was read; addr NULL: no such name. Length, or -EBADMSG. */
int dns_answer_make(const uint8_t *query, size_t len, uint8_t family, const uint8_t *addr,
		    uint8_t out[DNS_MSG_MAX]);
/* A good answer to the query with that id: no error, at least one record. */
bool dns_answer_ok(const uint8_t *msg, size_t len, uint16_t id);
