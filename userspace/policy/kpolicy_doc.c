/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy_doc.c - Kubernetes policies among the documents that people write. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/doc_priv.h"
#include "policy/kpolicy_priv.h"

static const char list_suffix[] = "List";

bool kpolicy_doc_kind(const cJSON *root, enum kpolicy_kind *ret)
{
	return kpolicy_kind_parse(json_str(root, "kind"), ret);
}

static bool is_word(const cJSON *root, const char *field, const char *word)
{
	const char *s = json_str(root, field);

	return s && strcmp(s, word) == 0;
}

/* The kind of the items of a NetworkPolicyList and its like. */
static bool kind_of_items(const cJSON *root, enum kpolicy_kind *ret)
{
	const char *kind = json_str(root, "kind");
	size_t n = kind ? strlen(kind) : 0, tail = sizeof(list_suffix) - 1;
	char item[64];

	if (n <= tail || n - tail >= sizeof(item) || strcmp(kind + n - tail, list_suffix) != 0)
		return false;
	memcpy(item, kind, n - tail);
	item[n - tail] = '\0';
	return kpolicy_kind_parse(item, ret);
}

bool docs_is_list(const cJSON *root)
{
	enum kpolicy_kind kind;

	return kind_of_items(root, &kind) || (is_word(root, "kind", list_suffix) && is_word(root, "apiVersion", "v1"));
}

int docs_read_list(struct doc_job *j, const cJSON *root)
{
	static const struct doc_field fields[] = {
		{ "apiVersion", NULL, true }, { "kind", NULL, true }, { "metadata", NULL, false },
		{ "items", NULL, true },
	};
	const cJSON *items = json_get(root, "items"), *list, *v;
	const struct doc_pos pos = j->pos;
	struct doc *d = &j->d;
	enum kpolicy_kind kind;
	bool of_kind = kind_of_items(root, &kind);
	int r = doc_object(d, root, fields, ARRAY_SIZE(fields), NULL);
	size_t mark = doc_enter(d, "items"), i = 0;

	if (r == 0 && items && !cJSON_IsArray(items) && !cJSON_IsNull(items))
		r = doc_list(d, items, 0, NULL, NULL); /* says what was found instead */
	list = cJSON_IsArray(items) ? items : NULL;
	cJSON_ArrayForEach(v, list) {
		size_t item = doc_enter_index(d, i++);

		j->pos.line = yaml_line(d->yaml, v);
		if (r == 0 && of_kind && cJSON_IsObject(v))
			r = kpolicy_doc_read(d, v, kind, &j->pos, j->names, &j->got);
		else if (r == 0)
			r = docs_read(j, v, true);
		doc_leave(d, item);
	}
	doc_leave(d, mark);
	j->pos = pos;
	return r;
}

bool kpolicy_doc_api(const cJSON *root)
{
	const char *api = json_str(root, "apiVersion");

	for (int k = KPOLICY_NP; api && k <= KPOLICY_CNP; k++)
		if (strcmp(api, kpolicy_api_str((enum kpolicy_kind)k)) == 0)
			return true;
	return false;
}

int kpolicy_doc_unknown(struct doc *d, const cJSON *root)
{
	const char *words[KPOLICY_CNP + 1];
	size_t mark = doc_enter(d, "kind"), i;
	const cJSON *kind = json_get(root, "kind");

	for (int k = KPOLICY_NP; k <= KPOLICY_CNP; k++)
		words[k] = kpolicy_kind_str((enum kpolicy_kind)k);
	if (kind)
		(void)doc_word(d, kind, words, ARRAY_SIZE(words), &i); /* none of them, or it were known */
	else
		doc_fault(d, root, "missing-field", "kind: NetworkPolicy", "the field \"kind\" is missing");
	doc_leave(d, mark);
	return 0;
}

int kpolicy_doc_read(struct doc *d, const cJSON *root, enum kpolicy_kind kind, const struct doc_pos *pos,
		     struct htab *names, struct rule_docs *to)
{
	const struct doc_pos *first;
	unsigned before = d->faults, number = d->number;
	struct kpolicy k = {};
	const cJSON *name;
	char ref[600];
	size_t mark;
	int r;

	d->number = pos->document; /* people look for the document first, also where there is one only */
	r = kpolicy_read_as(d, root, kind, &k);
	if (r == 0 && d->faults == before) {
		r = docs_claim(names, kpolicy_kind_str(kind), k.ns, k.name, pos, &first);
		if (r == 0 && first) {
			d->prefix = "policy";
			d->object = kpolicy_ref(&k, ref);
			name = json_get(json_get(root, "metadata"), "name");
			mark = doc_enter(d, "metadata.name");
			doc_fault(d, name, "duplicate", "each one once",
				  "%s was given before, at %s:%u", ref, first->file, first->line);
			doc_leave(d, mark);
			d->object = NULL;
		}
	}
	if (r == 0 && d->faults == before) {
		r = docs_grow((void **)&to->kpolicies, &to->kpolicies_at, to->nkpolicies, sizeof(*to->kpolicies));
		if (r == 0) {
			to->kpolicies_at[to->nkpolicies] = *pos;
			to->kpolicies[to->nkpolicies++] = k;
			k = (struct kpolicy){};
		}
	}
	d->number = number;
	kpolicy_done(&k);
	return r;
}

int kpolicy_doc_next(struct fail_list *f, size_t first, size_t others)
{
	char text[96];

	snprintf(text, sizeof(text), "correct the field; the other %zu documents are valid", others);
	if (others == 1)
		snprintf(text, sizeof(text), "correct the field; the other document is valid");
	for (size_t i = first; f && i < f->n; i++)
		if (set_str(&f->items[i].next, text) < 0)
			return -ENOMEM;
	return 0;
}
