/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "lab/build.h"
#include "lab/plan.h"

#define STATE_BYTES_MAX (1u << 20)

static void workload_text(struct buf *b, const struct lab_dirs *d, const struct lab_workload *w)
{
	char path[LAB_PATH_MAX], port[40];

	buf_printf(b, "{\"namespace\":\"%s\",\"name\":\"%s\",\"netns\":\"%s\",", w->ns, w->name,
		   lab_netns_path(d, w->name, path));
	if (w->app)
		buf_printf(b, "\"labels\":{\"app\":\"%s\"},\"serviceAccount\":\"%s\",", w->app, w->app);
	if (w->controller)
		buf_printf(b, "\"controller\":{\"kind\":\"%s\",\"name\":\"%s\"},", w->kind, w->controller);
	buf_adds(b, "\"ports\":[");
	for (size_t i = 0; i < LAB_PORTS_MAX && w->ports[i].name; i++)
		buf_printf(b, "%s{\"name\":\"%s\",\"port\":\"%s\"}", i ? "," : "", w->ports[i].name,
			   lab_port_str(w->ports[i].proto, w->ports[i].port, port));
	buf_printf(b, "],\"addresses\":[\"%s\",\"%s\"]}", w->v4, w->v6);
}

/* The answer of lab_up, and the state file. Only our own constants and a checked path go in. */
static int lab_text(const struct lab_dirs *d, const char *state, char **ret, size_t *ret_len)
{
	auto_cleanup(buf_done) struct buf b = {};
	char path[LAB_PATH_MAX];

	buf_init(&b, STATE_BYTES_MAX);
	buf_printf(&b, "{\"apiVersion\":\"cellwall.io/v1\",\"kind\":\"Lab\",\"state\":\"%s\",\"dir\":\"%s\",\n",
		   state, d->dir);
	buf_printf(&b, "\"node\":{\"netns\":\"%s\",\"bridge\":\"" LAB_BRIDGE "\",\"addresses\":[\"" LAB_NODE_V4 "\",\""
		       LAB_NODE_V6 "\"]},\n", lab_netns_path(d, LAB_NODE, path));
	buf_printf(&b, "\"outside\":{\"netns\":\"%s\",\"addresses\":[\"" LAB_CLIENT_V4 "\",\"" LAB_PAY_V4 "\",\"%s\"]},\n",
		   lab_netns_path(d, LAB_OUTSIDE, path), lab_workloads[LAB_OUTSIDE_AT].v6);
	buf_printf(&b, "\"config\":\"%s/cellwalld.yaml\",\"server\":\"unix://%s/api.sock\",\n", d->daemon, d->dir);
	buf_adds(&b, "\"clusterCIDRs\":[\"" LAB_CIDR_V4 "\",\"" LAB_CIDR_V6 "\"],\n"
		     "\"foldCIDRs\":[\"198.51.100.0/24\",\"2001:db8:51::/48\"],\n\"workloads\":[");
	for (size_t i = 0; i < LAB_OUTSIDE_AT; i++) {
		buf_adds(&b, i ? ",\n" : "\n");
		workload_text(&b, d, &lab_workloads[i]);
	}
	buf_adds(&b, "]}\n");
	*ret = buf_take(&b, ret_len);
	return *ret ? 0 : -ENOMEM;
}

static int state_write(const struct lab_dirs *d, const char *state, cJSON **ret)
{
	auto_free char *text = NULL;
	size_t len;
	int r = lab_text(d, state, &text, &len);

	if (r == 0)
		r = write_file_atomic(d->state, text, len, 0644);
	if (r == 0 && ret)
		r = json_parse(text, len, "lab", NULL, ret);
	return r;
}

/* What a daemon of the lab's own needs: JSON, which is YAML too. */
static int daemon_write(const struct lab_dirs *d, const cJSON *lab)
{
	auto_free char *cidrs = cJSON_PrintUnformatted(json_get(lab, "clusterCIDRs"));
	auto_free char *fold = cJSON_PrintUnformatted(json_get(lab, "foldCIDRs"));
	auto_free char *workloads = cJSON_PrintUnformatted(json_get(lab, "workloads"));
	auto_cleanup(buf_done) struct buf config = {}, inventory = {};
	char path[LAB_PATH_MAX + 32];
	int r;

	buf_init(&config, STATE_BYTES_MAX);
	buf_init(&inventory, STATE_BYTES_MAX);
	if (!cidrs || !fold || !workloads)
		return -ENOMEM;
	buf_printf(&config, "cluster: lab\nnode: lab\nclusterCIDRs: %s\nlearn: {foldCIDRs: %s}\n"
		   "api: {socket: \"%s/api.sock\"}\n"
		   "paths: {state: \"%s/state\", pins: /sys/fs/bpf/cellwall-lab, inventory: \"%s/inventory.yaml\"}\n",
		   cidrs, fold, d->dir, d->dir, d->daemon);
	buf_printf(&inventory, "apiVersion: cellwall.io/v1alpha1\nkind: Inventory\nspec: {\"workloads\": %s}\n", workloads);
	if (!config.data || !inventory.data)
		return -ENOMEM;
	r = mkdir_p(d->daemon, 0755);
	snprintf(path, sizeof(path), "%s/cellwalld.yaml", d->daemon);
	r = r ?: write_file_atomic(path, config.data, config.len, 0644);
	snprintf(path, sizeof(path), "%s/inventory.yaml", d->daemon);
	return r ?: write_file_atomic(path, inventory.data, inventory.len, 0644);
}

