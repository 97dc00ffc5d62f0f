/* SPDX-License-Identifier: Apache-2.0 */
/* store_service.c - declared services. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "policy/rule_doc.h"
#include "store/db.h"

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
	return db_run_durable(s, q, false);
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
	return db_run_durable(s, q, true);
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
	struct db_text_row *rows;
	size_t n;
	int r = db_texts(s, SQL_SVC_LIST, false, &rows, &n);

	for (size_t i = 0; i < n; i++) {
		struct service v = {};

		if (!r)
			r = read_doc(rows[i].a, &v);
		if (!r)
			r = fn(arg, &v);
		service_done(&v);
		free(rows[i].a);
	}
	free(rows);
	return r < 0 ? r : 0;
}
