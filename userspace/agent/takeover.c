/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover.c - a restart is an upgrade: the new process brings maps and programs of its own,
 * fills them while the former ones go on judging, carries the flows over and switches all
 * attachments with one store. The former tables are then read to the end, committed, and only
 * then let go.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOG_UNIT "takeover"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"

#define TAKEOVER_SETTLE_NS 50000000ull	/* declared workloads come right after the first commit */
#define TAKEOVER_LATEST_NS 5000000000ull

struct pick { struct agent *a; bool any; };

/* The set that judges now; where none does, the newest of what was left over. */
static int pick_old(void *arg, const char *name)
{
	struct pick *p = arg;
	int r = p->any ? 1 : loader_old_in_force(p->a->set, name);

	if (r <= 0)
		return 0;
	p->a->former.name = strdup(name);
	p->a->former.in_force = !p->any;
	return p->a->former.name ? 1 : -ENOMEM;
}

/* Notes what a former process left, if anything. */
int agent_former_open(struct agent *a)
{
	struct loader_old old = { .set = a->set };
	struct pick pick = { .a = a };
	struct ctl_counters c;
	const char *bad = NULL;
	int r;

	r = loader_old_list(a->set, pick_old, &pick);
	if (!r && !a->former.name) {
		pick.any = true;
		r = loader_old_list(a->set, pick_old, &pick);
	}
	if (r < 0)
		return r;
	if (!a->former.name)
		return 0;
	old.name = a->former.name;
	r = maps_open_counters(loader_old_fd_of, &old, &a->former.maps, &bad);
	loader_old_close(&old);
	if (r < 0) {
		/* Counters of another layout: its flows can still be carried over by name. */
		log_warn(r, "counters of the former set cannot be read; set='%s' map='%s'",
			 a->former.name, bad ? bad : "-");
		a->former.maps = NULL;
	} else {
		ctl_read(a->former.maps, &c);
		r = names_open(a->state_dir, c.instance, false, &a->former.names);
		/* None: it never had a policy, and what it counted (nothing) is nobody's. */
		if (r < 0 && r != -ENOENT)
			log_warn(r, "names of the former set cannot be read");
	}
	return 0;
}

static int takeover(struct agent *a)
{
	struct loader_carried first = { }, second = { };
	uint64_t t0 = agent_mono_ns(), t1;
	int r;

	r = loader_migrate_flows(a->set, a->former.name, &first);
	if (r < 0)
		log_warn(r, "flows of the former set cannot be carried over; judged as new");
	agent_dns_carry(a);
	/* Until the second pass a packet of a flow that was opened in between is told from a new
	 * flow by its ports. */
	ctl_takeover(a->maps, true);
	r = loader_set_activate(a->set);
	if (r < 0) {
		ctl_takeover(a->maps, false);
		return r;
	}
	t1 = agent_mono_ns();
	a->former.in_force = false;
	agent_dns_carry(a);
	(void)loader_migrate_flows(a->set, a->former.name, &second); /* what is not carried is judged as new */
	ctl_takeover(a->maps, false);
	log_info("took over; set='%s' flows=%" PRIu64 " late=%" PRIu64 " us=%" PRIu64, loader_set_name(a->set),
		 first.flows, second.flows, (t1 - t0) / 1000);
	agent_note(a, "took-over", NULL, "programs replaced, %" PRIu64 " flows carried over",
		   first.flows + second.flows);
	return 0;
}

/*
 * Our programs go into force when they can judge every packet that the former ones judge: policy
 * committed, and every attachment's endpoint written. A workload whose namespace cannot be looked
 * into must not keep the rest on an old policy for ever.
 */
void agent_takeover_try(struct agent *a)
{
	uint64_t waited;
	int r;

	if (!a->first_commit_ns || (!a->former.in_force && !a->nstanding))
		return;
	waited = agent_mono_ns() - a->first_commit_ns;
	if (waited < TAKEOVER_SETTLE_NS || (!agent_scanned(a) && waited < TAKEOVER_LATEST_NS))
		return;
	if (a->former.in_force) {
		r = takeover(a);
		if (r < 0) {
			log_err(r, "cannot take over, the former set stays in force");
			return;
		}
	}
	agent_adopt(a);
}

/* Commits what the former tables counted and lets them go. Called until it has worked. */
void agent_former_done(struct agent *a)
{
	struct ctl_counters c;
	int r = 0;

	if (!a->former.name || a->former.in_force)
		return;
	if (a->former.maps) {
		ctl_read(a->former.maps, &c);
		/* The one in use, and the one at rest, which is empty unless a clear was cut short. */
		r = agent_deliver(a, a->former.maps, a->former.names, c.instance, c.epoch, NULL);
		if (!r && c.epoch)
			r = agent_deliver(a, a->former.maps, a->former.names, c.instance, c.epoch - 1, NULL);
		if (!r && a->sink->epoch_done)
			r = a->sink->epoch_done(a->sink_arg, c.instance, c.epoch);
		if (r < 0) {
			log_warn(r, "cannot commit what the former set counted, retrying");
			return;
		}
	}
	r = loader_old_remove(a->set, a->former.name);
	if (r < 0) {
		log_warn(r, "cannot remove the former set; set='%s'", a->former.name);
		return;
	}
	maps_free(a->former.maps);
	names_free(a->former.names);
	free(a->former.name);
	a->former = (struct former){ };
	/* There may be older ones still, of starts that were cut short: they need their names. */
	if (!agent_former_open(a) && !a->former.name)
		names_drop_others(a->names);
}
