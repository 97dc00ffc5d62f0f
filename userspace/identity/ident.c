/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/ident.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/htab.h"
#include "base/json.h"

struct entry {
	struct ident_info info;
	char *str;
	uint32_t number, refs;
};

struct ident_table {
	struct htab *by_str, *by_number;
	uint32_t next;
};

static int set_str(char **to, const char *from)
{
	*to = NULL;
	if (!from || !*from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

void ident_info_done(struct ident_info *i)
{
	if (!i)
		return;
	free(i->ns);
	free(i->controller_kind);
	free(i->controller_name);
	free(i->service_account);
	labels_done(&i->ns_labels);
	labels_done(&i->labels);
	memset(i, 0, sizeof(*i));
}

int ident_info_copy(const struct ident_info *from, struct ident_info *to)
{
	int r;

	memset(to, 0, sizeof(*to));
	r = set_str(&to->ns, from->ns);
	r = r ?: set_str(&to->controller_kind, from->controller_kind);
	r = r ?: set_str(&to->controller_name, from->controller_name);
	r = r ?: set_str(&to->service_account, from->service_account);
	r = r ?: labels_copy(&from->ns_labels, &to->ns_labels);
	r = r ?: labels_copy(&from->labels, &to->labels);
	if (r)
		ident_info_done(to);
	return r;
}

static int add_str(cJSON *o, const char *key, const char *s)
{
	return !s || !*s || cJSON_AddStringToObject(o, key, s) ? 0 : -ENOMEM;
}

static int add_labels(cJSON *o, const char *key, const struct labels *l)
{
	cJSON *m;

	if (!l->n)
		return 0;
	m = cJSON_AddObjectToObject(o, key);
	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		if (!cJSON_AddStringToObject(m, l->v[i].key, l->v[i].value ? l->v[i].value : ""))
			return -ENOMEM;
	return 0;
}

char *ident_info_str(const struct ident_info *i)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	/* Fixed key order and sorted labels make the text canonical; JSON quoting makes it injective. */
	if (!o || add_str(o, "namespace", i->ns) || add_labels(o, "namespaceLabels", &i->ns_labels) ||
	    add_labels(o, "labels", &i->labels) || add_str(o, "controllerKind", i->controller_kind) ||
	    add_str(o, "controllerName", i->controller_name) ||
	    add_str(o, "serviceAccount", i->service_account))
		return NULL;
	return cJSON_PrintUnformatted(o);
}

static int get_str(const cJSON *o, const char *key, char **ret)
{
	const cJSON *v = json_get(o, key);

	if (v && !cJSON_IsString(v))
		return -EBADMSG;
	return v ? set_str(ret, v->valuestring) : 0;
}

static int get_labels(const cJSON *o, const char *key, struct labels *ret)
{
	const cJSON *m = json_get(o, key), *v;
	int r;

	if (!m)
		return 0;
	if (!cJSON_IsObject(m))
		return -EBADMSG;
	cJSON_ArrayForEach(v, m) {
		if (!cJSON_IsString(v))
			return -EBADMSG;
		r = labels_set(ret, v->string, v->valuestring);
		if (r)
			return r;
	}
	return 0;
}

int ident_info_parse(const char *s, struct ident_info *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct ident_info i = {};
	int r = json_parse(s, strlen(s), "identity", NULL, &o);

	if (r)
		return r == -ENOMEM ? r : -EBADMSG;
	if (!cJSON_IsObject(o))
		return -EBADMSG;
	r = get_str(o, "namespace", &i.ns);
	r = r ?: get_labels(o, "namespaceLabels", &i.ns_labels);
	r = r ?: get_labels(o, "labels", &i.labels);
	r = r ?: get_str(o, "controllerKind", &i.controller_kind);
	r = r ?: get_str(o, "controllerName", &i.controller_name);
	r = r ?: get_str(o, "serviceAccount", &i.service_account);
	if (r)
		ident_info_done(&i);
	else
		*ret = i;
	return r;
}

struct ident_table *ident_table_new(void)
{
	struct ident_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->by_str = htab_new();
	t->by_number = htab_new();
	t->next = CW_ID_FIRST_USER;
	if (!t->by_str || !t->by_number) {
		ident_table_free(t);
		return NULL;
	}
	return t;
}

static void entry_free(void *p)
{
	struct entry *e = p;

	ident_info_done(&e->info);
	free(e->str);
	free(e);
}

void ident_table_free(struct ident_table *t)
{
	if (!t)
		return;
	htab_free(t->by_number, NULL);
	htab_free(t->by_str, entry_free);
	free(t);
}

size_t ident_table_count(const struct ident_table *t)
{
	return htab_count(t->by_str);
}

/* Takes `str` over on success. */
static int entry_add(struct ident_table *t, uint32_t number, const struct ident_info *info, char *str,
		     uint32_t refs)
{
	struct entry *e;
	int r;

	if (htab_count(t->by_str) >= IDENT_MAX)
		return -ENOSPC;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	r = ident_info_copy(info, &e->info);
	if (r) {
		free(e);
		return r;
	}
	e->number = number;
	e->refs = refs;
	r = htab_set_u64(t->by_number, number, e);
	if (!r) {
		r = htab_set(t->by_str, str, strlen(str), e, NULL);
		if (r)
			htab_del_u64(t->by_number, number);
	}
	if (r) {
		ident_info_done(&e->info);
		free(e);
		return r;
	}
	e->str = str;
	if (number >= t->next)
		t->next = number + 1;
	return 0;
}

int ident_table_preload(struct ident_table *t, uint32_t number, const struct ident_info *info)
{
	auto_free char *str = NULL;
	int r;

	if (number < CW_ID_FIRST_USER || number == UINT32_MAX)
		return -ERANGE;
	str = ident_info_str(info);
	if (!str)
		return -ENOMEM;
	if (htab_get_u64(t->by_number, number) || htab_get(t->by_str, str, strlen(str)))
		return -EEXIST;
	r = entry_add(t, number, info, str, 0);
	if (!r)
		str = NULL;
	return r;
}

int ident_table_get(struct ident_table *t, const struct ident_info *info, uint32_t *ret)
{
	auto_free char *str = ident_info_str(info);
	struct entry *e;
	uint32_t number = t->next;
	int r;

	if (!str)
		return -ENOMEM;
	e = htab_get(t->by_str, str, strlen(str));
	if (e) {
		e->refs++;
		*ret = e->number;
		return 0;
	}
	if (number == UINT32_MAX)
		return -ENOSPC;
	r = entry_add(t, number, info, str, 1);
	if (r)
		return r;
	str = NULL;
	*ret = number;
	return 0;
}

const struct ident_info *ident_table_info(const struct ident_table *t, uint32_t number)
{
	const struct entry *e = htab_get_u64(t->by_number, number);

	return e ? &e->info : NULL;
}

void ident_table_ref(struct ident_table *t, uint32_t number)
{
	struct entry *e = htab_get_u64(t->by_number, number);

	if (e)
		e->refs++;
}

void ident_table_unref(struct ident_table *t, uint32_t number)
{
	struct entry *e = htab_get_u64(t->by_number, number);

	if (e && e->refs)
		e->refs--;
}

size_t ident_table_prune(struct ident_table *t, uint32_t below)
{
	size_t it = 0, klen, n = 0;
	const void *key;
	void *v;

	while (htab_next(t->by_str, &it, &key, &klen, &v)) {
		struct entry *e = v;

		if (e->refs || e->number >= below)
			continue;
		htab_del_u64(t->by_number, e->number);
		htab_del(t->by_str, e->str, strlen(e->str));
		entry_free(e);
		n++;
	}
	return n;
}

int ident_table_each(const struct ident_table *t,
		     int (*fn)(void *arg, uint32_t number, const struct ident_info *info), void *arg)
{
	size_t it = 0, klen;
	const void *key;
	void *v;

	while (htab_next(t->by_str, &it, &key, &klen, &v)) {
		const struct entry *e = v;
		int r = fn(arg, e->number, &e->info);

		if (r)
			return r;
	}
	return 0;
}
