/* SPDX-License-Identifier: Apache-2.0 */
/* uninstall.h - takes everything off the node: attachments, programs, maps, pins. */
#pragma once

/* pin_root: as configured. Traffic is afterwards as without cellwall. Blocks. 0 or the first error;
 * what can be removed is removed all the same. */
int uninstall_all(const char *pin_root);
