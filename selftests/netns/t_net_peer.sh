# shellcheck shell=bash
# The verdict table beside a data path that delivers by peer redirect: the node's end never sees what
# it delivers. That is found out, and what comes in is judged at the workload's own end.
. selftests/netns/net.sh
command -v bpftool >/dev/null || { skip "no bpftool here"; finish; }
node_up
for n in 1 2 3 4; do pod_up $n; done
for n in 2 3 4; do serve p$n 8080; done
bpftool prog load "$BUILD/netns/redir.bpf.o" /run/bpf/redir type classifier pinmaps /run/bpf/redirmaps 2>$W/err ||
	{ skip "this kernel has no peer redirect: $(head -c 200 $W/err)"; finish; }
daemon_start guard.probe=1s
net_workloads
wait_guards 4
net_rules
same "before: on the node" "tcx host guarded" "$(guard_of p2)"
for n in 1 2 3 4; do
	mac=$(ip -n p$n -j link show eth0 | jq -r '.[0].address')
	ifx=$(cat /sys/class/net/cwp$n/ifindex 2>/dev/null || ip -j link show cwp$n | jq -r '.[0].ifindex')
	# shellcheck disable=SC2046 # words
	bpftool map update pinned /run/bpf/redirmaps/redir_ports key hex ${mac//:/ } 00 00 \
		value hex $(printf '%02x %02x %02x %02x' $((ifx & 255)) $((ifx >> 8 & 255)) 0 0) || bail "no map"
	tc qdisc add dev cwp$n clsact
	tc filter add dev cwp$n ingress prio 9 protocol all bpf da object-pinned /run/bpf/redir || bail "no filter"
done
# What the node's end sends to p2 is counted there: nothing of this.
tx() { ip -s -j link show cwp2 | jq '.[0].stats64.tx.packets'; }
t p1 ask "$(v4 p2)" 8080 1 1000 >/dev/null
n0=$(tx)
same "delivered" "answered 20 of 20 ok" "$(t p1 ask "$(v4 p2)" 8080 20 1000)"
n1=$(tx)
[ $((n1 - n0)) -lt 20 ] && ok "past the node's end" || { skip "nothing is handed past here"; finish; }
for n in 1 2 3 4; do t p1 ask "$(v4 p$n)" 8080 12 300 >/dev/null; done
for n in 1 2 3 4; do
	check "found out: p$n is judged inside" until_true 10 guard_is p$n "tcx host / tcx pod guarded"
done
settle
verdict_table
like "said so" "past" "$(get /v1/guards | jq -r '.items[]|select(.workload|endswith("/p2"))|.reason')"
for w in fromPod toPod; do
	check "proved by probe packets, $w" until_true 10 is_proved p2 $w
done
# Known at once after a restart, and nothing gets through meanwhile.
mode ns/shop off
mode ns/data enforce
count_start c p1 eth0 # the answers: at p4's own end every frame is seen before its verdict
bg p1 send 7 "$(v4 p4)" 8080 10000000 32 200 >$W/s &
S=$!
sleep 0.2
base=$(get /v1/counters | jq '[.counters.reasons[].dropped]|add')
daemon_kill
daemon_again
until_true 10 in_force
check "still judged inside" until_true 5 guard_is p4 "tcx host / tcx pod guarded"
sleep 0.5
kill -TERM $S
wait $S
count_stop c
same "nothing of $(cat $W/s) was answered" 0 "$(in_of c 7)"
within "dropped before the restart" 1 100000000 "$base"
same "unanswered" drop "$(cell p4 udp 4)"
