/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - followers: answers that stay open and get one JSON object a line. */
#pragma once

#include "controller/filter.h"

enum stream_kind { STREAM_FLOWS, STREAM_ALERTS, STREAM_EVENTS };
#define STREAMS_MAX 64u

/* Turns the call's exchange into a stream; takes over f. API_ANSWERED, or a negative errno with the
 * fault in a->f (f is freed too). `first`: array of objects to begin with, may be NULL; freed. */
int stream_begin(struct api *a, enum stream_kind kind, struct filter *f, cJSON *first);
