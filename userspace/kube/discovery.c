/* SPDX-License-Identifier: Apache-2.0 */
/* A finding is a sorted list of words: "apps/v1" for a group/version that is served, "apps/v1
 * deployments" for a resource in it. Two findings are equal when their words are. */
#include "kube/discovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "kube/client_priv.h"

#define BACKOFF_MS 500u
#define BACKOFF_TIMES 60u
#define WORD_MAX 512u
#define ASKED_MAX 32u

struct kube_discovery {
	struct { char **v; size_t n, cap; } words;
	char version[64];
	unsigned minor;
};

struct kube_discoverer {
	struct kube_client *c;
	struct kube_discovery_ops ops;
	void *arg;
	char *asked[ASKED_MAX + 1]; /* resources_of */
	uint32_t refresh_ms, backoff_ms;
	uv_timer_t timer;
	struct kube_call *call;
	unsigned step;	 /* 0 /version, 1 /api, 2 /apis, 3.. resources of asked[step - 3] */
	unsigned attempts;
	bool again, closed;
	struct kube_discovery *now, *next;
};

static void discovery_free(struct kube_discovery *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->words.n; i++)
		free(d->words.v[i]);
	vec_done(&d->words);
	free(d);
}

static int word_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int word_add(struct kube_discovery *d, const char *api, const char *resource)
{
	char *w = NULL;

	if (strlen(api) + (resource ? strlen(resource) : 0) >= WORD_MAX)
		return 0; /* no name we could ask for */
	if (asprintf(&w, "%s%s%s", api, resource ? " " : "", resource ?: "") < 0)
		return -ENOMEM;
	if (vec_push(&d->words, w) < 0) {
		free(w);
		return -ENOMEM;
	}
	return 0;
}

static bool same(const struct kube_discovery *a, const struct kube_discovery *b)
{
	if (!a || a->words.n != b->words.n || strcmp(a->version, b->version))
		return false;
	for (size_t i = 0; i < a->words.n; i++)
		if (strcmp(a->words.v[i], b->words.v[i]))
			return false;
	return true;
}

static bool has(const struct kube_discovery *d, const char *word)
{
	return bsearch(&word, d->words.v, d->words.n, sizeof(*d->words.v), word_cmp) != NULL;
}

bool kube_discovery_has(const struct kube_discovery *d, const char *api, const char *resource)
{
	char word[WORD_MAX + 2];
	int n = snprintf(word, sizeof(word), "%s%s%s", api, resource ? " " : "", resource ?: "");

	return n > 0 && (size_t)n < sizeof(word) && d->words.n && has(d, word);
}

const char *kube_discovery_best(const struct kube_discovery *d, const char *const *apis)
{
	for (; *apis; apis++)
		if (kube_discovery_has(d, *apis, NULL))
			return *apis;
	return NULL;
}

const char *kube_discovery_version(const struct kube_discovery *d)
{
	return d->version;
}

unsigned kube_discovery_minor(const struct kube_discovery *d)
{
	return d->minor;
}

static void step_go(struct kube_discoverer *d);

static void on_timer(uv_timer_t *t)
{
	struct kube_discoverer *d = t->data;

	if (d->call)
		return;
	discovery_free(d->next);
	d->next = calloc(1, sizeof(*d->next));
	d->step = 0;
	step_go(d);
}

static void failed(struct kube_discoverer *d, int err, const char *text)
{
	uint32_t wait = kube_backoff_ms(d->attempts++, d->backoff_ms, d->backoff_ms * BACKOFF_TIMES, kube_random());

	if (d->ops.fault)
		d->ops.fault(d->arg, err, text);
	if (!d->closed)
		uv_timer_start(&d->timer, on_timer, wait, 0);
}

static void version_read(struct kube_discovery *d, const cJSON *j)
{
	const char *git = json_str(j, "gitVersion"), *minor = json_str(j, "minor");
	size_t n = minor ? strspn(minor, "0123456789") : 0; /* "20+" of some vendors */
	char digits[8];
	uint32_t v;

	snprintf(d->version, sizeof(d->version), "%s", git ?: "");
	if (!n || n >= sizeof(digits))
		return;
	memcpy(digits, minor, n);
	digits[n] = '\0';
	if (parse_u32(digits, 0, 10000, &v) == 0)
		d->minor = v;
}

static int core_read(struct kube_discovery *d, const cJSON *j)
{
	const cJSON *v, *list = json_get(j, "versions");
	size_t n = 0;
	int r = cJSON_IsArray(list) ? 0 : -EBADMSG;

	cJSON_ArrayForEach(v, list)
		if (r == 0 && cJSON_IsString(v) && n++ < KUBE_GROUP_VERSIONS_MAX)
			r = word_add(d, v->valuestring, NULL);
	return r;
}

static int groups_read(struct kube_discovery *d, const cJSON *j)
{
	const cJSON *g, *v, *list = json_get(j, "groups");
	size_t groups = 0;
	int r = cJSON_IsArray(list) ? 0 : -EBADMSG;

	cJSON_ArrayForEach(g, list) {
		size_t n = 0;

		if (groups++ == KUBE_GROUPS_SERVED_MAX)
			break;
		cJSON_ArrayForEach(v, json_get(g, "versions")) {
			const char *gv = json_str(v, "groupVersion");

			if (r == 0 && gv && n++ < KUBE_GROUP_VERSIONS_MAX)
				r = word_add(d, gv, NULL);
		}
	}
	return r;
}

