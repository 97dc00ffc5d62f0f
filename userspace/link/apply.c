/* SPDX-License-Identifier: Apache-2.0 */
/* apply.c - what the controller wants, put in force here and kept for a restart without it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_UNIT "link"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/log.h"
#include "base/vec.h"
#include "link/priv.h"

/* ---- the state ------------------------------------------------------------------------------------ */

static void attachments_check(struct uplink *u, const struct policy_state *st);

static int put_in_force(struct uplink *u, enum policy_flows flows, struct fail_list *f, struct node_receipt *ret)
{
	auto_cleanup(own_nodes_done) struct own_nodes own = { };
	struct policy_state view = { }, st;
	int r = replica_view(u->replica, u->name, &view);

	if (r)
		return r;
	st = view;
	r = node_view(u, &st, &own);
	r = r ?: u->ops->prepare(u->node, &st, f, ret);
	if (r >= 0)
		r = u->ops->commit(u->node, flows, ret);
	if (r >= 0) {
		u->applied_generation = st.generation;
		u->workloads = st.nworkloads;
		attachments_check(u, &st);
	}
	replica_view_done(&view);
	return r < 0 ? r : 0;
}

/* Standing flows feel what was missed, if any part of it said so. */
static enum policy_flows stricter(enum policy_flows a, enum policy_flows b)
{
	if (a == POLICY_RESET || b == POLICY_RESET)
		return POLICY_RESET;
	return a == POLICY_CUT || b == POLICY_CUT ? POLICY_CUT : POLICY_KEEP;
}

static int apply(struct uplink *u, enum policy_flows flows, struct node_receipt *ret)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	int r;

	if (!u->applied)
		flows = stricter(flows, u->owed);
	memset(ret, 0, sizeof(*ret));
	r = put_in_force(u, flows, &f, ret);
	snprintf(ret->node, sizeof(ret->node), "%s", u->name);
	ret->generation = u->applied_generation;
	ret->applied = !r;
	u->applied = !r;
	if (!r) {
		*u->refused = 0;
		u->again_at = u->again_ms = 0;
		return 0;
	}
	u->owed = flows;
	u->again_ms = u->again_ms ? u->again_ms * 2 : RESIGN_MS;
	if (u->again_ms > RESIGN_MAX_MS)
		u->again_ms = RESIGN_MAX_MS;
	u->again_at = uv_now(u->loop) + u->again_ms;
	if (!*ret->note)
		snprintf(ret->note, sizeof(ret->note), "%s", f.n ? f.items[f.n - 1].message : strerror(-r));
	snprintf(u->refused, sizeof(u->refused), "%s", ret->note);
	log_warn(r, "the state from the controller is not put in force, the former one stays; note='%s'", ret->note);
	return r;
}

static void note_on_disk(struct uplink *u)
{
	bool whole = u->file_behind || u->frames.err || !u->frames.len;
	int r = snapshot_note(u->snapshot, u->replica, whole ? NULL : u->frames.data, whole ? 0 : u->frames.len);

	u->file_behind = r != 0;
	if (r)
		log_warn(r, "cannot keep the state on disk: a restart without the controller would use an older one");
}

static void answer(struct uplink *u, const struct node_receipt *receipt)
{
	const struct msg_receipt m = { .revision = replica_held(u->replica).revision, .receipt = *receipt };
	auto_cleanup(buf_done) struct buf b = { };

	buf_init(&b, FRAME_BODY_MAX);
	if (msg_put_receipt(&b, &m) || connect_send(u, &b))
		log_debug("a receipt is not sent: the controller asks again when it is back");
}

static int keep_frame(struct uplink *u, const struct frame *fr)
{
	if (fr->type == FRAME_SYNC) {
		buf_done(&u->frames);
		buf_init(&u->frames, FRAMES_KEPT);
	}
	/* Too long for it: the whole is written instead. */
	return fr->type == FRAME_RECORDS ? frame_put_zlib(&u->frames, fr->type, fr->body, fr->len) :
					   frame_put(&u->frames, fr->type, 0, fr->body, fr->len);
}

int apply_frame(struct uplink *u, const struct frame *fr)
{
	struct node_receipt receipt;
	struct msg_sync sync = { };
	int r;

	(void)keep_frame(u, fr);
	r = replica_take(u->replica, fr, &sync);
	if (r <= 0)
		return r;
	if (sync.snapshot)
		u->file_behind = true; /* what is on disk does not lead to it */
	r = apply(u, sync.flows, &receipt);
	answer(u, &receipt);
	if (!r)
		note_on_disk(u);
	else
		u->file_behind = true;
	buf_done(&u->frames);
	return 0;
}

