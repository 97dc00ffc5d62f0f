/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_cert.c - certificates and signing requests from outside. A request that is signed gives a
 * certificate for the name that was asked for, whatever else stood in the request.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/ca.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1900000000ll

static struct ca *authority(void)
{
	static struct ca *ca;
	char dir[] = "/tmp/cw-fuzz-XXXXXX", path[64];

	if (ca)
		return ca;
	assert(mkdtemp(dir));
	assert(!ca_open(dir, true, NOW, NULL, &ca));
	snprintf(path, sizeof(path), "%s/ca.crt", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	unlink(path);
	rmdir(dir);
	return ca;
}

static void request(const char *text)
{
	const struct cert_ask ask = { .name = { .role = WIRE_NODE, .name = "node-1" }, .now_s = NOW, .life_s = 60 };
	struct cert_info info;
	char *cert = NULL;

	if (ca_issue(authority(), &ask, text, NULL, &cert)) {
		assert(!cert);
		return;
	}
	assert(!cert_read(cert, &info));
	assert(info.name.role == WIRE_NODE && !strcmp(info.name.name, "node-1") && info.until_s == NOW + 60);
	assert(cert_is_of(cert, ca_cert(authority()), NOW));
	free(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cert_info info;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (!cert_read(text, &info))
		assert(info.name.role != WIRE_NOBODY);
	(void)cert_key_fits(text, text);
	assert(!cert_is_of(text, ca_cert(authority()), NOW)); /* nobody but the authority signs for it */
	request(text);
	free(text);
	return 0;
}
