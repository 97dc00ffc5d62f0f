/* SPDX-License-Identifier: Apache-2.0 */
/* msg_priv.h - what the encoders share. Only wire/msg*.c include it. */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_fields.h"
#include "wire/msg.h"

/* An encoder's body while it is written. */
struct msg_out { struct buf body; struct json_put p; };
#define auto_msg_out auto_cleanup(msg_out_done)

static inline void msg_out_done(struct msg_out *o)
{
	buf_done(&o->body);
}

static inline struct json_put *msg_begin(struct msg_out *o)
{
	buf_init(&o->body, FRAME_PLAIN_MAX);
	o->p = (struct json_put){ .b = &o->body };
	json_put_open(&o->p, NULL, '{');
	return &o->p;
}

static inline int msg_end(struct msg_out *o, struct buf *to, enum frame_type type)
{
	json_put_close(&o->p, '}');
	if (o->body.err)
		return to->err = to->err ? to->err : o->body.err;
	return frame_put_zlib(to, type, o->body.data, o->body.len);
}

/* The body as an object; 0, -EBADMSG, -ENOMEM. */
static inline int msg_tree(const struct frame *fr, cJSON **ret)
{
	int r = json_parse(fr->body, fr->len, "frame", NULL, ret);

	if (!r && !cJSON_IsObject(*ret)) {
		cJSON_Delete(*ret);
		*ret = NULL;
		r = -EBADMSG;
	}
	return r && r != -ENOMEM ? -EBADMSG : r;
}

void msg_flow_put(struct json_put *p, const char *key, const struct node_flow *fl);
void msg_flow_get(const cJSON *o, struct node_flow *ret, int *err);
void msg_verdict_put(struct json_put *p, const char *key, const struct cw_verdict *v);
void msg_verdict_get(const cJSON *o, struct cw_verdict *ret, int *err);
enum cw_reason msg_reason_get(const cJSON *o, int *err);
void msg_addr_put(struct json_put *p, const char *key, const struct addr *a); /* zero: nothing */
void msg_addr_get(const cJSON *o, const char *key, struct addr *ret, int *err);
