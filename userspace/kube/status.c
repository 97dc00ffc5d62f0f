/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"
#include "kube/client_priv.h"

/* At most KUBE_STATUS_TEXT_MAX bytes of what the server says, NULL as "". */
static char *keep(const char *s)
{
	return strndup(s ?: "", KUBE_STATUS_TEXT_MAX);
}

static int read_causes(const cJSON *list, struct kube_status *s)
{
	const cJSON *c;

	s->causes = calloc(KUBE_CAUSES_MAX, sizeof(*s->causes));
	if (!s->causes)
		return -ENOMEM;
	cJSON_ArrayForEach(c, list) {
		struct kube_cause *to = &s->causes[s->ncauses];

		if (s->ncauses == KUBE_CAUSES_MAX)
			break;
		s->ncauses++;
		to->type = keep(json_str(c, "reason"));
		to->field = keep(json_str(c, "field"));
		to->message = keep(json_str(c, "message"));
		if (!to->type || !to->field || !to->message)
			return -ENOMEM;
	}
	return 0;
}

int kube_status_read(const cJSON *j, int http_code, struct kube_status *ret)
{
	const char *kind = json_str(j, "kind"), *token;
	struct kube_status s = { .code = http_code };
	char text[64];
	int64_t v;
	int r = 0;

	if (!kind || strcmp(kind, "Status") != 0) {
		snprintf(text, sizeof(text), "HTTP status %d without a word from the API server", http_code);
		s.message = strdup(text);
		s.reason = strdup("");
		goto out;
	}
	v = json_i64(j, "code", http_code);
	if (v >= 100 && v <= 599)
		s.code = (int)v;
	s.reason = keep(json_str(j, "reason"));
	s.message = keep(json_str(j, "message"));
	v = json_i64(json_get(j, "details"), "retryAfterSeconds", 0);
	if (v > 0 && v <= 600)
		s.retry_after_s = (uint32_t)v;
	token = json_str(json_get(j, "metadata"), "continue");
	if (token && *token) {
		s.token = strdup(token);
		r = s.token ? 0 : -ENOMEM;
	}
	if (r == 0 && cJSON_IsArray(json_get(json_get(j, "details"), "causes")))
		r = read_causes(json_get(json_get(j, "details"), "causes"), &s);
out:
	if (r < 0 || !s.reason || !s.message) {
		kube_status_done(&s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void kube_status_done(struct kube_status *s)
{
	for (size_t i = 0; i < s->ncauses; i++) {
		free(s->causes[i].type);
		free(s->causes[i].field);
		free(s->causes[i].message);
	}
	free(s->causes);
	free(s->reason);
	free(s->message);
	free(s->token);
	*s = (struct kube_status){};
}

int kube_status_errno(const struct kube_status *s)
{
	switch (s->code) {
	case 400:
	case 422:
		return -EINVAL;
	case 401:
		return -EPERM;
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 405:
	case 406:
	case 415:
		return -EOPNOTSUPP;
	case 408:
	case 429:
		return -EAGAIN;
	case 409:
		return strcmp(s->reason, "AlreadyExists") ? -EBUSY : -EEXIST;
	case 410:
		return -ESTALE;
	case 413:
		return -E2BIG;
	default:
		return s->code >= 500 && s->code <= 599 ? -EAGAIN : -EPROTO;
	}
}

void kube_line(char *out, size_t size, const char *s)
{
	struct buf b;

	buf_init(&b, KUBE_STATUS_TEXT_MAX * 8);
	text_escape(&b, s);
	snprintf(out, size, "%s", b.data ?: "");
	buf_done(&b);
}
