# shellcheck shell=bash
# Thousands of rules: they take effect at once, one more is a small change, and none is slow on the way.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 9090 7001
daemon_start maps.addresses=65536
wl 1 shop web; wl 2 shop cart
wait_guards 2
N=3000
for k in $(seq $N); do
	printf -- '---\napiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: r%d}\nspec: {action: allow, from: [{namespace: shop}], to: [{cidr: 198.%d.%d.%d/32}], ports: [tcp/%d]}\n' \
		$k $((18 + k % 2)) $((k / 250 % 250)) $((k % 250)) $((1024 + k))
done >$W/rules.yaml
jq -Rsc '{documents:[{file:"rules.yaml",text:.}]}' $W/rules.yaml >$W/body.json
t0=$("$T" clock)
post /v1/rules/apply "@$W/body.json" >$W/plan.json || not_ok "refused: $(head -c 400 $W/plan.json)"
within "$N rules applied (ms)" 0 15000 $((($("$T" clock) - t0) / 1000))
same "all of them" "$N" "$(jq .counts.add $W/plan.json)"
mode ns/shop enforce
same "blocked" timeout "$(t p1 tcp "$(v4 p2)" 8080 300)"
t0=$("$T" clock)
rule one allow '{namespace: shop, labels: {app: web}}' '{namespace: shop, labels: {app: cart}}' 'tcp/8080'
t1=$("$T" clock)
same "one more is in force" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
within "one more among $N (ms, request and all)" 0 2000 $(((t1 - t0) / 1000))
note "receipt: $(get '/v1/changes?limit=1' | jq -c '.items[0].receipts')"
daemon_stop
t0=$("$T" clock)
daemon_again
until_true 8 in_force
within "restart with $N rules (ms)" 0 8000 $((($("$T" clock) - t0) / 1000))
same "still so" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
