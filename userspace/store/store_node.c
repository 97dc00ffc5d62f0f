/* SPDX-License-Identifier: Apache-2.0 */
/* store_node.c - what nodes said of their own addresses, so that a restart does not forget it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/model_doc.h"
#include "policy/state.h"
#include "store/db.h"

int store_node_put(struct store *s, const struct node_info *n)
{
	auto_cleanup(buf_done) struct buf doc = {};
	sqlite3_stmt *q;
	int r;

	if (!n->name || !*n->name)
		return -EINVAL;
	buf_init(&doc, STORE_TEXT_MAX);
	model_doc_put_node(&doc, n);
	(void)buf_add(&doc, "", 1);
	if (doc.err)
		return doc.err;
	r = store_begin(s, false);
	if (r < 0)
		return r;
	q = db_stmt(s, n->ntold ? SQL_NODE_PUT : SQL_NODE_DEL);
	db_text(q, 1, n->name);
	if (n->ntold)
		db_text(q, 2, doc.data);
	return db_run_durable(s, q, false);
}

int store_node_each(struct store *s, int (*fn)(void *arg, const struct node_info *n), void *arg)
{
	struct db_text_row *rows;
	size_t n;
	int r = db_texts(s, SQL_NODE_LIST, false, &rows, &n);

	for (size_t i = 0; i < n; i++) {
		struct node_info x = {};

		if (!r)
			r = model_doc_to_node(rows[i].a, &x);
		if (!r)
			r = fn(arg, &x);
		node_info_done(&x);
		free(rows[i].a);
		free(rows[i].b);
	}
	free(rows);
	return r < 0 ? r : 0;
}
