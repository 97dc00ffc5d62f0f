/* SPDX-License-Identifier: Apache-2.0 */
/* config_priv.h - what the readers of configuration share. Private to kube/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Wipes and frees a secret; NULL is fine. */
void kube_secret_free(char *s);
void kube_secret_freep(char **s);
/* A token as files hold it: without the white space around. In place. False when what is left
 * cannot be a header value (empty, control characters, spaces). */
bool kube_token_trim(char *s);
/* Text that looks like PEM. */
bool kube_is_pem(const char *s);
