#!/usr/bin/env bash
# leftovers.sh - nothing of ours is left on the host: no namespace, link, qdisc, pin, mount,
# process or run file. Prints what it finds and fails.
set -uo pipefail
rc=0
say() { # WHAT, lines on stdin
	local l
	l=$(cat)
	[ -z "$l" ] && { echo "ok no $1 left"; return; }
	echo "not ok $1 left:"
	sed 's/^/  /' <<<"$l"
	rc=1
}
say "network namespaces" < <(ip netns list 2>/dev/null | awk '{print $1}' | grep -E '^(cw|cellwall)')
say "links" < <(ip -o link 2>/dev/null | awk -F': ' '{print $2}' | grep -E '^(cw|cellwall)')
say "qdiscs" < <(tc qdisc show 2>/dev/null | grep clsact)
say "pins" < <(find /sys/fs/bpf -mindepth 1 -path '*cellwall*' 2>/dev/null)
say "mounts" < <(awk '{print $2}' /proc/mounts | grep -E 'cellwall|/cw[t-]')
say "processes" < <(pgrep -a -x 'cellwalld|cellwall|cellwall-lab' 2>/dev/null)
say "run files" < <(ls -d /run/cellwall* /var/lib/cellwall* 2>/dev/null)
say "attached programs" < <(bpftool -j link 2>/dev/null | jq -r '.[]? | select(.type=="tcx" or .type=="xdp") | "link \(.id) \(.type) prog \(.prog_id)"' 2>/dev/null |
	while read -r l; do id=${l##* }; bpftool prog show id "$id" 2>/dev/null | grep -q 'name cw_' && echo "$l"; done)
exit $rc