int lab_up(const struct lab_options *o, struct fail_list *f, cJSON **ret)
{
	struct lab_unbuilt gone;
	struct lab_dirs d;
	int r = lab_dirs_init(o, f, &d);

	if (r < 0)
		return r;
	if (geteuid())
		return fail_add(f, -EPERM, "lab.root", NULL, "root", "sudo cellwall lab up",
				"the lab makes network namespaces, which only root may");
	if (!access(d.state, F_OK) || !access(d.netns, F_OK))
		return fail_add(f, -EEXIST, "lab.up", d.dir, NULL, "cellwall lab down", "a lab is already there");
	r = mkdir_p(d.dir, 0755);
	if (r == 0)
		r = state_write(&d, "building", NULL);
	if (r < 0)
		return fail_add(f, r, "lab.dir", d.dir, "a folder that can be written", NULL,
				"cannot write the state file: %s", strerror(-r));
	r = lab_build(&d, f);
	if (r == 0)
		r = state_write(&d, "up", ret);
	if (r == 0) {
		r = daemon_write(&d, *ret);
		if (r < 0)
			cJSON_Delete(take_ptr(*ret));
	}
	if (r < 0)
		lab_unbuild(&d, &gone);
	return r;
}

static int state_read(const struct lab_dirs *d, struct fail_list *f, cJSON **ret)
{
	auto_free char *text = NULL;
	size_t len;
	int r = read_all_path(d->state, STATE_BYTES_MAX, &text, &len);

	if (r < 0)
		return fail_add(f, r, "lab.down", d->dir, NULL, "cellwall lab up", "no lab is up");
	return json_parse(text, len, d->state, f, ret);
}

static int list_one(void *arg, const struct lab_proc *p)
{
	cJSON *o = cJSON_CreateObject();

	if (!o || !cJSON_AddStringToObject(o, "what", p->what) || !cJSON_AddStringToObject(o, "name", p->name) ||
	    !cJSON_AddNumberToObject(o, "pid", p->pid) || !cJSON_AddItemToArray(arg, o)) {
		cJSON_Delete(o);
		return -ENOMEM;
	}
	return 0;
}

int lab_list(const struct lab_options *o, struct fail_list *f, cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	struct lab_dirs d;
	cJSON *procs;
	int r = lab_dirs_init(o, f, &d);

	if (r == 0)
		r = state_read(&d, f, &j);
	if (r < 0)
		return r;
	procs = cJSON_AddArrayToObject(j, "processes");
	if (!procs)
		return -ENOMEM;
	r = lab_procs(&d, list_one, procs);
	if (r < 0)
		return r;
	*ret = take_ptr(j);
	return 0;
}

int lab_down(const struct lab_options *o, struct fail_list *f, cJSON **ret)
{
	struct lab_unbuilt u;
	struct lab_dirs d;
	char text[1024];
	int r = lab_dirs_init(o, f, &d);

	if (r < 0)
		return r;
	lab_unbuild(&d, &u);
	snprintf(text, sizeof(text), "{\"apiVersion\":\"cellwall.io/v1\",\"kind\":\"LabDown\",\"removed\":{\"processes\":%zu,"
		 "\"namespaces\":%zu,\"files\":%zu},\"left\":{\"links\":%zu,\"namespaces\":%zu,\"processes\":%zu,"
		 "\"files\":%zu}}", u.processes, u.namespaces, u.files, u.left_links, u.left_namespaces,
		 u.left_processes, u.left_files);
	r = json_parse(text, strlen(text), "lab", NULL, ret);
	if (r < 0)
		return r;
	if (u.left_processes)
		return fail_add(f, -EBUSY, "lab.left", u.who, NULL, "cellwall lab down",
				"%zu other processes are still inside; end them: their namespaces go with them",
				u.left_processes);
	if (u.left_namespaces || u.left_files)
		return fail_add(f, -EBUSY, "lab.left", d.dir, NULL, "cellwall lab down",
				"%zu namespaces and %zu files could not be removed", u.left_namespaces, u.left_files);
	return 0;
}
