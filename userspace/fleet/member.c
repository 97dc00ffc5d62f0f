/* SPDX-License-Identifier: Apache-2.0 */
/* member.c - what is known of a node, connected or not. */
#include "fleet/priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

struct member *member_get(struct fleet *fl, const char *name, bool create)
{
	struct member *m = htab_get(fl->members, name, strlen(name));

	if (m || !create)
		return m;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->fl = fl;
	m->wants = htab_new();
	(void)snprintf(m->name, sizeof(m->name), "%s", name);
	(void)snprintf(m->st.name, sizeof(m->st.name), "%s", name);
	if (!m->wants || htab_set(fl->members, name, strlen(name), m, NULL)) {
		member_free(m);
		return NULL;
	}
	return m;
}

void want_free(void *p)
{
	struct want *w = p;

	if (!w)
		return;
	free(w->ns);
	free(w->name);
	free(w->netns);
	free(w);
}

void member_free(void *p)
{
	struct member *m = p;

	if (!m)
		return;
	for (size_t i = 0; i < INSTANCES_MAX; i++)
		if (m->instances[i] && htab_get_u64(m->fl->owners, m->instances[i]) == m)
			(void)htab_del_u64(m->fl->owners, m->instances[i]);
	msg_guards_done(&m->guards);
	msg_answer_done(&m->flows);
	msg_node_addresses_done(&m->told);
	cJSON_Delete(m->counters);
	htab_free(m->wants, want_free);
	free(m);
}

void member_lost(struct member *m, const char *why)
{
	m->peer = NULL;
	m->st.connected_ns = 0;
	m->st.seen_ns = fleet_now(m->fl);
	(void)snprintf(m->st.reason, sizeof(m->st.reason), "%s", why);
	m->flows_ms = m->flows_asked_ms = 0;
	msg_answer_done(&m->flows);
}

static bool same(const struct msg_held *a, const struct msg_held *b)
{
	return a->epoch == b->epoch && a->revision == b->revision;
}

void member_status(const struct member *m, struct node_status *ret)
{
	const struct msg_held now = records_held(m->fl->records);

	*ret = m->st;
	ret->revision = m->acked.epoch == now.epoch ? m->acked.revision : 0;
	if (!m->peer) {
		ret->standing = NODE_LOST;
	} else if (m->refused) {
		ret->standing = NODE_REFUSED;
		(void)snprintf(ret->reason, sizeof(ret->reason), "%s", m->st.receipt.note);
	} else if (!same(&m->acked, &now)) {
		ret->standing = NODE_BEHIND;
		(void)snprintf(ret->reason, sizeof(ret->reason), "has not answered for the last change yet");
	} else if (m->st.generation != records_generation(m->fl->records)) {
		ret->standing = NODE_BEHIND;
		(void)snprintf(ret->reason, sizeof(ret->reason), "has the state, and has not put it in force yet");
	} else {
		ret->standing = NODE_CURRENT;
		ret->reason[0] = 0;
	}
}

struct want *member_want(struct member *m, const char *ns, const char *name)
{
	char key[400];
	int n = snprintf(key, sizeof(key), "%s/%s", ns, name);

	return n > 0 && (size_t)n < sizeof(key) ? htab_get(m->wants, key, (size_t)n) : NULL;
}

void member_ask_wants(struct member *m)
{
	uint64_t now = uv_now(m->fl->loop);
	size_t it = 0, len;
	const void *k;
	void *v;

	while (m->peer && htab_next(m->wants, &it, &k, &len, &v)) {
		struct want *w = v;
		struct msg_ask ask = { .what = ASK_ATTACH };

		if (w->attached || (w->asked_ms && now - w->asked_ms < ATTACH_RETRY_MS))
			continue;
		(void)snprintf(ask.ns, sizeof(ask.ns), "%s", w->ns);
		(void)snprintf(ask.name, sizeof(ask.name), "%s", w->name);
		(void)snprintf(ask.netns, sizeof(ask.netns), "%s", w->netns);
		if (peer_ask(m->peer, &ask))
			return;
		w->asked_id = ask.id;
		w->asked_ms = now ? now : 1;
	}
}

bool member_owns(struct member *m, uint64_t instance)
{
	struct member *has = htab_get_u64(m->fl->owners, instance);

	if (has)
		return has == m;
	/* The oldest goes: a node has the set in force, and for a moment the one before. */
	if (m->instances[0])
		(void)htab_del_u64(m->fl->owners, m->instances[0]);
	memmove(&m->instances[0], &m->instances[1], sizeof(m->instances) - sizeof(m->instances[0]));
	m->instances[INSTANCES_MAX - 1] = instance;
	return !htab_set_u64(m->fl->owners, instance, m);
}
