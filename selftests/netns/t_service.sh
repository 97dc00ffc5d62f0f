# shellcheck shell=bash
# A service address translated by the node: judged at the source by the address that is asked for,
# at the destination by the workload that answers; replies and path errors belong to the flow.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090
command -v nft >/dev/null && nft add table ip cwt 2>/dev/null || { skip "no nft here"; finish; }
nft 'add chain ip cwt pre { type nat hook prerouting priority -100; }' &&
	nft 'add rule ip cwt pre ip daddr 10.96.0.1 tcp dport 80 dnat to 10.99.0.12:8080' &&
	nft 'add rule ip cwt pre ip daddr 10.96.0.2 tcp dport 80 dnat to 10.99.0.12:9090' || { skip "no NAT here"; finish; }
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || { skip "no bridge filtering here"; finish; }
daemon_start 'clusterCIDRs=[10.99.0.0/24, 10.96.0.0/16, "fd99::/64"]'
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3
same "learn: through the service" ok "$(t p1 tcp 10.96.0.1 80 1000)"
rule pods allow '{namespace: shop}' '{namespace: shop, labels: {app: cart}}' 'tcp/8080'
mode ns/shop enforce
same "a rule for the workload alone does not name the service address" timeout "$(t p1 tcp 10.96.0.1 80 300)"
rule svc allow '{namespace: shop}' '{cidr: 10.96.0.0/16}' 'tcp/80'
same "with the service address" ok "$(t p1 tcp 10.96.0.1 80 1000)"
same "the destination's own rules still hold" timeout "$(t p1 tcp 10.96.0.2 80 300)"
same "for strangers too" timeout "$(t p3 tcp 10.96.0.1 80 300)"
access_lines | cut -d' ' -f1-3,6,7 >$W/got
note "$(tr '\n' ';' <$W/got)"
like "the workload that answered is recorded" "shop/deploy/web shop/deploy/cart tcp/8080" "$(cat $W/got)"
