/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/dirs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define STATUS_BYTES_MAX (64u << 10)

static int helper_find(const struct lab_options *o, char out[LAB_PATH_MAX])
{
	static const char *const places[] = { "/cellwall-lab", "/../libexec/cellwall/cellwall-lab" };
	char exe[LAB_PATH_MAX];
	ssize_t n;
	char *slash;

	if (o->helper)
		return snprintf(out, LAB_PATH_MAX, "%s", o->helper) < (int)LAB_PATH_MAX ? 0 : -ENAMETOOLONG;
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return -errno;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (snprintf(out, LAB_PATH_MAX, "%s%s", exe, places[i]) < (int)LAB_PATH_MAX && !access(out, X_OK))
			return 0;
	return -ENOENT;
}

int lab_dirs_init(const struct lab_options *o, struct fail_list *f, struct lab_dirs *ret)
{
	const char *dir = o->dir ? o->dir : LAB_DIR_DEFAULT;
	struct lab_dirs d = {};

	if (dir[0] != '/' || !dir[1] || strlen(dir) > LAB_DIR_MAX ||
	    dir[strspn(dir, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")])
		return fail_add(f, -EINVAL, "lab.dir", dir,
				"an absolute path of at most 200 letters, digits and / . _ -", NULL,
				"not a folder that a lab can be kept in");
	snprintf(d.dir, sizeof(d.dir), "%s", dir);
	snprintf(d.netns, sizeof(d.netns), "%s/netns", dir);
	snprintf(d.status, sizeof(d.status), "%s/status", dir);
	snprintf(d.state, sizeof(d.state), "%s/lab.json", dir);
	snprintf(d.daemon, sizeof(d.daemon), "%s/daemon", dir);
	if (helper_find(o, d.helper) < 0 || access(d.helper, X_OK))
		return fail_add(f, -ENOENT, "lab.helper", o->helper ? o->helper : "cellwall-lab",
				"the program of the workloads beside this one, or in ../libexec/cellwall", "make all",
				"the lab's helper program is not there");
	*ret = d;
	return 0;
}

const char *lab_netns_path(const struct lab_dirs *d, const char *name, char out[LAB_PATH_MAX])
{
	snprintf(out, LAB_PATH_MAX, "%.*s/netns/%s", (int)LAB_DIR_MAX, d->dir, name);
	return out;
}

const char *lab_status_path(const struct lab_dirs *d, const char *name, char out[LAB_PATH_MAX])
{
	snprintf(out, LAB_PATH_MAX, "%.*s/status/%s.json", (int)LAB_DIR_MAX, d->dir, name);
	return out;
}

int lab_status_read(const struct lab_dirs *d, const char *name, cJSON **ret)
{
	char path[LAB_PATH_MAX];
	auto_free char *text = NULL;
	size_t len;
	int r = read_all_path(lab_status_path(d, name, path), STATUS_BYTES_MAX, &text, &len);

	return r < 0 ? r : json_parse(text, len, path, NULL, ret);
}
