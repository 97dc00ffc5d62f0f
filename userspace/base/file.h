/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - whole files with limits. */
#pragma once

#include <stddef.h>

/* Reads at most max bytes (-E2BIG beyond), NUL-terminated, malloc'ed. */
int read_all_fd(int fd, size_t max, char **ret, size_t *ret_len);
/* O_NOFOLLOW is not set: admins link configuration. path "-" is standard input. */
int read_all_path(const char *path, size_t max, char **ret, size_t *ret_len);
/* Temporary file beside, fsync, rename: readers see the old or the new file, never half. */
int write_file_atomic(const char *path, const void *p, size_t n, unsigned mode);
int mkdir_p(const char *path, unsigned mode);
