/* SPDX-License-Identifier: Apache-2.0 */
/* store_service.c - declared services. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/vec.h"
#include "policy/rule_doc.h"
#include "store/db.h"

static int finish(struct store *s, int r, bool need)
{
	if (!r && need && !sqlite3_changes(s->db))
		r = -ENOENT;
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

int store_service_put(struct store *s, const struct service *v)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = service_to_json(v);
	auto_free char *doc = j ? cJSON_PrintUnformatted(j) : NULL;
	sqlite3_stmt *q;
	int r;

	if (!doc)
		return -ENOMEM;
	if (!v->ns || !*v->ns || !v->name || !*v->name)
		return -EINVAL;
	if (strlen(doc) > STORE_TEXT_MAX)
		return -E2BIG;
	r = store_begin(s, true);
	if (r < 0)
		return r;
	q = db_stmt(s, SQL_SVC_PUT);
	db_text(q, 1, v->ns);
	db_text(q, 2, v->name);
	db_text(q, 3, doc);
	return finish(s, db_run(s, q), false);
}

int store_service_del(struct store *s, const char *ns, const char *name)
{
	sqlite3_stmt *q;
	int r = store_begin(s, true);

	if (r < 0)
		return r;
	q = db_stmt(s, SQL_SVC_DEL);
	db_text(q, 1, ns);
	db_text(q, 2, name);
	return finish(s, db_run(s, q), true);
}

static int read_doc(const char *doc, struct service *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	int r = json_parse(doc, strlen(doc), "store", NULL, &j);

	r = r ?: service_parse(j, "store", NULL, ret);
	return r == -ENOMEM ? r : r ? -EBADMSG : 0;
}

int store_service_each(struct store *s, int (*fn)(void *arg, const struct service *v), void *arg)
{
	struct { char **v; size_t n, cap; } docs = {};
	sqlite3_stmt *q = db_stmt(s, SQL_SVC_LIST);
	int r;

	/* All rows first, so that the visitor may use the store. */
	while ((r = db_row(s, q)) == 1) {
		const char *text = db_get_text(q, 0);
		char *copy = text ? strdup(text) : NULL;

		if (!copy || vec_push(&docs, copy)) {
			free(copy);
			(void)sqlite3_reset(q); /* given up */
			r = -ENOMEM;
			break;
		}
	}
	for (size_t i = 0; i < docs.n; i++) {
		struct service v = {};

		if (!r)
			r = read_doc(docs.v[i], &v);
		if (!r)
			r = fn(arg, &v);
		service_done(&v);
		free(docs.v[i]);
	}
	vec_done(&docs);
	return r < 0 ? r : 0;
}
