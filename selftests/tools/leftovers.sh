#!/usr/bin/env bash
# leftovers.sh [BUILD] - nothing of ours is left on the host: no namespace, link, qdisc, program,
# map, pin, mount, process or file outside of the build folder. Prints what it finds and fails.
# It does not ask who made a thing: a cellwalld that runs on purpose is found, too. But BPF ids are of
# the whole machine, and a test that somebody killed leaves its folder: with LEFTOVERS_BEFORE=FILE,
# programs, maps and files that FILE lists (written by `leftovers.sh --before >FILE`) were there
# before and are not counted.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
build=$(realpath -m -- "${1:-${O:-build}}")
rc=0
for tool in ip tc bpftool jq; do
	command -v $tool >/dev/null || { echo "not ok leftovers: $tool is not installed (make deps)"; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "skip leftovers: needs root"; exit 77; }

say() { # WHAT, lines on stdin
	local l
	l=$(cat)
	[ -n "$l" ] || { echo "ok no $1 left"; return; }
	echo "not ok $1 left:"
	sed 's/^/  /' <<<"$l"
	rc=1
}

netns() { # by name, and bound to a file of ours anywhere else
	ip netns list | awk '$1 ~ /^(cw|cellwall)/ { print $1 }'
	awk '$3 == "nsfs" && $2 ~ /cellwall|\/cw/ { print $2 }' /proc/mounts
}
links() { ip -o link | awk -F': ' '$2 ~ /^(cw|cellwall)/ { print $2 }'; }
qdiscs() { # a clsact with a program of ours, or with none of anybody's: the product makes and removes it
	local dev filters
	tc -j qdisc show | jq -r '.[] | select(.kind == "clsact") | .dev' | while read -r dev; do
		filters=$(tc filter show dev "$dev" ingress; tc filter show dev "$dev" egress)
		if [ -z "$filters" ] || grep -qE '\bcw_' <<<"$filters"; then
			echo "clsact on $dev${filters:+ with a cw_ program}"
		fi
	done
}
# Whatever holds it (a link, a pin in any mount namespace, a descriptor), a program has an id.
programs() { bpftool -j prog show | jq -r '.[]? | select((.name // "") | test("^cw_")) | "program \(.id) \(.type) \(.name)"'; }
# Now and then an empty tail call table stays registered although no program, pin, link, mount or
# descriptor holds it, most likely since listing maps by id (as here) met its end. It can only be told
# from a table in use by that: where no program of ours is left, tail call tables are not counted.
maps() { bpftool -j map show | jq -r '.[]? | select((.name // "") | test("^cw_")) | "map \(.id) \(.type) \(.name)"' |
	{ [ -n "$(programs)" ] && cat || grep -v ' prog_array '; }; }
files() { find /run /tmp /var/tmp /dev/shm /var/lib -maxdepth 1 \( -name 'cellwall*' -o -name 'cwt-*' -o -name 'cw-*' \) 2>/dev/null; }
if [ "${1:-}" = --before ]; then
	programs
	maps
	files
	exit 0
fi
# The kernel frees what nobody holds a moment later.
since() {
	local l i
	for i in 1 2 3 4 5 6; do
		l=$("$1" | grep -vxFf "${LEFTOVERS_BEFORE:-/dev/null}")
		[ -n "$l" ] && [ "$i" != 6 ] || break
		sleep 0.5
	done
	[ -z "$l" ] || echo "$l"
}
pins() { # ours by path, in every BPF file system that is mounted here
	local at
	awk '$3 == "bpf" { print $2 }' /proc/mounts | sort -u | while read -r at; do
		find "$at" -xdev -mindepth 1 \( -path '*cellwall*' -o -path "$at/cw*" \)
	done
}
mounts() { awk '$3 != "nsfs" && $2 ~ /cellwall|\/cw/ { print $2 " (" $3 ")" }' /proc/mounts; }
processes() { # by name, or started from the build folder
	local dir exe
	for dir in /proc/[0-9]*; do
		exe=$(readlink "$dir/exe") || continue
		case ${exe% (deleted)} in
		"$build"/* | */cellwalld | */cellwall | */cellwall-lab) echo "${dir#/proc/} $exe" ;;
		esac
	done
}
counting() { # the kernel's run time statistics, which cost every program on the machine time
	local v
	v=$(cat /proc/sys/kernel/bpf_stats_enabled 2>/dev/null)
	[ "${v:-0}" = 0 ] || echo "kernel.bpf_stats_enabled = $v"
}

# The kernel frees programs a moment after their last holder is gone.
for _ in $(seq 30); do
	[ -n "$(programs; maps)" ] || break
	sleep 0.1
done
say "network namespaces" < <(netns)
say "links" < <(links)
say "qdiscs" < <(qdiscs)
say "programs" < <(since programs)
say "maps" < <(since maps)
say "pins" < <(pins)
say "mounts" < <(mounts)
say "processes" < <(processes 2>/dev/null)
say "files" < <(since files)
say "statistics switched on" < <(counting)
exit $rc
