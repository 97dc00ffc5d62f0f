# shellcheck shell=bash
# The verdict table over a switch in user space that takes frames by packet sockets: the real Open
# vSwitch with its netdev data path. From the workload the verdict is at XDP, to it at TC.
. selftests/netns/net.sh
for x in ovsdb-server ovs-vswitchd ovs-vsctl ovsdb-tool; do
	PATH=$PATH:/usr/sbin command -v $x >/dev/null || { skip "no Open vSwitch here: $x is missing"; finish; }
done
command -v ethtool >/dev/null || { skip "no ethtool here"; finish; }
export OVS_RUNDIR=/run/ovs OVS_LOGDIR=/run/ovs OVS_DBDIR=/run/ovs OVS_SYSCONFDIR=/run/ovs PATH=$PATH:/usr/sbin
mkdir -p $OVS_RUNDIR
node_up
ovsdb-tool create $OVS_RUNDIR/conf.db /usr/share/openvswitch/vswitch.ovsschema || bail "no database"
ovsdb-server $OVS_RUNDIR/conf.db --remote=punix:$OVS_RUNDIR/db.sock >$OVS_RUNDIR/db.log 2>&1 &
vsctl() { ovs-vsctl --db=unix:$OVS_RUNDIR/db.sock "$@"; }
until_true 5 vsctl --no-wait --timeout=2 init || bail "no ovsdb-server: $(tail -3 $OVS_RUNDIR/db.log)"
ovs-vswitchd unix:$OVS_RUNDIR/db.sock --disable-system >$OVS_RUNDIR/vswitchd.log 2>&1 &
if ! vsctl --timeout=10 add-br cwovs -- set bridge cwovs datapath_type=netdev 2>$W/err; then
	skip "this Open vSwitch has no netdev data path here: $(head -c 200 $W/err)"
	finish
fi
for n in 1 2 3 4; do
	ip netns add p$n
	quiet_v6 ip netns exec p$n
	ip -n p$n link set lo up
	ip link add cwp$n type veth peer name eth0 netns p$n
	ip link set cwp$n up
	ip -n p$n link set eth0 up
	ip netns exec p$n ethtool -K eth0 tx off >/dev/null # it forwards frames as they are
	ip -n p$n addr add 10.99.0.1$n/24 dev eth0
	ip -n p$n addr add fd99::1$n/64 dev eth0 nodad
done
for n in 2 3 4; do serve p$n 8080; done
vsctl --timeout=10 add-port cwovs cwp2 -- add-port cwovs cwp3 -- add-port cwovs cwp4 || bail "no ports"
daemon_start guard.probe=1s
net_workloads
# The port of p1 comes when the workload is attached already: found without anybody saying so.
wait_guards 4
check "before it is a port" until_true 5 guard_is p1 "tcx host guarded"
vsctl --timeout=10 add-port cwovs cwp1
check "found to be a port of a switch" until_true 5 guard_is p1 "xdp host / tcx host guarded"
net_rules
check "traffic goes through the switch" until_true 10 reaches p2
verdict_table
same "wired to" "switch switch switch switch" "$(get /v1/guards | jq -r '[.items[].wiring]|join(" ")')"
for w in fromPod toPod; do
	check "proved by probe packets, $w" until_true 10 is_proved p1 $w
done
no_tc() { ! bpftool net show dev cwp1 2>/dev/null | grep -q tcx/ingress; }
check "what TC cannot stop is not left there" until_true 5 no_tc

# Killed and started again under a flood that nothing allows: not one packet passes.
mode ns/shop enforce
mode ns/data off
count_start c p4 eth0
bg p1 send 7 "$(v4 p4)" 8080 10000000 32 200 >$W/s &
S=$!
sleep 0.3
daemon_kill
sleep 0.5
same "cut off without the daemon" drop "$(cell p3 tcp 4)"
daemon_again
until_true 10 in_force
sleep 0.5
kill -TERM $S
wait $S
count_stop c
same "nothing arrived of $(cat $W/s)" 0 "$(in_of c 7)"
check "guarded as before" until_true 5 guard_is p1 "xdp host / tcx host guarded"
mode ns/shop off
same "and released" pass "$(cell p3 tcp 4)"

# The switch goes: back to TC.
mode ns/shop enforce
vsctl --timeout=10 del-port cwovs cwp1
check "no port any more: judged at TC" until_true 5 guard_is p1 "tcx host guarded"
no_xdp() { [ -z "$(ip -j link show cwp1 | jq -r '.[0].xdp // empty')" ]; }
check "and the XDP program is gone" until_true 5 no_xdp

# Taken off the node while it judges at XDP: nothing of it is left.
vsctl --timeout=10 add-port cwovs cwp1
check "a port again" until_true 5 guard_is p1 "xdp host / tcx host guarded"
daemon_stop
"$BUILD/bin/cellwalld" --config $W/cellwalld.yaml --set paths.state=$W/state --set paths.pins=/run/bpf/cw --uninstall >$W/out 2>&1 ||
	not_ok "uninstall: $(head -c 300 $W/out)"
check "uninstalled: no XDP program is left" no_xdp
same "and no pin" 0 "$(find /run/bpf/cw -type f 2>/dev/null | wc -l)"
same "and all passes" pass "$(cell p3 tcp 4)"
