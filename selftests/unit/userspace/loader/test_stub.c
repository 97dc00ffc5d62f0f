/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cw_abi.h"
#include "loader/hooks.h"

static void insns_table(void **state)
{
	static const struct {
		const char *name;
		struct hook h;
		int cb, fallback;
	} t[] = {
		{ "from the pod", { .ep = 7, .from_pod = true }, 15, -1 },
		{ "to the pod", { .ep = 7 }, 14, -1 },
		{ "closed", { .ep = 1, .closed = true }, 2, 2 /* TC_ACT_SHOT */ },
		{ "highest endpoint", { .ep = 0x7fffffff, .from_pod = true }, -1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct bpf_insn in[HOOK_STUB_INSNS];
		int n = hook_stub_insns(&t[i].h, 42, in);

		print_message("  %s\n", t[i].name);
		assert_int_equal(n, 8);
		assert_int_equal(in[0].code, BPF_ALU64 | BPF_MOV | BPF_K);
		assert_int_equal(in[0].imm, t[i].cb);
		assert_int_equal(in[1].code, BPF_STX | BPF_MEM | BPF_W);
		assert_int_equal(in[1].off, offsetof(struct __sk_buff, cb));
		assert_int_equal(in[2].src_reg, BPF_PSEUDO_MAP_FD);
		assert_int_equal(in[2].imm, 42);
		assert_int_equal(in[4].imm, CW_ENTRY_TC);
		assert_int_equal(in[5].imm, BPF_FUNC_tail_call);
		assert_int_equal(in[6].imm, t[i].fallback);
		assert_int_equal(in[7].code, BPF_JMP | BPF_EXIT);
	}
}

static void name_table(void **state)
{
	static const struct {
		const char *name;
		struct hook h;
		int r;
		const char *want;
	} t[] = {
		{ "plain", { .key = "web-1", .ep = 3, .netns = 0xf00d, .ifindex = 17 }, 0, "web-1,iho,3,f00d,11" },
		{ "all flags", { .key = "a", .ep = 255, .netns = 1, .ifindex = 2, .dir = HOOK_EGRESS, .from_pod = true,
				 .closed = true }, 0, "a,epc,ff,1,2" },
		{ "dot, slash, underscore, comma", { .key = "a.b/c_d,e", .ep = 1, .netns = 1, .ifindex = 1 }, 0,
		  "a_2eb_2fc_5fd_2ce,iho,1,1,1" },
		{ "not ASCII", { .key = "\xc3\xa4", .ep = 1, .netns = 1, .ifindex = 1 }, 0, "_c3_a4,iho,1,1,1" },
		{ "XDP needs no endpoint", { .key = "a", .netns = 1, .ifindex = 1, .dir = HOOK_XDP }, 0, "a,xho,0,1,1" },
		{ "no key", { .ep = 1, .ifindex = 1 }, -EINVAL, NULL },
		{ "no endpoint", { .key = "a", .ifindex = 1 }, -EINVAL, NULL },
		{ "endpoint beyond 31 bits", { .key = "a", .ep = 0x80000000, .ifindex = 1 }, -EINVAL, NULL },
		{ "no device", { .key = "a", .ep = 1 }, -EINVAL, NULL },
		{ "no such direction", { .key = "a", .ep = 1, .ifindex = 1, .dir = (enum hook_dir)3 }, -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char out[HOOK_PIN_MAX + 1] = "untouched";
		struct hook back = {};

		print_message("  %s\n", t[i].name);
		assert_int_equal(hook_pin_name(&t[i].h, out), t[i].r);
		assert_string_equal(out, t[i].want ? t[i].want : "untouched");
		if (t[i].r)
			continue;
		assert_int_equal(hook_pin_parse(out, &back), 0);
		assert_memory_equal(&back, &t[i].h, sizeof(back));
	}
}

/* The worst key still fits a file name, and every byte value survives. */
static void name_extremes(void **state)
{
	char out[HOOK_PIN_MAX + 1];
	struct hook h = { .ep = 0x7fffffff, .netns = UINT64_MAX, .ifindex = UINT32_MAX }, back;

	(void)state;
	memset(h.key, '\xff', HOOK_KEY_MAX);
	assert_int_equal(hook_pin_name(&h, out), 0);
	assert_true(strlen(out) <= HOOK_PIN_MAX);
	assert_null(strpbrk(out, "./"));
	assert_int_equal(hook_pin_parse(out, &back), 0);
	assert_memory_equal(&back, &h, sizeof(h));
	for (int c = 1; c < 256; c++) {
		memset(&h.key, 0, sizeof(h.key));
		h.key[0] = (char)c;
		assert_int_equal(hook_pin_name(&h, out), 0);
		assert_null(strpbrk(out, "./"));
		assert_int_equal(hook_pin_parse(out, &back), 0);
		assert_memory_equal(&back, &h, sizeof(h));
	}
	memset(h.key, 'a', sizeof(h.key)); /* no terminator: one byte too long */
	assert_int_equal(hook_pin_name(&h, out), -EINVAL);
}

/* Whatever differs in one field differs in its name. */
static void name_injective(void **state)
{
	static const char *const keys[] = { "a", "b", "a,", "a_", "a_2c", "a,i", "_", "aa", "A", "a-", "-a" };
	static char names[ARRAY_SIZE(keys) * 2 * 2 * 2 * 2 * 2 * 2][HOOK_PIN_MAX + 1];
	size_t n = 0;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		for (unsigned bits = 0; bits < 64; bits++) {
			struct hook h = {
				.ep = bits & 1 ? 1 : 0x11, .netns = bits & 2 ? 1 : 0x11,
				.ifindex = bits & 4 ? 1 : 0x11, .dir = bits & 8 ? HOOK_EGRESS : HOOK_INGRESS,
				.from_pod = bits & 16, .closed = bits & 32,
			};

			(void)snprintf(h.key, sizeof(h.key), "%s", keys[k]);
			assert_int_equal(hook_pin_name(&h, names[n++]), 0);
		}
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = i + 1; j < n; j++)
			assert_string_not_equal(names[i], names[j]);
	}
}

static void parse_refuses(void **state)
{
	static const char *const t[] = {
		"", ",", "a", "a,iho", "a,iho,1,1", "a,iho,1,1,", "a,iho,,1,1", "a,iho,1,1,1,", "a,iho,1,1,0",
		"a,iho,0,1,1", "a,iho,01,1,1", "a,iho,1,1,1 ", "a,iho,A,1,1", "a,qho,1,1,1", "a,ixo,1,1,1",
		"a,ihx,1,1,1", "a,iho,1ffffffff,1,1", "a,iho,80000000,1,1", "a,iho,1,1ffffffffffffffff,1",
		",iho,1,1,1", "_,iho,1,1,1", "_6,iho,1,1,1", "_61,iho,1,1,1", "_6G,iho,1,1,1", "_00,iho,1,1,1",
		"a.b,iho,1,1,1", "new-1-2",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,iho,1,1,1", /* 65 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct hook h = { .key = "untouched" };

		print_message("  \"%s\"\n", t[i]);
		assert_int_equal(hook_pin_parse(t[i], &h), -EINVAL);
		assert_string_equal(h.key, "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(insns_table),
		cmocka_unit_test(name_table),
		cmocka_unit_test(name_extremes),
		cmocka_unit_test(name_injective),
		cmocka_unit_test(parse_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
