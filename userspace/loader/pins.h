/* SPDX-License-Identifier: Apache-2.0 */
/* pins.h - directories on the BPF file system. For this room. */
#pragma once

#include <limits.h>
#include <stdbool.h>

/* snprintf into a path buffer; -ENAMETOOLONG. */
int pin_path(char out[PATH_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0 when the directory (made if absent) lies on a BPF file system, else -ENOTSUP. */
int pin_root_check(const char *root);
/*
 * Removes a directory of pins and what is in it, at most four levels deep (root, set, run,
 * image). 0 also when absent.
 */
int pin_dir_remove(const char *path);
/* Names in a directory, unordered. fn's non-zero return ends and is returned. Absent: 0. */
int pin_dir_walk(const char *path, int (*fn)(void *arg, const char *name), void *arg);
