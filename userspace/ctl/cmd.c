/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.c - parts that several commands share. */
#include "ctl/cmd.h"

char *path_make(const char *prefix, const char *part)
{
	struct buf b;

	buf_init(&b, 65536);
	buf_adds(&b, prefix);
	buf_adds(&b, part);
	return buf_take(&b, NULL);
}

int show_run(struct ctl *c, const char *path, const struct view *v)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r = path ? api_get(c, path, NULL, &doc) : EXIT_REFUSED;

	return r ?: emit(c, doc, v);
}

void no_workloads(struct ctl *c, struct buf *b)
{
	put_line(c, b, M_NO_WORKLOADS, NULL);
	put_next(c, b, "cellwall workload add -n NS NAME --netns NETNS");
}

bool list_empty(struct ctl *c, const cJSON *doc, struct buf *b, enum msg m)
{
	if (cJSON_GetArraySize(json_get(doc, "items")))
		return false;
	put_line(c, b, m, NULL);
	return true;
}

void list_rest(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *meta = json_get(doc, "meta");
	int64_t left = json_i64(meta, "truncated", 0), total = json_i64(meta, "total", 0);
	char n[24], of[24];

	if (left > 0)
		put_line(c, b, M_SHOWN, "n", num_str(n, total - left), "total", num_str(of, total), NULL);
}

int plain_list(struct ctl *c, const char *path, const struct view *v)
{
	struct query q = {};

	query_flags(c, &q);
	return list_run(c, path, &q, v);
}
