/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cni.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "cni-adapters/conflist.h"
#include "loader/expedite.h"

char *daemon_cni_dir(const struct config *c)
{
	const char *slash = strrchr(c->socket, '/');
	char *s = NULL;

	if (asprintf(&s, "%.*s/cni", (int)(slash - c->socket), c->socket) < 0)
		return NULL;
	return s;
}

/* In a build directory it lies beside the daemon, installed in PREFIX/libexec. */
static char *plugin_path(const struct config *c)
{
	char exe[PATH_MAX], *slash, *s = NULL;
	ssize_t n;

	if (c->cni_plugin && *c->cni_plugin)
		return strdup(c->cni_plugin);
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n <= 0)
		return NULL;
	exe[n] = 0;
	slash = strrchr(exe, '/');
	if (asprintf(&s, "%.*s/" CONFLIST_TYPE, (int)(slash - exe), exe) < 0)
		return NULL;
	if (!access(s, X_OK))
		return s;
	free(s);
	return asprintf(&s, "%.*s/../libexec/cellwall/" CONFLIST_TYPE, (int)(slash - exe), exe) < 0 ? NULL : s;
}

int daemon_cni_open(struct agent *a, const struct config *c, struct http_server *srv, struct fail_list *f)
{
	auto_free char *plugin = NULL;
	struct agent_cni_install in = {
		.conf_dir = c->cni_conf_dir, .bin_dir = c->cni_bin_dir, .closed = c->cni_closed,
		.socket = c->cni_socket && *c->cni_socket ? c->cni_socket : c->socket,
		.timeout_ms = (uint32_t)c->cni_timeout_ms,
	};
	int r = agent_cni_routes(a, srv);

	if (r < 0)
		return fail_add(f, r, "api.routes", NULL, NULL, NULL, "cannot add the plugin's routes");
	if (!c->cni_install)
		return 0;
	plugin = plugin_path(c);
	if (!plugin)
		return fail_add(f, -ENOENT, "cni.plugin", "cni.plugin", "the path of the program cellwall-cni", NULL,
				"cannot tell where the plugin is");
	in.plugin = plugin;
	r = agent_cni_install(a, &in);
	return r < 0 ? fail_add(f, r, "agent.memory", NULL, NULL, NULL, "no memory") : 0;
}

/* Notes of what nobody judges any more. What is not ours to remove keeps the directory. */
static void notes_remove(const struct config *c)
{
	auto_free char *dir = daemon_cni_dir(c);
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (e->d_type == DT_REG)
			(void)unlinkat(fd, e->d_name, 0);
	closedir(d);
	(void)rmdir(dir);
}

int daemon_cni_uninstall(const struct config *c, struct fail_list *f)
{
	auto_free char *mark = NULL;
	auto_close int dir = open(c->cni_conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? (errno == ENOENT ? 0 : -errno) : conflist_remove(dir, f);

	if (r < 0)
		return f->n ? r : fail_add(f, r, "cni.conf-dir", c->cni_conf_dir, NULL, NULL, "cannot open it: %s", strerror(-r));
	notes_remove(c);
	if (asprintf(&mark, "%s/agent/rcu-expedited", c->state_dir) >= 0)
		expedite_restore(mark);
	else
		mark = NULL;
	/* Only what this configuration put there: a plugin that is still chained elsewhere must stay. */
	if (!c->cni_install)
		return 0;
	r = conflist_uncopy(c->cni_bin_dir);
	if (r < 0)
		return fail_add(f, r, "cni.bin-dir", c->cni_bin_dir, NULL, NULL, "cannot remove the plugin: %s", strerror(-r));
	return 0;
}
