# shellcheck shell=bash
# Two nodes with an agent each and a controller without privileges, over the wire: learning, enforcing, the
# controller and an agent killed, the network cut, certificates of others.
node_up
CA_SOCK=/run/w/n1.sock CB_SOCK=/run/w/n2.sock
# The second node: a bridge of its own in a namespace, on the same link; the controller beside them.
for n in nb ctl; do
	ip netns add $n
	quiet_v6 ip netns exec $n
	ip -n $n link set lo up
done
ip netns exec nb sysctl -qw net.ipv4.ip_forward=1
ip -n nb link add br0 type bridge mcast_snooping 0
ip -n nb link set br0 up
ip -n nb addr add 10.99.0.2/24 dev br0
ip link add cwnb type veth peer name up0 netns nb
ip link set cwnb master cwbr0 up
ip -n nb link set up0 master br0 up
ip link add cwctl type veth peer name eth0 netns ctl
ip link set cwctl master cwbr0 up
ip -n ctl link set eth0 up
ip -n ctl addr add 10.99.0.99/24 dev eth0
pod_up 1
pod_up 2
for n in 3 4; do
	ip netns add p$n
	quiet_v6 ip netns exec p$n
	ip -n p$n link set lo up
	ip -n nb link add cwp$n type veth peer name eth0 netns p$n
	ip -n nb link set cwp$n master br0 up
	ip -n p$n link set eth0 up
	ip -n p$n addr add 10.99.0.1$n/24 dev eth0
	ip -n p$n route add default via 10.99.0.2
done
serve p1 8080
serve p3 8080 8081

# ---- parts ------------------------------------------------------------------------------------------------
CTL='--set paths.state=/run/w/ctl --set api.socket=/run/w/ctl/api.sock --set node=boss --role controller'
CTL_SETS=(--set 'controller.listen=["10.99.0.99:7946"]' --set 'controller.names=[boss.example]' --set 'clusterCIDRs=[10.99.0.0/24, "fd99::/64"]'
	--set 'api.writeUIDs=[0]')