void apply_broken(struct uplink *u)
{
	replica_drop(u->replica);
	buf_done(&u->frames);
}

/* ---- attachments ------------------------------------------------------------------------------------ */

static char *attachments_path(const struct uplink *u)
{
	char *p;

	return asprintf(&p, "%s/attachments.json", u->state_dir) < 0 ? NULL : p;
}

static void attachment_done(struct attachment *a)
{
	free(a->ns);
	free(a->name);
	free(a->netns);
	memset(a, 0, sizeof(*a));
}

static struct attachment *attachment_find(struct uplink *u, const char *ns, const char *name)
{
	for (size_t i = 0; i < u->natt; i++)
		if (!strcmp(u->att[i].ns, ns) && !strcmp(u->att[i].name, name))
			return &u->att[i];
	return NULL;
}

static int attachments_save(struct uplink *u)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *arr = cJSON_AddArrayToObject(o, "items"), *x;
	auto_free char *path = attachments_path(u), *text = NULL;

	for (size_t i = 0; arr && i < u->natt; i++) {
		x = cJSON_CreateObject();
		if (!x || !cJSON_AddStringToObject(x, "namespace", u->att[i].ns) ||
		    !cJSON_AddStringToObject(x, "name", u->att[i].name) ||
		    !cJSON_AddStringToObject(x, "netns", u->att[i].netns) ||
		    !cJSON_AddBoolToObject(x, "known", u->att[i].known)) {
			cJSON_Delete(x);
			return -ENOMEM;
		}
		cJSON_AddItemToArray(arr, x);
	}
	text = arr ? cJSON_PrintUnformatted(o) : NULL;
	return text && path ? write_file_atomic(path, text, strlen(text), 0600) : -ENOMEM;
}

static void attachments_kept(struct uplink *u)
{
	int r = attachments_save(u);

	if (r)
		log_warn(r, "cannot note attachments on disk; dir='%s'", u->state_dir);
}

static int attachment_add(struct uplink *u, const char *ns, const char *name, const char *netns, bool known)
{
	struct attachment a = { .ns = strdup(ns), .name = strdup(name), .netns = strdup(netns), .known = known };

	if (u->natt >= ATTACHMENTS_MAX || !a.ns || !a.name || !a.netns ||
	    vec_grow_((void **)&u->att, &u->att_cap, u->natt + 1, sizeof(a))) {
		int r = u->natt >= ATTACHMENTS_MAX ? -ENOSPC : -ENOMEM;

		attachment_done(&a);
		return r;
	}
	u->att[u->natt++] = a;
	return 0;
}

static int attach_one(struct uplink *u, struct attachment *a, struct fail_list *f)
{
	struct workload w = { .ns = a->ns, .name = a->name, .node = u->name };
	struct policy_state view = { };
	int r;

	if (!u->ops->workload_attach)
		return -ENOTSUP;
	if (!replica_view(u->replica, u->name, &view)) {
		for (size_t i = 0; i < view.nworkloads; i++)
			if (!strcmp(view.workloads[i].name, a->name) && !strcmp(view.workloads[i].ns, a->ns))
				w = view.workloads[i];
		r = u->ops->workload_attach(u->node, &w, a->netns, f);
		replica_view_done(&view);
	} else {
		r = -ENOMEM;
	}
	a->attached = r >= 0;
	return r < 0 ? r : 0;
}

/* One look at each workload of the cluster, of which there may be very many. */
static int attachments_mark(struct uplink *u, const struct policy_state *st)
{
	struct htab *t = htab_new();
	char key[512];
	int n, r = t ? 0 : -ENOMEM;

	for (size_t i = 0; i < u->natt && !r; i++) {
		u->att[i].here = false;
		n = snprintf(key, sizeof(key), "%s/%s", u->att[i].ns, u->att[i].name);
		r = htab_set(t, key, (size_t)n, (void *)(i + 1), NULL);
	}
	for (size_t i = 0; i < st->nworkloads && !r; i++) {
		const struct workload *w = &st->workloads[i];
		size_t at;

		if (w->node && *w->node && strcmp(w->node, u->name))
			continue;
		n = snprintf(key, sizeof(key), "%s/%s", w->ns, w->name);
		at = n > 0 && (size_t)n < sizeof(key) ? (size_t)htab_get(t, key, (size_t)n) : 0;
		if (at)
			u->att[at - 1].here = true;
	}
	htab_free(t, NULL);
	return r;
}