static int resources_read(struct kube_discovery *d, const char *api, const cJSON *j)
{
	const cJSON *e;
	size_t n = 0;
	int r = 0;

	cJSON_ArrayForEach(e, json_get(j, "resources")) {
		const char *name = json_str(e, "name");

		if (r == 0 && name && n++ < KUBE_RESOURCES_MAX)
			r = word_add(d, api, name);
	}
	return r;
}

static void words_sort(struct kube_discovery *d)
{
	if (d->words.n)
		qsort(d->words.v, d->words.n, sizeof(*d->words.v), word_cmp);
}

static void round_over(struct kube_discoverer *d)
{
	struct kube_discovery *old = d->now;

	words_sort(d->next);
	d->attempts = 0;
	if (same(old, d->next)) {
		discovery_free(take_ptr(d->next));
	} else {
		d->now = take_ptr(d->next);
		if (d->ops.changed)
			d->ops.changed(d->arg, d->now);
		discovery_free(old);
	}
	if (d->closed)
		return;
	if (d->again || d->refresh_ms)
		uv_timer_start(&d->timer, on_timer, d->again ? 0 : d->refresh_ms, 0);
	d->again = false;
}

static void answered(void *arg, const struct kube_answer *a)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	struct kube_discoverer *d = arg;
	int r = a->err;

	d->call = NULL;
	/* A group without its backend (503), or gone in between (404), is no failure of the round. */
	if (d->step >= 3 && a->refused && (r == -EAGAIN || r == -ENOENT)) {
		d->step++;
		step_go(d);
		return;
	}
	if (r == 0)
		r = json_parse(a->body, a->len, "answer", NULL, &j);
	if (r == 0 && !cJSON_IsObject(j))
		r = -EBADMSG;
	if (r == 0 && d->step == 0)
		version_read(d->next, j);
	else if (r == 0 && d->step == 1)
		r = core_read(d->next, j);
	else if (r == 0 && d->step == 2)
		r = groups_read(d->next, j);
	else if (r == 0)
		r = resources_read(d->next, d->asked[d->step - 3], j);
	if (r < 0) {
		failed(d, r, a->err ? a->text : "the answer is malformed");
		return;
	}
	d->step++;
	step_go(d);
}

static void step_go(struct kube_discoverer *d)
{
	static const char *const paths[] = { "/version", "/api", "/apis" };
	struct kube_request rq = { .method = "GET", .done = answered, .arg = d, .retries = 1 };
	char path[WORD_MAX + 8];
	int r;

	if (!d->next) {
		failed(d, -ENOMEM, "out of memory");
		return;
	}
	while (d->step >= 3 && d->asked[d->step - 3]) {
		const char *api = d->asked[d->step - 3];
		bool served = false;

		for (size_t i = 0; i < d->next->words.n && !served; i++)
			served = !strcmp(d->next->words.v[i], api);
		if (served)
			break;
		d->step++;
	}
	if (d->step < 3) {
		snprintf(path, sizeof(path), "%s", paths[d->step]);
	} else if (d->asked[d->step - 3]) {
		snprintf(path, sizeof(path), "/%s/%s", strchr(d->asked[d->step - 3], '/') ? "apis" : "api",
			 d->asked[d->step - 3]);
	} else {
		round_over(d);
		return;
	}
	rq.path = path;
	r = kube_call_start(d->c, &rq, &d->call);
	if (r < 0)
		failed(d, r, strerror(-r));
}

static void discoverer_free(struct kube_discoverer *d)
{
	for (size_t i = 0; d->asked[i]; i++)
		free(d->asked[i]);
	discovery_free(d->now);
	discovery_free(d->next);
	free(d);
}

static void timer_closed(uv_handle_t *h)
{
	discoverer_free(h->data);
}

int kube_discoverer_new(struct kube_client *c, const struct kube_discovery_spec *spec,
			const struct kube_discovery_ops *ops, void *arg, struct kube_discoverer **ret)
{
	struct kube_discoverer *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->c = c;
	d->ops = *ops;
	d->arg = arg;
	d->refresh_ms = spec->refresh_ms;
	d->backoff_ms = spec->backoff_ms ?: BACKOFF_MS;
	for (size_t i = 0; spec->resources_of && spec->resources_of[i]; i++) {
		if (i < ASKED_MAX && strlen(spec->resources_of[i]) < WORD_MAX)
			d->asked[i] = strdup(spec->resources_of[i]);
		if (!d->asked[i]) {
			discoverer_free(d);
			return i < ASKED_MAX ? -ENOMEM : -EINVAL;
		}
	}
	(void)uv_timer_init(kube_client_loop(c), &d->timer); /* cannot fail */
	d->timer.data = d;
	uv_timer_start(&d->timer, on_timer, 0, 0);
	*ret = d;
	return 0;
}

void kube_discoverer_refresh(struct kube_discoverer *d)
{
	if (d->closed)
		return;
	if (d->call)
		d->again = true; /* what runs may have looked before the change */
	else
		uv_timer_start(&d->timer, on_timer, 0, 0);
}

void kube_discoverer_close(struct kube_discoverer *d)
{
	if (!d || d->closed)
		return;
	d->closed = true;
	kube_call_cancel(take_ptr(d->call));
	uv_close((uv_handle_t *)&d->timer, timer_closed);
}
