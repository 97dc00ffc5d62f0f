# shellcheck shell=bash
# net.sh - one verdict table over one network; sourced by the t_net_* tests, which lay the network.
#
# Pod p1 (shop/web) speaks to p2 (allowed by a rule), p3 (blocked by one) and p4 (none speaks of it).
# A test that has two nodes says in NODE_OF which daemon's socket a pod belongs to.

declare -A NODE_OF
NET_NODES=("$SOCK") # the sockets of all daemons

# on SOCKET COMMAND...: against that daemon
on() {
	local SOCK=$1
	shift
	"$@"
}
all_nodes() { local s; for s in "${NET_NODES[@]}"; do on "$s" "$@" || return; done; }

net_rules() {
	all_nodes rule net-allow allow '{namespace: shop, labels: {app: web}}' '{namespace: data, labels: {app: allow}}' 'tcp/8080, udp/8080, icmp/echo-request, icmpv6/128'
	all_nodes rule net-block block '{namespace: shop, labels: {app: web}}' '{namespace: data, labels: {app: block}}' 'tcp/8080, udp/8080, icmp/echo-request, icmpv6/128'
}

# Declares the four pods on every node: here by its namespace; elsewhere by its addresses, with an
# empty namespace in its stead, in which there is nothing to attach.
net_workloads() {
	local n ns app s
	for n in 1 2 3 4; do
		case $n in 1) ns=shop app=web ;; 2) ns=data app=allow ;; 3) ns=data app=block ;; 4) ns=data app=none ;; esac
		for s in "${NET_NODES[@]}"; do
			if [ "${NODE_OF[p$n]:-$SOCK}" = "$s" ]; then
				on "$s" wl $n $ns $app
			else
				[ -e /run/netns/away$n ] || ip netns add away$n
				on "$s" must_post /v1/workloads "$(jq -nc --arg n "p$n" --arg ns $ns --arg app $app \
					--arg a "$(v4 p$n)" --arg b "$(v6 p$n)" --arg away away$n \
					'{namespace:$ns,name:$n,netns:$away,labels:{app:$app},controller:{kind:"Deployment",name:$app},addresses:[$a,$b]}')"
			fi
		done
	done
}

# One cell: "pass" or "drop"
cell() { # TARGET PROTO FAMILY
	local a r
	a=$(v"$3" "$1")
	case $2 in
	tcp) r=$(t p1 tcp "$a" 8080 300) && [ "$r" = ok ] ;;
	udp) r=$(t p1 ask "$a" 8080 1 300) && [ "$r" = "answered 1 of 1 ok" ] ;;
	icmp) r=$(t p1 ping "$a" 1 300) && [ "$r" = "answered 1 of 1" ] ;;
	esac && echo pass || echo drop
}

# A mode for one side, the other off.
net_mode() { # MODE SIDE
	local m=$1 judged other n
	[ "$1" != quarantine ] || m=off
	if [ "$2" = egress ]; then judged=ns/shop other=ns/data; else judged=ns/data other=ns/shop; fi
	all_nodes mode $judged "$m"
	all_nodes mode $other off
	[ "$1" != quarantine ] || for n in 1 2 3 4; do
		if [ "$2" = egress ] && [ $n = 1 ]; then all_nodes quarantine shop/pod/p1; fi
		if [ "$2" = ingress ] && [ $n != 1 ]; then all_nodes quarantine data/pod/p$n; fi
	done
}
net_release() {
	local n
	for n in 1 2 3 4; do
		if [ "$1" = egress ] && [ $n = 1 ]; then all_nodes release shop/pod/p1; fi
		if [ "$1" = ingress ] && [ $n != 1 ]; then all_nodes release data/pod/p$n; fi
	done
}

# The whole table; every line that differs is a failure of its own.
verdict_table() {
	local mode side rules want last='' target proto family wrong=0 lines=0 cells=0 f pids
	while read -r mode side rules want; do
		case $mode in '#'* | '') continue ;; esac
		if [ "$mode $side" != "$last" ]; then
			[ "${last%% *}" != quarantine ] || net_release "${last#* }"
			net_mode "$mode" "$side" || return
			last="$mode $side"
		fi
		case $rules in allow) target=p2 ;; block) target=p3 ;; none) target=p4 ;; esac
		pids=()
		for proto in tcp udp icmp; do
			for family in 4 6; do
				cell $target $proto $family >"$W/cell.$proto.$family" &
				pids+=($!)
			done
		done
		wait "${pids[@]}"
		f=$(grep -L "^$want\$" "$W"/cell.*.*)
		lines=$((lines + 1)) cells=$((cells + 6))
		if [ -n "$f" ]; then
			wrong=$((wrong + 1))
			not_ok "$mode, $side, $rules: want $want, but not so: $(sed "s|$W/cell.||g" <<<"$f" | tr '\n' ' ')"
		fi
	done <selftests/netns/verdicts.txt
	[ "${last%% *}" != quarantine ] || net_release "${last#* }"
	[ $lines = 0 ] && not_ok "no verdict table"
	[ $wrong = 0 ] && ok "the verdict table: $lines lines, $cells verdicts"
}

# The guard map's word for a pod: "hook state", and its ways.
guard_of() { get /v1/guards | jq -r --arg w "/pod/$1" '.items[]|select(.workload|endswith($w))|"\(.hook) \(.state)"'; }
guard_is() { [ "$(guard_of "$1")" = "$2" ]; }
proved() { # POD WAY: "sent seen" of the last round
	get /v1/guards | jq -r --arg w "/pod/$1" --arg y "$2" '.items[]|select(.workload|endswith($w))|.[$y]|"\(.probesSent) \(.probesSeen)"'
}
is_proved() { [ "$(proved "$1" "$2")" = "2 2" ]; }
reaches() { [ "$(cell "$1" tcp 4)$(cell "$1" tcp 6)" = passpass ]; }
