/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni_install.c - keeps the chained plugin in the node's network configuration: at the start, and
 * again when the CNI has written its file anew. Files are small and local: done on the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "cni"
#include "agent/cni_priv.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cni-adapters/conflist.h"

#define SETTLE_MS 50u		/* writers write in steps */
#define AGAIN_MS 10000u		/* a directory that is not there yet, a change that was not told */
#define TOLD_EVERY 30u		/* the same fault is told again after so many looks */

struct cni_install {
	struct agent *a;
	uv_timer_t timer;
	uv_fs_event_t watch;
	bool watching;
	char *conf_dir, *bin_dir, *plugin, *socket;
	struct conflist_part part;
	unsigned told;
	char last[128];		/* name of the last fault */
	uint64_t done;		/* times it was put in */
	void (*closed)(uv_handle_t *h);
};

static void tell(struct cni_install *i, const struct fail_list *f)
{
	if (!f->n) {
		i->last[0] = 0;
		return;
	}
	if (!strcmp(i->last, f->items[0].name) && ++i->told % TOLD_EVERY)
		return;
	snprintf(i->last, sizeof(i->last), "%s", f->items[0].name);
	for (size_t k = 0; k < f->n; k++)
		log_warn(0, "%s: %s; at='%s'", f->items[k].name, f->items[k].message, f->items[k].at ?: "");
	agent_note(i->a, "cni-not-installed", NULL, "%s: %s", f->items[0].at ?: "", f->items[0].message);
}

static void on_changed(uv_fs_event_t *w, const char *name, int events, int status)
{
	struct cni_install *i = w->data;

	(void)events;
	(void)status;
	/* Ours on their way. */
	if (name && *name == '.')
		return;
	if (!uv_is_closing((uv_handle_t *)&i->timer))
		uv_timer_start(&i->timer, i->timer.timer_cb, SETTLE_MS, AGAIN_MS);
}

static void look(uv_timer_t *t)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	struct cni_install *i = t->data;
	auto_close int dir = open(i->conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char file[256] = "";
	int r;

	if (dir < 0) {
		(void)fail_add(&f, -errno, "cni.conf-dir", i->conf_dir, NULL, NULL, "cannot open it: %s", strerror(errno));
		tell(i, &f);
		return;
	}
	if (!i->watching)
		i->watching = !uv_fs_event_start(&i->watch, on_changed, i->conf_dir, 0);
	r = conflist_copy(i->plugin, i->bin_dir, &f);
	/* A chain with a plugin that is not there would keep every workload from starting. */
	if (r >= 0)
		r = conflist_install(dir, &i->part, &f, file);
	tell(i, &f);
	if (r != CONFLIST_CHANGED)
		return;
	i->done++;
	log_info("chained into the node's network configuration; file='%s/%s'", i->conf_dir, file);
	agent_note(i->a, i->done > 1 ? "cni-repaired" : "cni-installed", NULL, "%s/%s", i->conf_dir, file);
}

static void install_free(struct cni_install *i)
{
	if (!i)
		return;
	free(i->conf_dir);
	free(i->bin_dir);
	free(i->plugin);
	free(i->socket);
	free(i);
}

int agent_cni_install(struct agent *a, const struct agent_cni_install *cfg)
{
	struct cni_install *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->a = a;
	i->conf_dir = strdup(cfg->conf_dir);
	i->bin_dir = strdup(cfg->bin_dir);
	i->plugin = strdup(cfg->plugin);
	i->socket = strdup(cfg->socket);
	if (!i->conf_dir || !i->bin_dir || !i->plugin || !i->socket) {
		install_free(i);
		return -ENOMEM;
	}
	i->part = (struct conflist_part){ .socket = i->socket, .closed = cfg->closed, .timeout_ms = cfg->timeout_ms };
	uv_timer_init(a->loop, &i->timer);
	uv_fs_event_init(a->loop, &i->watch);
	i->timer.data = i->watch.data = i;
	a->handles += 2;
	a->cni_install = i;
	/* Not before the loop runs: then the plugin is answered. */
	uv_timer_start(&i->timer, look, 0, AGAIN_MS);
	return 0;
}

static void part_closed(uv_handle_t *h)
{
	struct cni_install *i = h->data;
	struct agent *a = i->a;
	void (*closed)(uv_handle_t *h) = i->closed;

	bool last = (uv_handle_t *)&i->watch == h;

	if (!last)
		uv_close((uv_handle_t *)&i->watch, part_closed);
	h->data = a;
	closed(h);
	if (last)
		install_free(i);
}

void agent_cni_install_close(struct agent *a, uv_close_cb closed)
{
	if (!a->cni_install)
		return;
	a->cni_install->closed = closed;
	uv_close((uv_handle_t *)&a->cni_install->timer, part_closed);
	a->cni_install = NULL;
}
