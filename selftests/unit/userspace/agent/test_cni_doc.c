/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/agent/cni_doc.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/cni.h"
#include "base/cleanup.h"

#define HEAD "\"network\":\"n\",\"containerID\":\"C_1.\",\"ifname\":\"eth0\",\"netns\":\"/run/netns/x\""
#define POD ",\"namespace\":\"shop\",\"name\":\"web-1\",\"uid\":\"u\""

static int read_text(const char *s, struct cni_attachment **ret)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct cni_attachment *at = calloc(1, sizeof(*at));
	int r;

	assert_int_equal(json_parse(s, strlen(s), "test", &f, &o), 0);
	r = cni_attachment_read(o, &f, at);
	assert_int_equal(!r, !f.n);
	if (r) {
		free(at);
		return r;
	}
	*ret = at;
	return 0;
}

static void reads(void **state)
{
	/* Addresses of the sandbox: those of its interfaces, and those of none. */
	static const struct { const char *s; int r; const char *name, *addrs; } t[] = {
		{ "{" HEAD POD "}", 0, "shop/web-1", "" },
		{ "{" HEAD "}", 0, "default/c-1", "" },
		{ "{" HEAD POD ",\"result\":{\"ips\":[{\"address\":\"10.1.0.2/24\"},{\"address\":\"fd00::2/64\"}]}}", 0, "shop/web-1", "10.1.0.2 fd00::2 " },
		{ "{" HEAD POD ",\"result\":{\"interfaces\":[{\"name\":\"br\"},{\"name\":\"eth0\",\"sandbox\":\"/x\"}],\"ips\":["
		  "{\"address\":\"10.1.0.1/24\",\"interface\":0},{\"address\":\"10.1.0.2/24\",\"interface\":1},{\"address\":\"10.1.0.3/24\",\"interface\":9}]}}",
		  0, "shop/web-1", "10.1.0.2 10.1.0.3 " },
		{ "{" HEAD POD ",\"result\":{\"ips\":null}}", 0, "shop/web-1", "" },
		{ "{" HEAD POD ",\"result\":{\"ips\":{}}}", -EINVAL, NULL, NULL },
		{ "{" HEAD POD ",\"result\":{\"ips\":[{}]}}", -EINVAL, NULL, NULL },
		{ "{" HEAD POD ",\"result\":{\"ips\":[{\"address\":\"10.1.0.300/24\"}]}}", -EINVAL, NULL, NULL },
		{ "{" HEAD POD ",\"result\":[]}", -EINVAL, NULL, NULL },
		{ "{" HEAD ",\"namespace\":\"shop\"}", -EINVAL, NULL, NULL },
		{ "{" HEAD ",\"namespace\":\"Shop\",\"name\":\"x\"}", -EINVAL, NULL, NULL },
		{ "{" HEAD ",\"namespace\":\"shop\",\"name\":\"../x\"}", -EINVAL, NULL, NULL },
		{ "{\"network\":\"n\",\"containerID\":\"../x\",\"ifname\":\"eth0\"}", -EINVAL, NULL, NULL },
		{ "{\"network\":\"n\",\"containerID\":\".x\",\"ifname\":\"eth0\"}", -EINVAL, NULL, NULL },
		{ "{\"network\":\"n\",\"containerID\":\"x\",\"ifname\":\"a/b\"}", -EINVAL, NULL, NULL },
		{ "{\"network\":\"n\",\"containerID\":\"x\",\"ifname\":\"0123456789abcdef\"}", -EINVAL, NULL, NULL },
		{ "{\"network\":\"n\",\"containerID\":\"x\",\"ifname\":\"eth0\",\"netns\":\"x\"}", -EINVAL, NULL, NULL },
		{ "{\"network\":\"n\",\"containerID\":7,\"ifname\":\"eth0\"}", -EINVAL, NULL, NULL },
		{ "{\"containerID\":\"x\",\"ifname\":\"eth0\"}", -EINVAL, NULL, NULL }, { "[]", -EINVAL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cni_attachment *at = NULL;
		char got[400] = "", a[ADDR_STR_MAX];
		int r = read_text(t[i].s, &at);

		if (r != t[i].r)
			print_message("  case %zu: %d\n", i, r);
		assert_int_equal(r, t[i].r);
		if (r)
			continue;
		snprintf(got, sizeof(got), "%s/%s", at->ns, at->name);
		assert_string_equal(got, t[i].name);
		*got = 0;
		for (size_t k = 0; k < at->naddrs; k++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", addr_str(&at->addrs[k], a));
		assert_string_equal(got, t[i].addrs);
		cni_attachment_free(at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
