/* SPDX-License-Identifier: Apache-2.0 */
/* subject.c - what a command is about: REFs, and documents from files. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "ctl/ctl.h"
#include "policy/model.h"

#define DOCUMENT_BYTES_MAX (4u << 20)
#define DOCUMENTS_MAX 1000

char *ref_complete(struct ctl *c, const char *arg, const char *next)
{
	auto_free char *ns = flag_join(c, FLAG_NAMESPACE);
	const char *slash = strchr(arg, '/');
	size_t slashes = 0;
	struct prefix px;
	struct buf b;
	uint32_t id;

	for (const char *p = arg; *p; p++)
		slashes += *p == '/';
	if (reserved_parse(arg, &id) == 0 || prefix_parse(arg, &px) == 0 || slashes >= 2 ||
	    !strncmp(arg, "ns/", 3) || !strncmp(arg, "node/", 5) || !strncmp(arg, "fqdn/", 5) ||
	    (slash && strchr(slash, '=')))
		return strdup(arg);
	if (!ns || strchr(ns, ',')) {
		usage_fail(c, "ref.syntax", arg, "NS/KIND/NAME, ns/NS, NS/K=V, -n NS KIND/NAME", next, M_E_REF,
			   "ref", arg, NULL);
		return NULL;
	}
	buf_init(&b, 65536);
	buf_printf(&b, slashes || strchr(arg, '=') ? "%s/%s" : "%s/pod/%s", ns, arg);
	return buf_take(&b, NULL);
}

int input_read(struct ctl *c, const char *path, size_t max, char **ret, size_t *ret_len)
{
	char chunk[16384];
	struct buf b;
	size_t n;

	if (strcmp(path, "-"))
		return read_all_path(path, max, ret, ret_len);
	buf_init(&b, max);
	while ((n = fread(chunk, 1, sizeof(chunk), c->io.in)) > 0 && !buf_add(&b, chunk, n))
		;
	if (ferror(c->io.in) && !b.err)
		b.err = -EIO;
	if (b.err) {
		int r = b.err;

		buf_done(&b);
		return r;
	}
	*ret = buf_take(&b, ret_len);
	return *ret ? 0 : -ENOMEM;
}

/* ---- documents ------------------------------------------------------------------------------- */

static int document_add(struct ctl *c, cJSON *list, const char *path)
{
	auto_free char *text = NULL;
	cJSON *d;
	size_t len;
	int r;

	if (cJSON_GetArraySize(list) >= DOCUMENTS_MAX)
		return usage_fail(c, "cli.documents", path, NULL, NULL, M_E_DOCUMENTS, NULL);
	r = input_read(c, path, DOCUMENT_BYTES_MAX, &text, &len);
	if (!r && strlen(text) != len)
		r = -EILSEQ; /* a NUL would cut the text in the request */
	if (r < 0)
		return usage_fail(c, "cli.file", path, NULL, NULL, M_E_READ, "error", strerror(-r), NULL);
	d = cJSON_CreateObject();
	cJSON_AddStringToObject(d, "file", strcmp(path, "-") ? path : "standard input");
	cJSON_AddStringToObject(d, "text", text);
	cJSON_AddItemToArray(list, d);
	return 0;
}

static int is_document(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return e->d_name[0] != '.' && dot &&
	       (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml") || !strcmp(dot, ".json"));
}

static int folder_add(struct ctl *c, cJSON *list, const char *path)
{
	size_t len = strlen(path);
	struct dirent **names;
	int n = scandir(path, &names, is_document, alphasort), r = 0;

	if (n < 0)
		return usage_fail(c, "cli.file", path, NULL, NULL, M_E_READ, "error", strerror(errno), NULL);
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s%s%s", path, len && path[len - 1] == '/' ? "" : "/",
			 names[i]->d_name);
		r = document_add(c, list, file) ?: r; /* all faults of a set in one run */
		free(names[i]);
	}
	free(names);
	if (!n)
		return usage_fail(c, "cli.file", path, "*.yaml, *.yml, *.json", NULL, M_E_NO_DOCUMENTS, NULL);
	return r;
}

int documents_of(struct ctl *c, const char *const *paths, size_t n, cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		struct stat st;

		if (strcmp(paths[i], "-") && stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			r = folder_add(c, list, paths[i]) ?: r;
		else
			r = document_add(c, list, paths[i]) ?: r;
	}
	if (!r)
		*ret = take_ptr(list);
	return r;
}

int documents_put(struct ctl *c, cJSON *body)
{
	cJSON *docs = NULL;
	int r = 0;

	if (flag_given(c, FLAG_FILE))
		r = documents_of(c, c->values[FLAG_FILE].v, c->values[FLAG_FILE].n, &docs);
	if (docs)
		cJSON_AddItemToObject(body, "documents", docs);
	return r;
}
