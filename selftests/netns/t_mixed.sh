# shellcheck shell=bash
# A daemon of role `all` that takes the agent of another node as well: its own node is joined directly, the
# other over the wire, and both are one cluster.
node_up
ip netns add nb
quiet_v6 ip netns exec nb
ip -n nb link set lo up
ip netns exec nb sysctl -qw net.ipv4.ip_forward=1
ip -n nb link add br0 type bridge mcast_snooping 0
ip -n nb link set br0 up
ip -n nb addr add 10.99.0.2/24 dev br0
ip link add cwnb type veth peer name up0 netns nb
ip link set cwnb master cwbr0 up
ip -n nb link set up0 master br0 up
pod_up 1
ip netns add p3
quiet_v6 ip netns exec p3
ip -n p3 link set lo up
ip -n nb link add cwp3 type veth peer name eth0 netns p3
ip -n nb link set cwp3 master br0 up
ip -n p3 link set eth0 up
ip -n p3 addr add 10.99.0.13/24 dev eth0
ip -n p3 route add default via 10.99.0.2
serve p1 8080
serve p3 8080

daemon_start 'controller.listen=["10.99.0.1:7946"]'
mkdir -p $W/pki
"$BUILD/bin/cellwalld" --config /dev/null --set paths.state=$W/state --out $W/pki --issue-cert node n2 >/dev/null || bail "no certificate"
ip netns exec nb "$BUILD/bin/cellwalld" --config /dev/null --role agent --set node=n2 --set paths.state=$W/n2 \
	--set paths.pins=/run/bpf/n2 --set api.socket=/run/w/n2.sock --set 'controller.address=["10.99.0.1"]' \
	--set controller.tls.ca=$W/pki/ca.crt --set controller.tls.cert=$W/pki/n2.crt --set controller.tls.key=$W/pki/n2.key \
	--set maps.flows=65536 --set maps.rows=262144 --set maps.addresses=4096 --set maps.groups=1024 --set maps.endpoints=256 \
	--set learn.drain=200ms >>$W/n2.log 2>&1 &
AGENT=$!
nodes_are() { [ "$(get /v1/nodes | jq -r '[.items[]|"\(.name) \(.state) \(.local)"]|sort|join(", ")')" = "$1" ]; }
until_true 20 nodes_are "n1 current true, n2 current false" || bail "nodes: $(get /v1/nodes | jq -c .items) $(tail -2 $W/n2.log)"
ok "its own node and the other are both there"
wl 1 shop web >/dev/null
must_post /v1/workloads '{"namespace":"data","name":"p3","netns":"p3","node":"n2","labels":{"app":"db"},"controller":{"kind":"Deployment","name":"db"}}' >/dev/null
until_true 15 guards_up 2 || bail "guards: $(get /v1/guards | jq -c .items)"
same "guards say on which node" "n1 n2" "$(get /v1/guards | jq -r '[.items[].node]|sort|join(" ")')"
known() { [ "$(get /v1/workloads | jq '[.items[]|select(.addresses|length>0)]|length')" = 2 ]; }
until_true 10 known || bail "addresses"
until_true 10 nodes_are "n1 current true, n2 current false"
for _ in 1 2 3; do same "learn: p1 -> p3" ok "$(t p1 tcp 10.99.0.13 8080 1000)"; done
flows_are() { [ "$(get /v1/accesses | jq '[.items[]|select(.src=="shop/deploy/web" and .dst=="data/deploy/db")|.flows]|add // 0')" = "$1" ]; }
drain
until_true 10 flows_are 3
sleep 0.5
check "three flows are three" flows_are 3
mode ns/data enforce >/dev/null
mode ns/shop enforce >/dev/null
until_true 10 nodes_are "n1 current true, n2 current false"
same "enforce at the remote end and here" timeout "$(t p1 tcp 10.99.0.13 8080 300)"
same "and the other way" timeout "$(t p3 tcp 10.99.0.11 8080 300)"
rule web-db allow '{namespace: shop, labels: {app: web}}' '{namespace: data, labels: {app: db}}' 'tcp/8080' >/dev/null
until_true 10 nodes_are "n1 current true, n2 current false"
same "with a rule" ok "$(t p1 tcp 10.99.0.13 8080 1000)"
kill -TERM $AGENT
wait $AGENT
until_true 10 nodes_are "n1 current true, n2 lost false" && ok "a node that is away is lost" || not_ok "nodes: $(get /v1/nodes | jq -c .items)"
same "and enforces" timeout "$(t p3 tcp 10.99.0.11 8080 300)"
daemon_stop
if grep -a 'handles open' $W/daemon.log $W/n2.log; then not_ok "something was left open"; fi
