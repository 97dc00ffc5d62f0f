/* SPDX-License-Identifier: Apache-2.0 */
/* grace.h - waiting for running programs. */
#pragma once

/*
 * Returns after every program run that was going on at the call has ended: 8 ms idle, 100 ms on
 * a busy machine. Any thread but the loop's. 0, or a negative errno: then nothing was waited for.
 */
int grace_wait(void);
