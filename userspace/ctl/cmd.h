/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.h - small parts that several commands print with. */
#pragma once

#include "base/cleanup.h"
#include "ctl/ctl.h"

/* Column texts of the `by` objects. */
void put_egress_by(struct ctl *c, const cJSON *item, struct buf *b);
void put_ingress_by(struct ctl *c, const cJSON *item, struct buf *b);
void put_by_col(struct ctl *c, const cJSON *item, struct buf *b);
/* "918,204" */
const char *num_str(char out[24], int64_t n);
/* prefix + part, malloc'ed; NULL without memory. */
char *path_make(const char *prefix, const char *part);
/* GET + emit of one thing; path NULL: no memory. */
int show_run(struct ctl *c, const char *path, const struct view *v);
/* "/v1/workloads/NS/NAME" of a pod REF; NULL after a fault was added. */
char *workload_path(struct ctl *c, const char *ref);
/* GET + emit of a list with the flags' query. */
int plain_list(struct ctl *c, const char *path, const struct view *v);
/* That there are none, and how to declare one. */
void no_workloads(struct ctl *c, struct buf *b);
/* Says why a list is empty and returns true if it is. */
bool list_empty(struct ctl *c, const cJSON *doc, struct buf *b, enum msg m);
/* "500 of 12,480 shown" when the list was cut by --limit. */
void list_rest(struct ctl *c, const cJSON *doc, struct buf *b);
