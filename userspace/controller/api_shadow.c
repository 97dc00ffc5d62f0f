/* SPDX-License-Identifier: Apache-2.0 */
/* api_shadow.c - start, look at and end the shadow. Nothing of it is ever enforced. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/shadow_priv.h"
#include "controller/view.h"

static int none(struct api *a)
{
	return fail_add(&a->f, -ENOENT, "shadow.none", "shadow", "a running shadow", "cellwall shadow start -f FILE",
			"no shadow is running");
}

/* What came with the last second belongs to the answer. */
static void up_to_date(struct controller *c)
{
	if (c->ops->drain)
		(void)c->ops->drain(c->node); /* what cannot be read now comes with the next drain */
	(void)controller_flush(c); /* a refusal is kept in sync_error */
	shadow_tick(c);
}

int api_shadow_show(struct api *a, cJSON **ret)
{
	if (!a->c->shadow)
		return none(a);
	up_to_date(a->c);
	*ret = shadow_json(a->c, a->c->shadow);
	return *ret ? 0 : -ENOMEM;
}

int api_shadow_start(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "documents", "prune", "name", "as", NULL };
	struct controller *c = a->c;
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	const char *as = "enforce", *name = "shadow";
	struct shadow *s = NULL;
	bool prune = false;
	char at[128];
	int e;

	e = api_body(a, keys, true, &body);
	e = e ?: body_bool(&a->f, body, "body", "prune", &prune);
	e = e ?: body_str(&a->f, body, "body", "name", false, SHADOW_NAME_MAX, &name);
	e = e ?: body_str(&a->f, body, "body", "as", false, 32, &as);
	if (!e && strcmp(as, "enforce") && strcmp(as, "live"))
		e = fail_add(&a->f, -EINVAL, "simulate.as", "body.as", "enforce or live", NULL, "this is no way to compare");
	if (!e && c->shadow) {
		snprintf(at, sizeof(at), "shadow %.60s", c->shadow->name);
		e = fail_add(&a->f, -EBUSY, "shadow.running", at, "no other shadow", "cellwall shadow stop",
			     "a shadow is running, started by %s", c->shadow->who);
	}
	if (e)
		return e;
	if (!json_str(body, "name"))
		put_str(body, "name", name);
	put_str(body, "who", a->who);
	snprintf(at, sizeof(at), "%lld", (long long)controller_now(c));
	put_str(body, "startedNs", at);
	e = shadow_new(body, &a->f, &s);
	if (e)
		return e;
	body = NULL; /* the shadow's now */
	if (c->ops->drain)
		(void)c->ops->drain(c->node); /* what was before is not the shadow's */
	(void)controller_flush(c);
	e = shadow_compile(c, s, &a->f);
	e = e ?: shadow_begin(c, s);
	if (e) {
		shadow_free(s);
		if (e == -E2BIG && !a->f.n)
			return fail_add(&a->f, -ENOSPC, "shadow.too-large", "body.documents", "at most 1 MiB of documents", NULL,
					"the documents are too large to be kept");
		return e == -E2BIG ? -ENOSPC : e;
	}
	controller_note(c, "shadow.started", NULL, a->who, "%s: %zu lines beside generation %llu", s->name, s->items.n,
			(unsigned long long)c->state.generation);
	*ret = shadow_json(c, s);
	return *ret ? 0 : -ENOMEM;
}

int api_shadow_stop(struct api *a, cJSON **ret)
{
	struct controller *c = a->c;
	cJSON *last;
	int e;

	if (!c->shadow)
		return none(a);
	up_to_date(c);
	last = shadow_json(c, c->shadow);
	if (!last)
		return -ENOMEM;
	e = shadow_end(c);
	if (e) {
		cJSON_Delete(last);
		return fail_add(&a->f, e, "server.store", store_error(c->store), "a store that can be written",
				"check the free space of the state directory", "the end could not be made durable");
	}
	cJSON_ReplaceItemInObjectCaseSensitive(last, "state", cJSON_CreateString("stopped"));
	controller_note(c, "shadow.stopped", NULL, a->who, "%s", json_str(last, "name") ?: "-");
	*ret = last;
	return 0;
}
