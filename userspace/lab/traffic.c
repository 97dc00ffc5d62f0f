/* SPDX-License-Identifier: Apache-2.0 */
/* traffic.c - one run of the clients: start, wait, collect, and say exactly what was sent. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lab/dirs.h"
#include "lab/plan.h"
#include "lab/work.h"

#define PROBES_DEFAULT 4096u
#define FORGED_DEFAULT 40u
#define GRACE_MS 8000 /* beyond the asked duration, for deadlines and a slow machine */
#define REPORT_BYTES_MAX (1u << 20)

struct run {
	const struct lab_dirs *d;
	const struct lab_traffic_options *t;
	struct fail_list *f;
	pid_t pids[LAB_WORKLOADS + 1];
	size_t npids;
	uint64_t *requests, *answered; /* by stream */
	uint64_t scan, forged, capture_lost;
};

static int start(struct run *x, const char *netns, const char *const args[4])
{
	int r = lab_spawn(x->d, netns, args, &x->pids[x->npids]);

	if (r < 0)
		return fail_add(x->f, r, "lab.start", netns, NULL, "cellwall lab up", "cannot start the clients of %s: %s",
				netns, strerror(-r));
	x->npids++;
	return 0;
}

static bool has_streams(const char *client)
{
	for (size_t i = 0; i < lab_nstreams; i++)
		if (!strcmp(lab_streams[i].client, client))
			return true;
	return false;
}

static int start_all(struct run *x)
{
	char seconds[16], probes[16], forged[16];
	int r = 0;

	snprintf(seconds, sizeof(seconds), "%u", x->t->seconds);
	snprintf(probes, sizeof(probes), "%u", x->t->probes ? x->t->probes : PROBES_DEFAULT);
	snprintf(forged, sizeof(forged), "%u", x->t->forged ? x->t->forged : FORGED_DEFAULT);
	for (size_t i = 0; r == 0 && i < LAB_WORKLOADS; i++) {
		const char *name = lab_workloads[i].name;

		if ((x->t->plan == LAB_ATTACK && x->t->quiet) || !has_streams(name))
			continue;
		r = start(x, name, (const char *const[4]){ "drive", name, seconds });
	}
	if (r == 0 && x->t->plan == LAB_ATTACK)
		r = start(x, lab_workloads[LAB_ATTACKER].name, (const char *const[4]){ "attack", seconds, probes, forged });
	return r;
}

/* Ours, so waiting by number is safe. Whoever does not end in time is killed. */
static int wait_all(struct run *x)
{
	int64_t until = work_now_ms() + (int64_t)x->t->seconds * 1000 + GRACE_MS;
	int bad = 0;

	for (size_t i = 0; i < x->npids; i++) {
		int status = 0;
		pid_t r;

		while (!(r = waitpid(x->pids[i], &status, WNOHANG)) && work_now_ms() < until)
			(void)poll(NULL, 0, 20);
		if (!r) {
			kill(x->pids[i], SIGKILL);
			(void)waitpid(x->pids[i], &status, 0);
		}
		bad += !WIFEXITED(status) || WEXITSTATUS(status);
	}
	x->npids = 0;
	return bad ? fail_add(x->f, -EIO, "lab.traffic", x->d->status, NULL, "cellwall lab down",
			      "%d clients failed; their words are in *.log there", bad) : 0;
}

/* What the packet sockets of all workloads but the attacker's have counted so far. */
static int count_delivered(struct run *x, int64_t sign)
{
	for (size_t i = 0; i < LAB_ATTACKER; i++) {
		auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
		int r = lab_ask(x->d, lab_workloads[i].name, &j);

		if (r < 0)
			return fail_add(x->f, r, "lab.server", lab_workloads[i].name, NULL, "cellwall lab down",
					"the servers of %s do not answer", lab_workloads[i].name);
		x->scan += (uint64_t)(sign * json_i64(j, "scan", 0));
		x->forged += (uint64_t)(sign * json_i64(j, "forged", 0));
		x->capture_lost += (uint64_t)(sign * json_i64(j, "captureLost", 0));
	}
	return 0;
}

static int read_streams(struct run *x)
{
	for (size_t i = 0; i < LAB_WORKLOADS; i++) {
		auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
		const cJSON *list, *s;
		char file[80];
		int r;

		if (!has_streams(lab_workloads[i].name))
			continue;
		snprintf(file, sizeof(file), "drive-%s", lab_workloads[i].name);
		r = lab_status_read(x->d, file, &j);
		if (r < 0)
			return r;
		list = json_get(j, "streams");
		cJSON_ArrayForEach(s, list) {
			int64_t at = json_i64(s, "stream", -1);

			if (at < 0 || (size_t)at >= lab_nstreams)
				return -EBADMSG;
			x->requests[at] = (uint64_t)json_i64(s, "requests", 0);
			x->answered[at] = (uint64_t)json_i64(s, "answered", 0);
		}
	}
	return 0;
}

static const char *dst_ref(const struct lab_stream *s, bool group, char out[128])
{
	const struct lab_workload *w = s->server ? lab_workload_by_name(s->server) : NULL;

	if (!w || !w->ns)
		snprintf(out, 128, "%s", s->addr);
	else if (group)
		lab_group(w, s->family, out);
	else
		lab_ref(w, s->family, out);
	return out;
}

