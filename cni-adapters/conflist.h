/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflist.h - our plugin in the node's network configuration: put in as the last of the chain,
 * put back when the CNI has written its file anew, taken out again.
 *
 * Files are edited as text: what others wrote stays byte for byte. A lone plugin's file (.conf) is
 * set aside under a name that no runtime reads, and stands wrapped in a list of its name.
 * Replaced by rename, with the mode and owner it had. What cannot be understood is not touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

#define CONFLIST_MAX (1u << 20)	/* bytes of one file */
#define CONFLIST_FILES_MAX 1000u
#define CONFLIST_TYPE "cellwall-cni"
#define CONFLIST_ASIDE ".before-cellwall" /* appended to the name of a file set aside */

/* What stands in our part of the chain. */
struct conflist_part {
	const char *socket;	/* of the agent, as the node sees it */
	bool closed;		/* agentDown: closed */
	uint32_t timeout_ms;
};

enum conflist_done { CONFLIST_CHANGED, CONFLIST_AS_WANTED, CONFLIST_NONE /* no configuration to speak of */ };

/*
 * The directory's first configuration (by name, as runtimes choose it) gets our part as its last.
 * enum conflist_done, or a negative errno with the faults in f; file (may be NULL) gets the name of
 * the one that is, or would be, used. Files that cannot be read are told in f and passed over, as
 * the runtime does. Blocks for the disk.
 */
int conflist_install(int dir_fd, const struct conflist_part *p, struct fail_list *f, char file[256]);
/* Out of every file of the directory; what was set aside comes back. CONFLIST_CHANGED or _AS_WANTED. */
int conflist_remove(int dir_fd, struct fail_list *f);
/* Copies the program, by rename, mode 0755. CONFLIST_AS_WANTED: the same bytes stand there. */
int conflist_copy(const char *from, const char *bin_dir, struct fail_list *f);
/* Removes it; absent is 0. */
int conflist_uncopy(const char *bin_dir);

/* ---- parts, for tests ------------------------------------------------------------------------ */

/* text with our part last: CONFLIST_CHANGED with a malloc'ed *ret, or CONFLIST_AS_WANTED; `list`: it
 * is a list and not a lone plugin. -EBADMSG, -EINVAL (no network configuration), -E2BIG, -ENOMEM. */
int conflist_text_add(const char *text, size_t len, bool list, const struct conflist_part *p, char **ret,
		      size_t *ret_len);
/* text of a list without our part. CONFLIST_AS_WANTED: there was none. */
int conflist_text_del(const char *text, size_t len, char **ret, size_t *ret_len);
