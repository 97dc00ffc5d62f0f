/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - the attacker's packets, and telling them apart at the victim. Pure.
 *
 * Each is a TCP SYN that carries a mark no client sends: an acknowledgement number without the
 * ACK flag. So a victim counts what reached it whatever source address the packet claims.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct addr;

#define PROBE_LEN_MAX 60u
enum probe_kind { PROBE_NONE, PROBE_SCAN, PROBE_FORGED };

/* A whole IPv4 or IPv6 packet (by the addresses' family). Its length. */
size_t probe_make(enum probe_kind kind, const struct addr *src, const struct addr *dst, uint16_t sport,
		  uint16_t dport, uint8_t out[PROBE_LEN_MAX]);
/* What a frame's network layer is; `p` starts at the IP header. */
enum probe_kind probe_read(const uint8_t *p, size_t len);