/* What no state names any more, or names on another node, is over: its detach may have been lost with a connection. */
static void attachments_check(struct uplink *u, const struct policy_state *st)
{
	bool changed = false;

	if (!u->natt || attachments_mark(u, st))
		return;
	for (size_t i = u->natt; i-- > 0;) {
		struct attachment *a = &u->att[i];

		if (a->here) {
			changed |= !a->known;
			a->known = true;
			continue;
		}
		if (!a->known)
			continue; /* its workload is on the way */
		log_info("workload is no longer on this node; workload='%s/%s'", a->ns, a->name);
		if (u->ops->workload_detach)
			(void)u->ops->workload_detach(u->node, a->ns, a->name);
		attachment_done(a);
		*a = u->att[--u->natt];
		changed = true;
	}
	if (changed)
		attachments_kept(u);
}

int apply_ask(struct uplink *u, const struct msg_ask *ask, struct fail_list *f)
{
	struct attachment *a = attachment_find(u, ask->ns, ask->name);
	int r = 0;

	if (ask->what == ASK_ATTACH) {
		if (!a) {
			r = attachment_add(u, ask->ns, ask->name, ask->netns, false);
			if (r)
				return r;
			a = &u->att[u->natt - 1];
		} else if (strcmp(a->netns, ask->netns)) {
			char *s = strdup(ask->netns);

			if (!s)
				return -ENOMEM;
			free(a->netns);
			a->netns = s;
		}
		attachments_kept(u);
		return attach_one(u, a, f); /* also tried again by the tick */
	}
	r = u->ops->workload_detach ? u->ops->workload_detach(u->node, ask->ns, ask->name) : -ENOTSUP;
	if (a) {
		attachment_done(a);
		*a = u->att[--u->natt];
		attachments_kept(u);
	}
	return r == -ENOENT && a ? 0 : r;
}

static int attachments_load(struct uplink *u, struct fail_list *f)
{
	auto_free char *path = attachments_path(u), *text = NULL;
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	const cJSON *items = NULL, *x;
	size_t n;
	int r = path ? read_all_path(path, 64u << 20, &text, &n) : -ENOMEM;

	if (r)
		return r == -ENOENT ? 0 : r;
	r = json_parse(text, n, NULL, NULL, &o);
	if (r == -ENOMEM)
		return r;
	if (!r)
		items = cJSON_GetObjectItemCaseSensitive(o, "items");
	cJSON_ArrayForEach(x, items) {
		const char *ns = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(x, "namespace"));
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(x, "name"));
		const char *netns = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(x, "netns"));

		if (!ns || !name || !netns || attachment_find(u, ns, name)) {
			r = -EBADMSG;
			break;
		}
		r = attachment_add(u, ns, name, netns, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(x, "known")));
		if (r)
			return r;
	}
	if (r)
		fail_add(f, 0, "attachments.damaged", path, NULL, NULL,
			 "the list of attachments is damaged: the controller is asked what belongs here");
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------------- */

int apply_load(struct uplink *u, struct fail_list *f)
{
	auto_free char *path = NULL;
	int r;

	if (asprintf(&path, "%s/snapshot", u->state_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = snapshot_open(path, u->name, f, &u->snapshot, &u->replica);
	return r ?: attachments_load(u, f);
}

int apply_start(struct uplink *u, struct fail_list *f)
{
	struct node_receipt receipt;
	int r = 0;

	u->from_disk = true;
	if (replica_held(u->replica).revision) {
		r = apply(u, POLICY_CUT, &receipt);
		if (r)
			fail_add(f, r, "snapshot.refused", u->state_dir, NULL, NULL,
				 "the saved state is not put in force: %s", receipt.note);
		else
			log_info("the saved state is in force; generation=%llu workloads=%zu",
				 (unsigned long long)u->applied_generation, u->workloads);
	}
	for (size_t i = 0; i < u->natt; i++)
		(void)attach_one(u, &u->att[i], NULL); /* tried again by the tick */
	return r;
}

int apply_node_addrs(struct uplink *u, const struct addr *a, size_t n)
{
	int r = node_addrs_take(u, a, n);

	if (r)
		return r;
	node_addrs_send(u, false);
	if (u->applied) {
		u->owed = POLICY_KEEP; /* the rules are the same */
		u->again_at = uv_now(u->loop);
	}
	return 0;
}

void apply_tick(struct uplink *u)
{
	struct node_receipt receipt;

	for (size_t i = 0; i < u->natt; i++)
		if (!u->att[i].attached)
			(void)attach_one(u, &u->att[i], NULL);
	if (!u->again_at || uv_now(u->loop) < u->again_at)
		return;
	if (!apply(u, u->owed, &receipt)) {
		note_on_disk(u);
		answer(u, &receipt);
	}
}

void apply_done(struct uplink *u)
{
	for (size_t i = 0; i < u->natt; i++)
		attachment_done(&u->att[i]);
	free(u->att);
	snapshot_close(u->snapshot);
	replica_free(u->replica);
	buf_done(&u->frames);
}
