/* SPDX-License-Identifier: Apache-2.0 */
/* stub.c - what an attachment is made of, and how its pin is called. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cw_abi.h"
#include "loader/hooks.h"
#include "loader/insn.h"

/*
 * The key of the tail call is a constant, so the JIT makes a direct jump of it and patches that
 * when the slot changes. "No objection" is TC_ACT_UNSPEC, which is also tcx's "next".
 */
int hook_stub_insns(const struct hook *h, int entry_fd, struct bpf_insn *out)
{
	const struct bpf_insn insns[] = {
		INSN_MOV64_IMM(BPF_REG_2, (int)CW_CB(h->ep, h->from_pod)),
		INSN_STX_MEM(BPF_W, BPF_REG_1, BPF_REG_2, offsetof(struct __sk_buff, cb[0])),
		INSN_LD_MAP_FD(BPF_REG_2, entry_fd),
		INSN_MOV64_IMM(BPF_REG_3, CW_ENTRY_TC),
		INSN_CALL(BPF_FUNC_tail_call),
		INSN_MOV64_IMM(BPF_REG_0, h->closed ? TC_ACT_SHOT : TC_ACT_UNSPEC),
		INSN_EXIT(),
	};

	/* XDP has no room for a number in its context; the program finds its endpoint by device. */
	const struct bpf_insn xdp[] = {
		INSN_LD_MAP_FD(BPF_REG_2, entry_fd),
		INSN_MOV64_IMM(BPF_REG_3, CW_ENTRY_TC),
		INSN_CALL(BPF_FUNC_tail_call),
		INSN_MOV64_IMM(BPF_REG_0, h->closed ? XDP_DROP : XDP_PASS),
		INSN_EXIT(),
	};

	_Static_assert(ARRAY_SIZE(insns) <= HOOK_STUB_INSNS, "callers size their arrays by it");
	if (h->dir == HOOK_XDP) {
		memcpy(out, xdp, sizeof(xdp));
		return ARRAY_SIZE(xdp);
	}
	memcpy(out, insns, sizeof(insns));
	return ARRAY_SIZE(insns);
}

/* ---- names ------------------------------------------------------------------------------- */

static bool plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static bool hook_valid(const struct hook *h)
{
	if (!h->key[0] || strnlen(h->key, sizeof(h->key)) > HOOK_KEY_MAX || !h->ifindex)
		return false;
	switch (h->dir) {
	case HOOK_INGRESS:
	case HOOK_EGRESS:
		return h->ep && h->ep < 1u << 31; /* CW_CB has 31 bits for it */
	case HOOK_XDP:
		return true;
	}
	return false;
}

/* KEY,<i|e|x><p|h><o|c>,EP,NETNS,IFINDEX with the numbers in hex. */
int hook_pin_name(const struct hook *h, char out[HOOK_PIN_MAX + 1])
{
	static const char dirs[] = { [HOOK_INGRESS] = 'i', [HOOK_EGRESS] = 'e', [HOOK_XDP] = 'x' };
	char name[HOOK_PIN_MAX + 1];
	size_t n = 0;
	int r;

	if (!hook_valid(h))
		return -EINVAL;
	for (const char *s = h->key; *s; s++) {
		if (plain((unsigned char)*s))
			name[n++] = *s;
		else
			n += (size_t)snprintf(name + n, 4, "_%02x", (unsigned char)*s);
	}
	r = snprintf(name + n, sizeof(name) - n, ",%c%c%c,%x,%llx,%x", dirs[h->dir],
		     h->from_pod ? 'p' : 'h', h->closed ? 'c' : 'o', h->ep,
		     (unsigned long long)h->netns, h->ifindex);
	if (r < 0 || (size_t)r >= sizeof(name) - n)
		return -EINVAL;
	memcpy(out, name, n + (size_t)r + 1);
	return 0;
}

static int unhex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to `stop`, at most max; moves *s behind it. */
static int hex_take(const char **s, char stop, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	int d;

	if (**s == stop)
		return -EINVAL;
	for (; **s != stop; (*s)++) {
		d = unhex(**s);
		if (d < 0 || v > max >> 4)
			return -EINVAL;
		v = v << 4 | (unsigned)d;
	}
	if (v > max)
		return -EINVAL;
	if (stop)
		(*s)++;
	*ret = v;
	return 0;
}

int hook_pin_parse(const char *name, struct hook *ret)
{
	char again[HOOK_PIN_MAX + 1];
	struct hook h = {};
	uint64_t ep, ino, ifindex;
	const char *s = name;
	size_t n = 0;

	for (; *s && *s != ','; n++) {
		int c = (unsigned char)*s++;

		if (n >= HOOK_KEY_MAX)
			return -EINVAL;
		if (c == '_') {
			int hi = unhex(s[0]), lo = hi < 0 ? -1 : unhex(s[1]);

			if (lo < 0)
				return -EINVAL;
			c = hi << 4 | lo;
			s += 2;
		}
		h.key[n] = (char)c;
	}
	if (*s++ != ',')
		return -EINVAL;
	h.dir = *s == 'i' ? HOOK_INGRESS : *s == 'e' ? HOOK_EGRESS : HOOK_XDP;
	if (!s[0] || !s[1] || !s[2] || s[3] != ',')
		return -EINVAL;
	h.from_pod = s[1] == 'p';
	h.closed = s[2] == 'c';
	s += 4;
	if (hex_take(&s, ',', UINT32_MAX, &ep) || hex_take(&s, ',', UINT64_MAX, &ino) ||
	    hex_take(&s, '\0', UINT32_MAX, &ifindex))
		return -EINVAL;
	h.ep = (uint32_t)ep;
	h.netns = ino;
	h.ifindex = (uint32_t)ifindex;
	/* One spelling only: whatever parses but would be written otherwise is not ours. */
	if (hook_pin_name(&h, again) || strcmp(again, name))
		return -EINVAL;
	*ret = h;
	return 0;
}