SOCK=/run/w/ctl/api.sock
install -d -o 65534 -g 65534 -m 755 /run/w/ctl
unpriv() { setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set -all --inh-caps -all "$@"; }
controller_start() {
	# shellcheck disable=SC2086
	ip netns exec ctl setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set -all --inh-caps -all \
		"$BUILD/bin/cellwalld" --config /dev/null $CTL "${CTL_SETS[@]}" >>$W/daemon.log 2>&1 &
	CONTROLLER=$!
	until_true 20 controller_up || bail "the controller does not answer"
}
controller_up() { curl -sf --unix-socket $SOCK http://localhost/v1/version >/dev/null; }
declare -A AGENT
agent_start() { # n1|n2 [KEY=VALUE...]
	local n=$1 pre=() sets=() kv
	shift
	[ "$n" = n1 ] || pre=(ip netns exec nb)
	for kv in "$@"; do sets+=(--set "$kv"); done
	"${pre[@]}" "$BUILD/bin/cellwalld" --config /dev/null --role agent --set node="$n" --set paths.state=$W/"$n" \
		--set paths.pins=/run/bpf/"$n" --set api.socket=/run/w/"$n".sock \
		--set 'controller.address=["10.99.0.98:7946", "10.99.0.99:7946"]' --set controller.tls.ca=$W/pki/ca.crt \
		--set controller.tls.cert=$W/pki/"$n".crt --set controller.tls.key=$W/pki/"$n".key \
		--set maps.flows=65536 --set maps.rows=262144 --set maps.addresses=4096 --set maps.groups=1024 \
		--set maps.endpoints=256 --set learn.drain=200ms "${sets[@]}" >>$W/"$n".log 2>&1 &
	AGENT[$n]=$!
	until_true 20 agent_answers "$n" || { tail -5 $W/"$n".log | sed 's/^/# log: /'; bail "agent $n does not answer"; }
}
ask() { curl -s --max-time 10 --unix-socket /run/w/"$1".sock "http://localhost$2"; }
agent_answers() { [ "$(ask "$1" /v1/version | jq -r .kind)" = Version ]; }
link_is() { [ "$(ask "$1" /v1/status | jq -r .link.state)" = "$2" ]; }
in_sync() { [ "$(ask "$1" /v1/status | jq -r "\"\(.link.state) \(.link.applied) \(.generation)\"")" = "connected true $(get /v1/status | jq .generation)" ]; }
both_in_sync() { in_sync n1 && in_sync n2; }
spool_empty() { [ "$(ask "$1" /v1/status | jq .link.spool.rows)" = 0 ]; }
declare_wl() { # N NODE NS APP
	must_post /v1/workloads "$(jq -nc --arg n "p$1" --arg node "$2" --arg ns "$3" --arg app "$4" \
		'{namespace:$ns,name:$n,netns:$n,node:$node,labels:{app:$app},controller:{kind:"Deployment",name:$app}}')" >/dev/null
}
agent_guards() { [ "$(ask "$1" /v1/guards | jq '[.items[]|select(.state!="blind")]|length')" = "$2" ]; }
# flows_of SRC DST PORT: as the controller counts them
flows_of() { get /v1/accesses | jq --arg s "$1" --arg d "$2" --arg p "$3" '[.items[]|select(.src==$s and .dst==$d and .port==$p)|.flows]|add // 0'; }
counted() { # SRC DST PORT N
	[ "$(flows_of "$1" "$2" "$3")" = "$4" ]
}

# ---- certificates by hand -----------------------------------------------------------------------------------
mkdir -p $W/pki $W/other
for n in n1 n2; do
	# shellcheck disable=SC2086
	unpriv "$BUILD/bin/cellwalld" --config /dev/null $CTL --out /run/w/ctl --issue-cert node $n >/dev/null || bail "no certificate for $n"
	mv /run/w/ctl/$n.crt /run/w/ctl/$n.key $W/pki/
done
mv /run/w/ctl/ca.crt $W/pki/
same "keys are private" 600 "$(stat -c %a $W/pki/n1.key)"
"$BUILD/bin/cellwalld" --config /dev/null --set paths.state=$W/other --out $W/other --issue-cert node n1 >/dev/null

# ---- learn -> confirm -> enforce ------------------------------------------------------------------------------
controller_start
same "the controller runs without capabilities" 0000000000000000 "$(awk '/^CapEff/ {print $2}' /proc/$CONTROLLER/status)"
agent_start n1
agent_start n2
until_true 10 link_is n1 connected || bail "n1 does not connect: $(ask n1 /v1/status | jq -c .link)"
until_true 10 link_is n2 connected || bail "n2 does not connect: $(ask n2 /v1/status | jq -c .link)"
ok "both agents are connected, past an address where nobody is"
declare_wl 1 n1 shop web
declare_wl 2 n1 shop cart
declare_wl 3 n2 data db
declare_wl 4 n2 data job
until_true 15 agent_guards n1 2 || bail "guards of n1: $(ask n1 /v1/guards | jq -c .items) $(get /v1/status | jq -c .node)"
until_true 15 agent_guards n2 2 || bail "guards of n2: $(ask n2 /v1/guards | jq -c .items)"
addresses_known() { [ "$(get /v1/workloads | jq '[.items[]|select(.addresses|length>0)]|length')" = 4 ]; }
until_true 10 addresses_known || bail "addresses: $(get /v1/workloads | jq -c '[.items[]|[.name,.addresses]]')"
until_true 10 both_in_sync || bail "not in sync"
for _ in 1 2 3 4 5; do
	same "learn: p1 -> p3 across nodes" ok "$(t p1 tcp 10.99.0.13 8080 1000)"
done
same "learn: p2 -> p1 on one node" ok "$(t p2 tcp 10.99.0.11 8080 1000)"
same "learn: p4 -> p3 on the other" ok "$(t p4 tcp 10.99.0.13 8080 1000)"
until_true 10 counted shop/deploy/cart shop/deploy/web tcp/8080 1 || not_ok "p2 -> p1: $(get /v1/accesses | jq -c '[.items[]|[.src,.dst,.port,.flows]]')"
until_true 10 counted shop/deploy/web data/deploy/db tcp/8080 5
sleep 1
same "5 flows across nodes are 5, though both nodes count them" 5 "$(flows_of shop/deploy/web data/deploy/db tcp/8080)"
rule web-db allow '{namespace: shop, labels: {app: web}}' '{namespace: data, labels: {app: db}}' 'tcp/8080' >/dev/null
mode ns/shop enforce >/dev/null
mode ns/data enforce >/dev/null
until_true 10 both_in_sync || bail "not in sync after the change: $(ask n1 /v1/status | jq -c .link) $(ask n2 /v1/status | jq -c .link)"
same "enforce: p1 -> p3 by its rule" ok "$(t p1 tcp 10.99.0.13 8080 1000)"
same "enforce: another port of it" timeout "$(t p1 tcp 10.99.0.13 8081 300)"
same "enforce: p2 -> p3" timeout "$(t p2 tcp 10.99.0.13 8080 300)"
same "enforce: p2 -> p1 on one node" timeout "$(t p2 tcp 10.99.0.11 8080 300)"
same "enforce: p4 -> p3 on the other" timeout "$(t p4 tcp 10.99.0.13 8080 300)"

# ---- addresses that only the node itself knows of: of an overlay, say ---------------------------------------------
rule node-web allow '{reserved: remote-node}' '{namespace: shop, labels: {app: web}}' 'tcp/8080' >/dev/null
until_true 10 both_in_sync || bail "not in sync after the rule"
node_reaches() { [ "$(t nb tcp 10.99.0.11 8080 300)" = ok ]; }
until_true 5 node_reaches && ok "the other node is one, by the address of its bridge" || not_ok "from 10.99.0.2: $(get /v1/accesses | jq -c '[.items[]|[.src,.dst,.port]]')"
ip -n nb link add vx0 type bridge mcast_snooping 0
ip -n nb route add 10.99.0.11/32 dev br0 src 10.99.0.2
ip -n nb link set vx0 up
ip -n nb addr add 10.99.0.200/32 dev vx0
ip -n nb route replace 10.99.0.11/32 dev br0 src 10.99.0.200
until_true 10 node_reaches && ok "and by one that comes while it runs" || not_ok "from 10.99.0.200: $(get /v1/accesses | jq -c '[.items[]|[.src,.dst,.port]]')"
same "not to another port" timeout "$(t nb tcp 10.99.0.11 8081 300)"
drain
until_true 5 counted remote-node shop/deploy/web tcp/8080 2 || not_ok "remote-node: $(get /v1/accesses | jq -c '[.items[]|[.src,.dst,.port,.flows]]')"
ip -n nb route add 10.99.0.14/32 dev br0 src 10.99.0.200
t nb tcp 10.99.0.14 9 300 >/dev/null
drain
host_seen() { [ "$(flows_of host data/deploy/job tcp/9)" = 1 ]; }
until_true 5 host_seen && ok "to the node itself it is the host" || not_ok "host: $(get /v1/accesses | jq -c '[.items[]|[.src,.dst,.port,.flows]]')"
ip -n nb addr del 10.99.0.200/32 dev vx0
ip -n nb link del vx0
# Routes go with the address they are from.

# ---- a node's own socket ----------------------------------------------------------------------------------------
same "status of a node says its role" agent "$(ask n1 /v1/status | jq -r .role)"
(bg p1 stream 10.99.0.13 8080 20) >/dev/null &
STREAM=$!
sleep 0.5
like "flows of a node" data/pod/p3 "$(ask n1 /v1/flows | jq -r '.items[]|.dst')"
same "rules are at the controller" server.elsewhere "$(ask n1 /v1/rules | jq -r '.items[0].name')"
like "and the node says where" 10.99.0.9 "$(ask n1 /v1/rules | jq -r '.items[0].message')"
like "cellwall status works on a node" n1 "$("$BUILD/bin/cellwall" --server unix:///run/w/n1.sock status 2>&1)"
like "and says where its controller is" "10.99.0.99:7946: connected" "$("$BUILD/bin/cellwall" --server unix:///run/w/n1.sock status 2>&1)"
like "cellwall status of the controller counts nodes" "nodes 2: 2 current" "$("$BUILD/bin/cellwall" --server unix://$SOCK status 2>&1)"
like "cellwall node list" "n2" "$("$BUILD/bin/cellwall" --server unix://$SOCK node list 2>&1)"
like "cellwall flows too" tcp/8080 "$("$BUILD/bin/cellwall" --server unix:///run/w/n1.sock flows 2>&1)"
kill $STREAM
wait $STREAM 2>/dev/null

# ---- the controller is killed, the agents go on ------------------------------------------------------------------
drain
sleep 1
base=$(flows_of shop/deploy/web data/deploy/db tcp/8080)
kill -KILL $CONTROLLER
wait $CONTROLLER 2>/dev/null
start=$SECONDS sent=0
bad=0
while [ $((SECONDS - start)) -lt 12 ]; do
	[ "$(t p1 tcp 10.99.0.13 8080 1000)" = ok ] || bad=$((bad + 1))
	sent=$((sent + 1))
	[ "$(t p2 tcp 10.99.0.13 8080 100)" = timeout ] || bad=$((bad + 1))
	sleep 0.2
done
same "verdicts go on without the controller ($sent flows)" 0 $bad
# An agent is killed and started again meanwhile: it enforces from its disk, and nothing passes in between.
kill -KILL "${AGENT[n1]}"
wait "${AGENT[n1]}" 2>/dev/null
same "n1 dead: what is in force stays" timeout "$(t p2 tcp 10.99.0.11 8080 300)"
agent_start n1
same "n1 again, without the controller: from its disk" true "$(ask n1 /v1/status | jq .link.fromDisk)"
until_true 5 agent_guards n1 2 || not_ok "n1 does not guard from its disk: $(ask n1 /v1/guards | jq -c .items)"
bad=0
for _ in 1 2 3 4 5; do
	[ "$(t p2 tcp 10.99.0.11 8080 150)" = timeout ] || bad=$((bad + 1))
	[ "$(t p1 tcp 10.99.0.13 8080 1000)" = ok ] || bad=$((bad + 1))
	sent=$((sent + 1))
done
same "n1 enforces from its disk" 0 $bad
while [ $((SECONDS - start)) -lt 20 ]; do sleep 0.5; done
rows=$(ask n2 /v1/status | jq .link.spool.rows)
within "reports wait on disk" 1 1000 "$rows"
controller_start
until_true 15 both_in_sync || bail "the agents do not come back: $(ask n1 /v1/status | jq -c .link)"
until_true 10 spool_empty n1 || not_ok "n1 keeps reports: $(ask n1 /v1/status | jq -c .link.spool)"
until_true 10 spool_empty n2 || not_ok "n2 keeps reports: $(ask n2 /v1/status | jq -c .link.spool)"
drain
until_true 5 counted shop/deploy/web data/deploy/db tcp/8080 $((base + sent))
same "every flow of that time is counted, once" $((base + sent)) "$(flows_of shop/deploy/web data/deploy/db tcp/8080)"

# ---- the network is cut in the middle of a change -----------------------------------------------------------------
ip link set cwctl down
rule web-db2 allow '{namespace: shop, labels: {app: web}}' '{namespace: data, labels: {app: db}}' 'tcp/8081' >/dev/null
sleep 1
same "cut: not there yet" timeout "$(t p1 tcp 10.99.0.13 8081 300)"
same "cut: the former state holds" ok "$(t p1 tcp 10.99.0.13 8080 1000)"
ip link set cwctl up
until_true 45 both_in_sync || not_ok "after the cut: $(ask n1 /v1/status | jq -c .link)"
same "after the cut: the change is in force" ok "$(t p1 tcp 10.99.0.13 8081 1000)"

# ---- those who are not ours --------------------------------------------------------------------------------------
kill -TERM "${AGENT[n1]}"
wait "${AGENT[n1]}"
cp $W/pki/n1.crt $W/n1.crt
cp $W/pki/n1.key $W/n1.key
cp $W/other/n1.crt $W/other/n1.key $W/pki/
agent_start n1
refused() { [ -n "$(ask n1 /v1/status | jq -r '.link.problem')" ] && ! link_is n1 connected; }
until_true 10 refused && ok "a certificate of another authority is refused" || not_ok "foreign certificate: $(ask n1 /v1/status | jq -c .link)"
same "and the node enforces what it had" timeout "$(t p2 tcp 10.99.0.11 8080 300)"
# The right one again, while it runs.
cp $W/n1.crt $W/n1.key $W/pki/
until_true 30 link_is n1 connected && ok "the right files are taken while it runs" || not_ok "n1: $(ask n1 /v1/status | jq -c .link)"
# The certificate of another node speaks for that node only.
kill -TERM "${AGENT[n1]}"
wait "${AGENT[n1]}"
cp $W/pki/n2.crt $W/pki/n1.crt
cp $W/pki/n2.key $W/pki/n1.key
agent_start n1
until_true 10 refused && like "a node speaks for itself only" "is for n2" "$(ask n1 /v1/status | jq -r .link.problem)"

# ---- a workload goes ------------------------------------------------------------------------------------------------
cp $W/n1.crt $W/n1.key $W/pki/
until_true 30 both_in_sync || not_ok "n1 does not come back"
del /v1/workloads/shop/p2 >/dev/null
until_true 10 agent_guards n1 1 && ok "a workload that is deleted is detached on its node" || not_ok "still guarded: $(ask n1 /v1/guards | jq -c .items)"
for n in n1 n2; do
	kill -TERM "${AGENT[$n]}"
	wait "${AGENT[$n]}"
	same "agent $n stops cleanly" 0 $?
	if grep -aE 'ERROR: (Address|Leak)Sanitizer|runtime error:|handles open' $W/$n.log; then not_ok "agent $n left something open"; fi
done
kill -TERM $CONTROLLER
wait $CONTROLLER
same "the controller stops cleanly" 0 $?
if grep -a 'handles open' $W/daemon.log; then not_ok "the controller left something open"; fi
