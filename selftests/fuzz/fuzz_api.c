/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_api.c - any route of the local API with any query and body. A request that is refused changes
 * nothing and says why; whatever was asked, the node is not left in the middle of a change.
 *
 * Input: byte 0 picks the route; the first line after it is words: captures of the path, then
 * name=value pairs of the query; the rest is the body.
 */
#define FIXTURE_PLAIN
#include "selftests/unit/userspace/controller/fixture.h"

#define REQUESTS_MAX 2000u /* then a new controller: what grew up over requests is let go */
#define WORDS_MAX 16u

static struct fixture *fx;
static unsigned requests;

static void leave(void)
{
	void *state = fx;

	if (fx)
		fixture_teardown(&state);
	fx = NULL;
}

static void renew(void)
{
	void *state = NULL;

	if (!fx)
		atexit(leave);
	leave();
	fixture_setup(&state);
	fx = state;
	requests = 0;
	world(fx);
	history(fx);
}

static void ask(size_t route, char *line, const char *body, size_t len)
{
	struct http_request rq = { .method = api_routes[route].method, .path = api_routes[route].path, .body = body,
				   .body_len = len, .has_peer = true };
	static const char *const captures[] = { "namespace", "name", "id", "generation" };
	struct api a = { .c = fx->c, .rq = &rq };
	uint64_t before = fx->c->state.generation;
	size_t rules = fx->c->state.nrules, workloads = fx->c->state.nworkloads;
	char *save = NULL;
	cJSON *j = NULL;
	int status = 0;

	for (char *w = strtok_r(line, " ", &save); w && rq.nquery < WORDS_MAX; w = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(w, '=');

		if (!eq)
			continue;
		*eq++ = 0;
		rq.query[rq.nquery++] = (struct http_param){ w, eq };
	}
	for (size_t i = 0; i < ARRAY_SIZE(captures); i++) {
		char braces[32];

		snprintf(braces, sizeof(braces), "{%s}", captures[i]);
		if (!strstr(rq.path, braces))
			continue;
		rq.params[rq.nparams++] = (struct http_param){ captures[i], http_request_query(&rq, captures[i]) ?: "1" };
	}
	assert_int_equal(api_run(&a, route, &status, &j), 0);
	assert_false(fx->node.prepared);
	assert_true(j || a.text);
	if (status >= 400) {
		assert_true(len_at(j, "items") >= 1);
		assert_int_equal(before, fx->c->state.generation);
		assert_int_equal(rules, fx->c->state.nrules);
		assert_int_equal(workloads, fx->c->state.nworkloads);
	}
	cJSON_Delete(j);
	api_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *copy = NULL;
	char *body;

	if (size < 2 || memchr(data, 0, size)) /* the server hands over no NUL */
		return 0;
	if (!fx || ++requests > REQUESTS_MAX)
		renew();
	copy = strndup((const char *)data + 1, size - 1);
	assert_non_null(copy);
	body = strchr(copy, '\n');
	if (body)
		*body++ = 0;
	else
		body = copy + strlen(copy);
	ask(data[0] % api_nroutes, copy, body, strlen(body));
	return 0;
}
