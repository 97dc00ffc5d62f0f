# shellcheck shell=bash
# Beside other people's filters, and against hands that remove ours: tcx and clsact.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 9090 6666 6667
# A foreign clsact with filters that stood before us.
tc qdisc add dev cwp1 clsact
for d in ingress egress; do
	tc filter add dev cwp1 $d prio 7 protocol all bpf da obj "$BUILD/netns/foreign.bpf.o" sec classifier ||
		bail "no foreign filter"
done
foreign() { tc filter show dev cwp1 "$1" | grep -c '^filter.*pref 7 .*foreign'; }
[ "$(hooks_here)" = "tcx
clsact" ] || skip "only these hooks here: $(hooks_here | tr '\n' ' ')"
for hook in $(hooks_here); do
	rm -rf $W/state
	daemon_start attach.hook=$hook
	wl 1 shop web; wl 2 shop cart
	wait_guards 2
	same "$hook: attached" "$hook host" "$(get /v1/guards | jq -r '[.items[].hook]|unique|join(",")')"
	rule base allow '{namespace: shop}' '{namespace: shop}' 'tcp/8080, udp/8080, udp/6666-6667'
	mode ns/shop enforce
	same "$hook: allowed" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
	same "$hook: blocked" timeout "$(t p1 tcp "$(v6 p2)" 9090 200)"
	same "$hook: what the foreign filter drops we do not let through" "answered 0 of 1 timeout" "$(t p1 ask "$(v4 p2)" 6666 1 200)"
	same "$hook: the same on the way to the pod" "answered 0 of 1 timeout" "$(t p1 ask "$(v4 p2)" 6667 1 200)"
	same "$hook: what it does not know passes" "answered 1 of 1 ok" "$(t p1 ask "$(v6 p2)" 6666 1 500)"

	# Ours taken away: back within 1 s, and reported.
	n0=$(counters repaired)
	if [ $hook = tcx ]; then
		pin=$(find /run/bpf/cw -type f -path '*link*' | sort | head -1)
		bpftool link detach pinned "$pin"
		r=$?
	else
		pref=$(tc filter show dev cwp1 ingress | awk '/cw_/ {for (i = 1; i < NF; i++) if ($i == "pref") print $(i + 1)}' | head -1)
		tc filter del dev cwp1 ingress pref "$pref"
		r=$?
	fi
	same "$hook: removed by hand" 0 $r
	t0=$("$T" clock)
	until_true 3 test_repaired "$n0"
	within "$hook: back within 1 s (ms)" 0 1000 $((($("$T" clock) - t0) / 1000))
	until_true 2 guards_up 2
	same "$hook: guards again" timeout "$(t p1 tcp "$(v4 p2)" 9090 200)"
	like "$hook: reported" "removed by somebody else" "$(get '/v1/events?reason=repaired' | jq -r '.items[].text')"
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
