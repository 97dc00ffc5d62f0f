/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"

static void fail_done(struct fail *f)
{
	free(f->name);
	free(f->message);
	free(f->at);
	free(f->expected);
	free(f->next);
}

/* NULL stays NULL; *ok turns false when memory is short. */
static char *dup_opt(const char *s, bool *ok)
{
	char *d = s ? strdup(s) : NULL;

	if (s && !d)
		*ok = false;
	return d;
}

static int fail_push(struct fail_list *l, struct fail *f)
{
	struct fail *p;

	if (l->n >= FAIL_LIST_MAX)
		return -ENOSPC;
	/* Grown in powers of two, so the capacity follows from n. */
	if ((l->n & (l->n - 1)) == 0) {
		p = realloc(l->items, (l->n ? l->n * 2 : 1) * sizeof(*p));
		if (!p)
			return -ENOMEM;
		l->items = p;
	}
	l->items[l->n++] = *f;
	return 0;
}

int fail_add(struct fail_list *l, int err, const char *name, const char *at, const char *expected,
	     const char *next, const char *fmt, ...)
{
	struct fail f = {};
	bool ok = true;
	va_list ap;

	if (!l)
		return err;
	if (l->n >= FAIL_LIST_MAX) {
		l->dropped++;
		return err;
	}
	va_start(ap, fmt);
	if (vasprintf(&f.message, fmt, ap) < 0) {
		f.message = NULL;
		ok = false;
	}
	va_end(ap);
	f.name = dup_opt(name, &ok);
	f.at = dup_opt(at, &ok);
	f.expected = dup_opt(expected, &ok);
	f.next = dup_opt(next, &ok);
	if (!ok || fail_push(l, &f) < 0) {
		fail_done(&f);
		l->dropped++; /* said as a count rather than not at all */
	}
	return err;
}

void fail_list_done(struct fail_list *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		fail_done(&l->items[i]);
	free(l->items);
	*l = (struct fail_list){};
}

static bool put(cJSON *o, const char *key, const char *value)
{
	return !value || cJSON_AddStringToObject(o, key, value);
}

cJSON *fail_list_to_json(const struct fail_list *l)
{
	cJSON *root = cJSON_CreateObject(), *items;

	if (!root || !cJSON_AddStringToObject(root, "kind", "ErrorList"))
		goto nomem;
	items = cJSON_AddArrayToObject(root, "items");
	if (!items)
		goto nomem;
	for (size_t i = 0; i < l->n; i++) {
		const struct fail *f = &l->items[i];
		cJSON *o = cJSON_CreateObject();

		if (!o || !cJSON_AddItemToArray(items, o)) {
			cJSON_Delete(o);
			goto nomem;
		}
		if (!put(o, "name", f->name) || !put(o, "message", f->message) ||
		    !put(o, "at", f->at) || !put(o, "expected", f->expected) ||
		    !put(o, "next", f->next))
			goto nomem;
	}
	if (!cJSON_AddNumberToObject(root, "dropped", (double)l->dropped))
		goto nomem;
	return root;
nomem:
	cJSON_Delete(root);
	return NULL;
}

static const char *str_of(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

int fail_list_from_json(const cJSON *j, struct fail_list *l)
{
	const char *kind = cJSON_IsObject(j) ? str_of(j, "kind") : NULL;
	const cJSON *items, *o, *dropped;
	struct fail_list got = {};

	if (!kind || strcmp(kind, "ErrorList") != 0)
		return -EBADMSG;
	items = cJSON_GetObjectItemCaseSensitive(j, "items");
	if (!cJSON_IsArray(items))
		return -EBADMSG;
	cJSON_ArrayForEach(o, items) {
		const char *name = cJSON_IsObject(o) ? str_of(o, "name") : NULL;
		const char *message = cJSON_IsObject(o) ? str_of(o, "message") : NULL;

		if (!name || !message) {
			fail_list_done(&got);
			return -EBADMSG;
		}
		fail_add(&got, 0, name, str_of(o, "at"), str_of(o, "expected"), str_of(o, "next"),
			 "%s", message);
	}
	dropped = cJSON_GetObjectItemCaseSensitive(j, "dropped");
	if (cJSON_IsNumber(dropped) && dropped->valuedouble > 0 && dropped->valuedouble < 1e15)
		got.dropped += (size_t)dropped->valuedouble;
	fail_list_done(l);
	*l = got;
	return 0;
}
