# shellcheck shell=bash
# Many workloads at once, and workloads that come and go: all guarded, nothing piles up.
node_up
for n in $(seq 1 9); do pod_up $n; done
serve p2 8080 9090
daemon_start
must_post /v1/workloads "$(for n in $(seq 1 9); do
	jq -nc --arg n "p$n" '{namespace:"shop",name:$n,netns:$n,labels:{app:$n},controller:{kind:"Deployment",name:$n}}'
done | jq -sc '{items:.}')"
t0=$("$T" clock)
wait_guards 9
note "9 workloads guarded after $((($("$T" clock) - t0) / 1000)) ms"
rule base allow '{namespace: shop}' '{namespace: shop, labels: {app: p2}}' 'tcp/8080'
mode ns/shop enforce
fds() { find /proc/$DAEMON/fd | wc -l; }
rss() { awk '/VmRSS/ {print $2}' /proc/$DAEMON/status; }
fds0= rss0=
for k in $(seq 12); do
	del /v1/workloads/shop/p9 >/dev/null
	ip netns del p9
	until_true 3 no_link cwp9
	PODS=()
	pod_up 9
	must_post /v1/workloads '{"namespace":"shop","name":"p9","netns":"p9","labels":{"app":"p9"},"controller":{"kind":"Deployment","name":"p9"}}'
	until_true 5 guards_up 9 || not_ok "round $k: not guarded"
	[ "$(t p9 tcp "$(v4 p2)" 8080 3000)" = ok ] || not_ok "round $k: allowed does not pass"
	[ "$(t p9 tcp "$(v6 p2)" 9090 100)" = timeout ] || not_ok "round $k: blocked passes"
	rule "r$k" allow "{cidr: 198.18.$k.0/24}" '{namespace: shop}' "tcp/$((1000 + k))"
	rule_del "r$k"
	if [ $k = 4 ]; then
		sleep 0.5
		fds0=$(fds) rss0=$(rss)
	fi
done
sleep 1
within "descriptors do not pile up" 0 $((fds0 + 3)) "$(fds)"
# A sanitizer keeps what was freed.
[ -n "${ASAN_OPTIONS:-}" ] || within "memory does not pile up (KiB)" 0 $((rss0 + 16384)) "$(rss)"
same "pins of what is there only" 18 "$(find /run/bpf/cw/links -type f | wc -l)"
same "nine guards" 9 "$(get /v1/guards | jq '.items|length')"
same "its access was recorded once, whatever replica" 1 "$(drain; get '/v1/accesses?src=shop/deploy/p9&port=tcp/8080' | jq '.items|length')"
same "every connection was counted" 12 "$(get '/v1/accesses?src=shop/deploy/p9&port=tcp/8080' | jq '[.items[].flows]|add')"
daemon_stop
