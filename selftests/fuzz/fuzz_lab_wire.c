/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_lab_wire.c - what the lab's resolver and its delivery counter read off the wire. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lab/dns.h"
#include "lab/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t addr[16] = { 10, 20, 2, 11 };
	uint8_t out[DNS_MSG_MAX];
	char name[DNS_NAME_MAX];
	uint8_t family = 9;
	int n;

	(void)probe_read(data, size);
	(void)dns_answer_ok(data, size, 1);
	if (dns_query_read(data, size, name, &family))
		return 0;
	assert(family == 0 || family == 4 || family == 6);
	assert(strlen(name) < DNS_NAME_MAX);
	n = dns_answer_make(data, size, family, addr, out);
	assert(n < (int)DNS_MSG_MAX);
	if (n > 0 && family)
		assert(dns_answer_ok(out, (size_t)n, (uint16_t)(data[0] << 8 | data[1])));
	return 0;
}
