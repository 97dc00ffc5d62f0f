/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns and paths of the HTTP server. First byte: how many patterns, split at newlines; the rest is the path. */
#include <stdlib.h>
#include <string.h>

#include "http/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void handler(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	(void)arg, (void)x, (void)rq;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_route routes[8] = {};
	struct route_table t = {};
	struct route_match m;
	size_t want = size ? data[0] % 8 : 0;
	char *text = calloc(1, size + 1), *p = text, *nl;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data + 1, size - 1);
	for (size_t i = 0; i < want && (nl = strchr(p, '\n')); i++) {
		*nl = '\0';
		routes[i] = (struct http_route){ (enum http_method)(i % HTTP_METHOD_COUNT), p, handler, 0 };
		(void)route_table_add(&t, &routes[i], NULL);
		p = nl + 1;
	}
	for (unsigned method = 0; method < HTTP_METHOD_COUNT; method++) {
		int r = route_table_find(&t, method, p, &m);

		/* what matched is inside the path and never empty */
		for (size_t i = 0; !r && i < m.ncaps; i++)
			if (m.caps[i].at < p || m.caps[i].at + m.caps[i].len > p + strlen(p) || !m.caps[i].len)
				abort();
		if (!r != !!m.entry || (r == -1 && !m.methods))
			abort();
	}
	route_table_done(&t);
	free(text);
	return 0;
}
