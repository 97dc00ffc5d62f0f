/* SPDX-License-Identifier: Apache-2.0 */
/* errors.c - what, where, expected, next: faults as people and machines read them. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ctl/ctl.h"

int usage_fail(struct ctl *c, const char *name, const char *at, const char *expected,
	       const char *next, enum msg m, ...)
{
	auto_free char *text = NULL;
	struct buf b;
	va_list ap;

	buf_init(&b, 65536);
	va_start(ap, m);
	msg_vput(&b, c->lang, m, ap);
	va_end(ap);
	text = buf_take(&b, NULL);
	fail_add(&c->fails, -EINVAL, name, at, expected, next, "%s", text ?: name);
	return EXIT_USAGE;
}

int exit_of_status(int status)
{
	switch (status) {
	case 400: case 404: case 405: case 411: case 413: case 414:
		return EXIT_USAGE;
	default:
		return EXIT_REFUSED; /* 403, 409, 507, 503, 500: nothing changed */
	}
}

static void part_put(struct ctl *c, struct buf *b, enum msg label, const char *text)
{
	if (!text || !*text)
		return;
	buf_printf(b, "  %s ", msg_text(label, c->lang));
	put_str(b, text);
	buf_adds(b, "\n");
}

/* The daemon speaks English: in another language the catalogue's own sentence comes first. */
static void fault_put(struct ctl *c, struct buf *b, const struct fail *f)
{
	const char *own = c->lang != LANG_EN && strncmp(f->name, "cli.", 4) ?
				  explain_text(f->name, c->lang, NULL) : NULL;

	if (c->color)
		buf_adds(b, "\033[31m");
	buf_printf(b, "%s[%s]", msg_text(M_ERROR, c->lang), f->name);
	if (c->color)
		buf_adds(b, "\033[0m");
	buf_adds(b, ": ");
	if (own) {
		buf_adds(b, own);
		buf_adds(b, "\n  ");
	}
	put_str(b, f->message);
	buf_adds(b, "\n");
	part_put(c, b, M_ERROR_AT, f->at);
	part_put(c, b, M_ERROR_EXPECTED, f->expected);
	part_put(c, b, M_ERROR_NEXT, f->next);
}

void fails_print(struct ctl *c)
{
	struct fail_list *l = &c->fails;
	bool json = false;
	struct buf b;
	char n[16];

	if (!l->n)
		return;
	buf_init(&b, 16u << 20);
	for (size_t i = 0; i < c->noutputs; i++)
		json = json || (c->outputs[i].format == FMT_JSON && !c->outputs[i].file);
	if (json) {
		cJSON *j = fail_list_to_json(l);

		put_json(&b, j);
		fwrite(b.data ?: "", 1, b.len, c->io.out);
		buf_done(&b);
		cJSON_Delete(j);
		fail_list_done(l);
		return;
	}
	for (size_t i = 0; i < l->n; i++)
		fault_put(c, &b, &l->items[i]);
	if (l->n > 1 || l->dropped) {
		snprintf(n, sizeof(n), "%zu", l->n + l->dropped);
		msg_put(&b, c->lang, M_ERRORS_COUNT, "n", n, NULL);
		buf_adds(&b, "\n");
	}
	if (b.data)
		fwrite(b.data, 1, b.len, c->io.err);
	buf_done(&b);
	fail_list_done(l);
}
