# shellcheck shell=bash
# Side by side, then gone: several instances do not meet, and nothing is left of them.
node_up
for n in 1 2 3 4; do pod_up $n; done
serve p2 8080 9090
serve p4 8080 9090
off() { "$BUILD/bin/cellwalld" --config $W/cellwalld.yaml --set paths.state=$W/state --set "paths.pins=$1" --uninstall; }
before() { find /sys/fs/bpf /run/bpf 2>/dev/null | sort; tc qdisc show | grep -v noqueue; ip -o link | wc -l; ip netns list | sort; cut -d' ' -f2 /proc/mounts | grep -E '^/(run/(bpf|netns|w|cellwall)|sys|var)' | sort; }
before >$W/before
# Programs, links and maps are the whole machine's: only ours are looked at, by their numbers.
ours() {
	find /run/bpf/cw* -type f -path '*prog_*' -exec bpftool -j prog show pinned {} \; | jq -r '"prog \(.id)"'
	find /run/bpf/cw* -type f -path '*links/*' -exec bpftool -j link show pinned {} \; | jq -r '"link \(.id)"'
	find /run/bpf/cw* -type f -path '*map_*' -exec bpftool -j map show pinned {} \; | jq -r '"map \(.id)"'
}
all_gone() {
	local what id
	while read -r what id; do
		! bpftool "$what" show id "$id" >/dev/null 2>&1 || return 1
	done <$W/ours
}
ulimit -n 4096
daemon_start
wl 1 one web; wl 2 one cart
wait_guards 2
A=$DAEMON
# A second instance: its own state, pins and socket.
W1=$W SOCK1=$SOCK
W=/run/w2 SOCK=/run/w2/api.sock
mkdir -p $W
PINS=/run/bpf/cw2 daemon_start
wl 3 two web; wl 4 two cart
wait_guards 2
B=$DAEMON
ours >/run/w/ours
mode ns/two enforce
same "the second enforces" timeout "$(t p3 tcp "$(v4 p4)" 8080 200)"
same "the first is not touched by it" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
same "the second sees only its own" "two/pod/p3 two/pod/p4" "$(get /v1/workloads | jq -r '[.items[].ref]|sort|join(" ")')"
drain
same "and records only its own" "two" "$(get /v1/accesses | jq -r '[.items[].srcNamespace]|unique|join(" ")')"
daemon_stop
same "stopped: the second still enforces" timeout "$(t p3 tcp "$(v6 p4)" 8080 200)"
off /run/bpf/cw2 >$W/un.log 2>&1
same "uninstall works" 0 $?
same "uninstalled: passes" ok "$(t p3 tcp "$(v6 p4)" 8080 1000)"
W=$W1 SOCK=$SOCK1 DAEMON=$A
mode ns/one enforce
same "the first is still in force" timeout "$(t p1 tcp "$(v4 p2)" 8080 200)"
off /run/bpf/cw >$W/un.log 2>&1
same "refused while the daemon runs" 6 $?
like "and says why" "still runs" "$(cat $W/un.log)"
same "nothing was removed" timeout "$(t p1 tcp "$(v4 p2)" 8080 200)"
daemon_stop
off /run/bpf/cw >$W/un.log 2>&1
same "uninstall of the first works" 0 $?
same "uninstalled: passes without it" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
sleep 0.3
before >$W/after
if diff $W/before $W/after >$W/diff; then ok "no link, qdisc, pin, namespace or mount is left"; else
	not_ok "something is left"
	sed 's/^/# /' $W/diff
fi
check "no program, link or map of $(wc -l <$W/ours) is left" until_true 5 all_gone
same "no socket file is left" "" "$(ls $SOCK /run/w2/api.sock 2>/dev/null)"
: "$B"
