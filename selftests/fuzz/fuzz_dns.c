/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dns.c - the data path's reader of DNS messages. The first byte says how the length of the
 * UDP header lies: 0 right, else that many bytes too long or too short.
 */
#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "selftests/unit/bpf/host_dns.h"

#define L4 34u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name_check(const struct cw_dns_msg *m)
{
	char rev[CW_DNS_TEXT];

	assert(m->len && m->len <= CW_DNS_NAME_MAX);
	assert(m->text[0] != '.' && m->text[m->len - 1] != '.');
	for (unsigned i = 0; i < CW_DNS_TEXT; i++)
		assert(i < m->len ? m->text[i] > ' ' && m->text[i] <= '~' && !isupper((unsigned char)m->text[i]) : !m->text[i]);
	cw_dns_reverse(m, rev);
	for (unsigned i = 0; i < CW_DNS_TEXT; i++)
		assert(rev[i] == (i < m->len ? m->text[m->len - 1 - i] : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free unsigned char *b = NULL;
	struct host_frame f = {};
	struct cw_dns_msg m;
	struct cw_dns_head h;
	size_t len;

	if (size < 2 || size > 60000 || !(b = calloc(1, L4 + 8 + size - 1)))
		return 0;
	memcpy(b + L4 + 8, data + 1, size - 1);
	len = 8 + size - 1 + (size_t)(int8_t)data[0];
	b[L4 + 4] = (unsigned char)(len >> 8);
	b[L4 + 5] = (unsigned char)len;
	f = (struct host_frame){ .b = b, .len = (uint32_t)(L4 + 8 + size - 1) };
	memset(&m, 0xa5, sizeof(m));
	if (cw_dns_open(&f, &m, L4, &h))
		return 0;
	assert(m.off <= m.end && m.end <= f.len);
	if (!cw_dns_fetch(&f, &m) && !cw_dns_name_read(&m)) {
		name_check(&m);
		assert(m.off <= m.end);
		for (unsigned i = 0; i < CW_DNS_RECORDS_MAX && m.left; i++, m.left--) {
			uint32_t before = m.off;
			int r = cw_dns_record_read(&f, &m);

			if (r < 0)
				break;
			assert(m.off > before && m.off <= m.end && m.ttl <= CW_DNS_TTL_MAX);
		}
	}
	/* Every read was asked for only after its length was checked. */
	assert(!f.beyond);
	return 0;
}
