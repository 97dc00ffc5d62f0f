#!/usr/bin/env bash
# node_state.sh - what each lab node holds that cellwall could have changed, in a form to compare: its links'
# hooks, qdiscs and filters, BPF pins, the CNI configuration's files.
. "$(dirname "$0")/lib.sh"
for n in $(nodes_up); do
	"$LAB/ctl.sh" node "$n" sh -c '
		tc qdisc show | grep -E "clsact|ingress" | sort
		for d in /sys/class/net/*; do tc filter show dev ${d##*/} ingress; tc filter show dev ${d##*/} egress; done 2>/dev/null
		bpftool net show 2>/dev/null | grep -v "^$"
		find /sys/fs/bpf -mindepth 1 | sort
		for f in /etc/cni/net.d/*; do echo "$f $(jq -cS . "$f" | md5sum)"; done
		ls /opt/cni/bin
		for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" != /usr/sbin/cellwalld ] || echo "process"; done' 2>/dev/null |
		sed "s/^/node$n: /"
done
