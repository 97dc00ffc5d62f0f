# shellcheck shell=bash
# Services by their definitions: a rule about the pods covers the service address and the other way
# round, node ports too, both families, with the node's own translation behind it.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090
serve p3 8080
command -v nft >/dev/null && nft add table inet cwt 2>/dev/null || { skip "no nft here"; finish; }
nft 'add chain inet cwt pre { type nat hook prerouting priority -100; }' &&
	nft 'add rule inet cwt pre ip daddr 10.96.0.1 tcp dport 80 dnat ip to 10.99.0.12:8080' &&
	nft 'add rule inet cwt pre ip daddr 10.96.0.2 tcp dport 80 dnat ip to numgen inc mod 2 map { 0 : 10.99.0.12, 1 : 10.99.0.13 } : 8080' &&
	nft 'add rule inet cwt pre ip6 daddr fd96::1 tcp dport 80 dnat ip6 to [fd99::12]:8080' || { skip "no NAT here"; finish; }
sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1 2>/dev/null ||
	{ skip "no bridge filtering here"; finish; }
daemon_start
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3
must_post /v1/services '{"items":[
 {"namespace":"shop","name":"cart","addresses":["10.96.0.1","fd96::1"],"ports":[{"name":"http","port":"tcp/80","target":8080}],"selector":{"app":"cart"}},
 {"namespace":"shop","name":"both","addresses":["10.96.0.2"],"ports":[{"port":"tcp/80","target":8080}],
  "backends":[{"address":"10.99.0.12","pod":"p2"},{"address":"10.99.0.13"}]}]}'
settle
same "learn: through the service" ok "$(t p1 tcp 10.96.0.1 80 1000)"
access_lines | cut -d' ' -f1-3 >$W/got
note "$(tr '\n' ';' <$W/got)"
like "learned as the service" "shop/deploy/web shop/svc/cart tcp/80" "$(cat $W/got)"
like "and as the workload that answered" "shop/deploy/web shop/deploy/cart tcp/8080" "$(cat $W/got)"

mode ns/shop enforce
mode ns/data enforce
same "nothing allows it" timeout "$(t p1 tcp 10.96.0.1 80 300)"
rule pods allow '{namespace: shop, labels: {app: web}}' '{namespace: shop, labels: {app: cart}}' 'tcp/8080'
same "a rule about the pods covers the service" ok "$(t p1 tcp 10.96.0.1 80 1000)"
same "over IPv6 too" ok "$(t p1 tcp fd96::1 80 1000)"
same "one of its backends is not allowed" timeout "$(t p1 tcp 10.96.0.2 80 300)"
same "nor that again" timeout "$(t p1 tcp 10.96.0.2 80 300)"
rule_del pods
same "the rule is gone" timeout "$(t p1 tcp 10.96.0.1 80 300)"
rule svc allow '{namespace: shop, labels: {app: web}}' '{namespace: shop, service: cart}, {namespace: shop, service: both}' 'tcp/80'
same "a rule about the service covers it" ok "$(t p1 tcp 10.96.0.1 80 1000)"
same "its backends" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
same "and no other port of theirs" timeout "$(t p1 tcp "$(v4 p2)" 9090 300)"
same "all backends of the other one, once" ok "$(t p1 tcp 10.96.0.2 80 1000)"
same "and twice" ok "$(t p1 tcp 10.96.0.2 80 1000)"
same "others are not meant" timeout "$(t p3 tcp 10.96.0.1 80 300)"
same "the query agrees" true "$(get '/v1/query?src=shop/deploy/web&dst=shop/svc/cart&port=tcp/80' | jq .passes)"
like "and says what stands behind it" shop/pod/p2 "$(get '/v1/query?src=shop/deploy/web&dst=shop/svc/cart&port=tcp/80' | jq -r .via.backend)"
del /v1/services/shop/cart >/dev/null
settle
same "without the service its address is nobody's" timeout "$(t p1 tcp 10.96.0.1 80 300)"
cli() { "$BUILD/bin/cellwall" --server "unix://$SOCK" "$@" 2>&1; }
same "listed with its backends" "shop both 10.96.0.2 tcp/80>8080 2/2" "$(cli service list -n shop --no-headers | tr -s ' ' | sed 's/ *$//')"
like "what stands behind it, by name" "10.99.0.12" "$(cli service show shop/svc/both)"
like "the question names the backend" "service shop/svc/both 10.96.0.2 tcp/80 -> " "$(cli query shop/deploy/web shop/svc/both tcp/80)"
