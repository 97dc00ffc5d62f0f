/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.c - one run of the program. */
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "http/http_client.h"

static void ctl_done(struct ctl *c)
{
	for (unsigned f = 0; f < FLAG_COUNT; f++)
		free(c->values[f].v);
	settings_done(c);
	http_client_free(c->client);
	fail_list_done(&c->fails);
	cJSON_Delete(c->input);
	fflush(c->io.out);
	free(c);
}

static int run(struct ctl *c, int argc, char **argv)
{
	int r = args_parse(c, argc, argv);
	struct buf b;

	if (r) { /* errors are shown as the flags that were understood ask */
		struct fail_list keep = c->fails;

		c->fails = (struct fail_list){};
		(void)settings_apply(c); /* one fault of the command line is enough */
		fail_list_done(&c->fails);
		c->fails = keep;
		return r;
	}
	r = settings_apply(c);
	if (r)
		return r;
	if (!flag_given(c, FLAG_HELP))
		return c->cmd->run(c);
	buf_init(&b, 1u << 20);
	help_print(c, c->cmd && c->cmd->run != cmd_help ? c->cmd : NULL, &b);
	r = emit_text(c, NULL, b.data ?: "", b.len);
	buf_done(&b);
	return r;
}

int ctl_main(int argc, char **argv, const struct ctl_io *io)
{
	struct ctl *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return EXIT_REFUSED;
	c->io = *io;
	settings_load(c);
	if (argc > 1 && !strcmp(argv[1], "__complete"))
		r = settings_apply(c) ?: complete_run(c, argc, argv);
	else
		r = run(c, argc, argv);
	fails_print(c);
	if (ferror(c->io.out) && !r)
		r = EXIT_INCOMPLETE;
	ctl_done(c);
	return r;
}
