# shellcheck shell=bash
# Beside other people's filters, and against hands that remove ours: tcx and clsact.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 9090 6666
# A foreign clsact with filters that stood before us: one drops, one passes on.
tc qdisc add dev cwp1 clsact
tc filter add dev cwp1 ingress prio 7 protocol ip flower ip_proto udp dst_port 6666 action drop
tc filter add dev cwp1 egress prio 7 protocol ip flower ip_proto udp src_port 7777 action drop
foreign() { tc filter show dev cwp1 "$1" | grep -c 'dst_port 6666\|src_port 7777'; }
for hook in tcx clsact; do
	rm -rf $W/state
	daemon_start attach.hook=$hook
	wl 1 shop web; wl 2 shop cart
	wait_guards 2
	same "$hook: attached" "$hook host" "$(get /v1/guards | jq -r '[.items[].hook]|unique|join(",")')"
	rule base allow '{namespace: shop}' '{namespace: shop}' 'tcp/8080, udp/8080, udp/6666'
	mode ns/shop enforce
	same "$hook: allowed" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
	same "$hook: blocked" timeout "$(t p1 tcp "$(v6 p2)" 9090 200)"
	same "$hook: what the foreign filter drops we do not let through" "answered 0 of 1 timeout" "$(t p1 ask "$(v4 p2)" 6666 1 200)"
	same "$hook: what it does not know passes" "answered 1 of 1 ok" "$(t p1 ask "$(v6 p2)" 6666 1 500)"

	# Ours taken away: back within 1 s, and reported.
	n0=$(counters repaired)
	if [ $hook = tcx ]; then
		id=$(bpftool -j link | jq -r --arg i "$(cat /sys/class/net/cwp1/ifindex)" '[.[]|select(.type=="tcx" and (.ifindex|tostring)==$i or .devname=="cwp1")][0].id')
		bpftool link detach id "$id"
		r=$?
	else
		pref=$(tc -j filter show dev cwp1 ingress | jq -r '[.[]|select(.kind=="bpf" and (.options|has("bpf_name")))][0].pref')
		tc filter del dev cwp1 ingress pref "$pref"
		r=$?
	fi
	same "$hook: removed by hand" 0 $r
	t0=$("$T" clock)
	until_true 3 test_repaired "$n0"
	within "$hook: back within 1 s (ms)" 0 1000 $((($("$T" clock) - t0) / 1000))
	until_true 2 guards_up 2
	same "$hook: guards again" timeout "$(t p1 tcp "$(v4 p2)" 9090 200)"
	like "$hook: reported" "cwp1" "$(get '/v1/events?reason=repaired' | jq -r '.items[].text')"
	if [ $hook = clsact ]; then
		# The whole qdisc, foreign filters and all: ours comes back.
		n0=$(counters repaired)
		tc qdisc del dev cwp2 clsact
		until_true 3 test_repaired "$n0"
		until_true 2 guards_up 2
		same "clsact: guards again after the qdisc went" timeout "$(t p1 tcp "$(v6 p2)" 9090 200)"
	fi
	daemon_stop
	"$BUILD/bin/cellwalld" --config $W/cellwalld.yaml --set paths.pins=/run/bpf/cw --set paths.state=$W/state --uninstall >/dev/null
	same "$hook: after uninstalling it is the foreign filters' alone" "1 1" "$(foreign ingress) $(foreign egress)"
	same "$hook: and everything else passes" ok "$(t p1 tcp "$(v4 p2)" 9090 1000)"
	same "$hook: no program of ours" 0 "$(tc filter show dev cwp1 ingress | grep -c cw_)"
done