/* One entry for each source, destination and port; families are joined. */
static void accesses_text(const struct run *x, struct buf *b)
{
	const char *sep = "\n";

	for (size_t i = 0; i < lab_nstreams; i++) {
		const struct lab_stream *s = &lab_streams[i];
		const struct lab_workload *c = lab_workload_by_name(s->client);
		char src[128], dst[128], sg[128], dg[128], port[40];
		uint64_t requests = 0, answered = 0;
		unsigned families = 0;
		bool first = true;

		for (size_t k = 0; k < lab_nstreams; k++) {
			const struct lab_stream *o = &lab_streams[k];

			if (strcmp(o->client, s->client) || o->proto != s->proto || o->port != s->port ||
			    (s->server ? !o->server || strcmp(o->server, s->server) : o->server || strcmp(o->addr, s->addr)))
				continue;
			first = first && k >= i;
			families |= o->family == 4 ? 1 : 2;
			requests += x->requests[k];
			answered += x->answered[k];
		}
		if (!first)
			continue;
		buf_printf(b, "%s{\"src\":\"%s\",\"dst\":\"%s\",\"srcGroup\":\"%s\",\"dstGroup\":\"%s\",\"port\":\"%s\","
			      "\"families\":[%s],\"answers\":%s,\"requests\":%llu,\"answered\":%llu%s}",
			   sep, lab_ref(c, s->family, src), dst_ref(s, false, dst), lab_group(c, s->family, sg),
			   dst_ref(s, true, dg), lab_port_str(s->proto, s->port, port),
			   families == 3 ? "4,6" : families == 1 ? "4" : "6", lab_stream_answered(s) ? "true" : "false",
			   (unsigned long long)requests, (unsigned long long)answered,
			   strcmp(s->addr, LAB_PAY_V4) ? "" : ",\"dstName\":\"" LAB_PAY_NAME "\"");
		sep = ",\n";
	}
}

/* By the namespace that asks; customers from outside are a line of their own. */
static void namespaces_text(const struct run *x, struct buf *b)
{
	static const char *const names[] = { "shop", "data", "ops", "outside" };
	const char *sep = "\n";

	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		uint64_t requests = 0, expected = 0, answered = 0;

		for (size_t i = 0; i < lab_nstreams; i++) {
			const struct lab_workload *c = lab_workload_by_name(lab_streams[i].client);

			if (strcmp(c->ns ? c->ns : "outside", names[n]))
				continue;
			requests += x->requests[i];
			if (lab_stream_answered(&lab_streams[i])) {
				expected += x->requests[i];
				answered += x->answered[i];
			}
		}
		buf_printf(b, "%s{\"name\":\"%s\",\"requests\":%llu,\"expected\":%llu,\"answered\":%llu}", sep, names[n],
			   (unsigned long long)requests, (unsigned long long)expected, (unsigned long long)answered);
		sep = ",\n";
	}
}

static int report(const struct run *x, cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *attack = NULL;
	auto_cleanup(buf_done) struct buf b = {};
	int r;

	buf_init(&b, REPORT_BYTES_MAX);
	buf_printf(&b, "{\"apiVersion\":\"cellwall.io/v1\",\"kind\":\"LabTraffic\",\"plan\":\"%s\","
		   "\"seconds\":%u,\"accesses\":[",
		   x->t->plan == LAB_ATTACK ? "attack" : "normal", x->t->seconds);
	if (!(x->t->plan == LAB_ATTACK && x->t->quiet))
		accesses_text(x, &b);
	buf_adds(&b, "],\n\"namespaces\":[");
	namespaces_text(x, &b);
	buf_adds(&b, "]");
	if (x->t->plan == LAB_ATTACK) {
		r = lab_status_read(x->d, "attack", &attack);
		if (r < 0)
			return r;
		buf_printf(&b, ",\n\"attack\":{\"probes\":%lld,\"delivered\":%llu,\"forged\":%lld,\"forgedDelivered\":%llu,"
			       "\"dbTries\":%lld,\"dbAnswered\":%lld,\"captureLost\":%llu}",
			   (long long)json_i64(attack, "probes", 0), (unsigned long long)x->scan,
			   (long long)json_i64(attack, "forged", 0), (unsigned long long)x->forged,
			   (long long)json_i64(attack, "dbTries", 0), (long long)json_i64(attack, "dbAnswered", 0),
			   (unsigned long long)x->capture_lost);
	}
	buf_adds(&b, "}\n");
	return b.err ? b.err : json_parse(b.data, b.len, "traffic", NULL, ret);
}

int lab_traffic(const struct lab_options *o, const struct lab_traffic_options *t, struct fail_list *f,
		cJSON **ret)
{
	auto_free uint64_t *requests = calloc(lab_nstreams, sizeof(*requests));
	auto_free uint64_t *answered = calloc(lab_nstreams, sizeof(*answered));
	struct run x = { .t = t, .f = f, .requests = requests, .answered = answered };
	struct lab_dirs d;
	int r = lab_dirs_init(o, f, &d), waited;

	if (r < 0)
		return r;
	if (!requests || !answered)
		return -ENOMEM;
	if (!t->seconds || t->seconds > LAB_SECONDS_MAX || t->probes > LAB_PROBES_MAX || t->forged > LAB_PROBES_MAX)
		return fail_add(f, -EINVAL, "lab.traffic", NULL, "1 to 3600 seconds, at most 1000000 probes", NULL,
				"no such run");
	if (access(d.state, F_OK))
		return fail_add(f, -ENOENT, "lab.down", d.dir, NULL, "cellwall lab up", "no lab is up");
	x.d = &d;
	r = count_delivered(&x, -1);
	if (r < 0)
		return r;
	r = start_all(&x);
	waited = wait_all(&x); /* also those that did start before one did not */
	if (r == 0)
		r = waited;
	if (r == 0)
		r = count_delivered(&x, 1);
	if (r == 0 && !(t->plan == LAB_ATTACK && t->quiet))
		r = read_streams(&x);
	return r < 0 ? r : report(&x, ret);
}
