/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - which CNI runs here, by the configuration that the runtime takes: the first by name. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cni-adapters/adapter.h"

#define CONF_FILES_MAX 256u /* a directory with more is no directory of configurations */

static bool is_conf(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot != name && (!strcmp(dot, ".conf") || !strcmp(dot, ".conflist") || !strcmp(dot, ".json"));
}

/* The name of the first file. malloc'ed, or NULL. */
static char *first_conf(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *first = NULL;
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	if (fd < 0)
		return NULL;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return NULL;
	}
	while ((e = readdir(d)) && n++ < CONF_FILES_MAX) {
		char *s;

		if (!is_conf(e->d_name) || (first && strcmp(e->d_name, first) >= 0))
			continue;
		s = strdup(e->d_name);
		if (!s)
			break;
		free(first);
		first = s;
	}
	closedir(d);
	return first;
}

static bool type_is(const cJSON *plugin, const char *type)
{
	const cJSON *t = cJSON_GetObjectItemCaseSensitive(plugin, "type");

	return cJSON_IsString(t) && !strcmp(t->valuestring, type);
}

static void json_done(cJSON **j)
{
	cJSON_Delete(*j);
}

bool cni_conf_has(int confdir_fd, const char *type)
{
	auto_cleanup(json_done) cJSON *doc = NULL;
	auto_free char *name = confdir_fd < 0 ? NULL : first_conf(confdir_fd), *text = NULL;
	auto_close int fd = -1;
	const cJSON *p;
	size_t n;

	if (!name)
		return false;
	fd = openat(confdir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || read_all_fd(fd, CNI_CONF_MAX, &text, &n))
		return false;
	doc = cJSON_ParseWithLength(text, n);
	if (type_is(doc, type))
		return true;
	cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(doc, "plugins"))
		if (type_is(p, type))
			return true;
	return false;
}
