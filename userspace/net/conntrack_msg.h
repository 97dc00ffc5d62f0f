/* SPDX-License-Identifier: Apache-2.0 */
/* conntrack_msg.h - one ctnetlink message to one entry. Pure; the bytes are not trusted. */
#pragma once

#include "net/conntrack.h"

struct nlmsghdr;

/*
 * The caller has checked that nlmsg_len bytes, rounded up to a multiple of four, can be read.
 * 0; -ENOMSG a message of no interest; -EBADMSG a broken one.
 */
int conntrack_msg_decode(const struct nlmsghdr *h, struct conntrack_entry *ret);
