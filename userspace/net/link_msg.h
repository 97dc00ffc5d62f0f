/* SPDX-License-Identifier: Apache-2.0 */
/* link_msg.h - one rtnetlink message to one link_change. Pure; the bytes are not trusted. */
#pragma once

#include "net/link_table.h"

struct nlmsghdr;

/*
 * Decodes RTM_{NEW,DEL}{LINK,ADDR,NSID}. The caller has checked that nlmsg_len bytes, rounded up
 * to a multiple of four, can be read.
 * 0; -ENOMSG a message of no interest; -EBADMSG a broken one. in_nsid is left LINK_NSID_OWN.
 */
int link_msg_decode(const struct nlmsghdr *h, struct link_change *ret);
