# shellcheck shell=bash
# The daemon is killed, restarted and upgraded under load: no packet unjudged, none wrongly
# dropped, flows carried over, counters go on.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 9090
daemon_start "attach.hook=${HOOK:-auto}"
wl 1 shop web; wl 2 shop cart
wait_guards 2
rule base allow '{namespace: shop}' '{namespace: shop}' 'tcp/8080, udp/8080'
mode ns/shop enforce
bg p1 stream "$(v4 p2)" 8080 10 >$W/stream 2>/dev/null &
S=$!
count_start a p1 eth0
count_start b p2 eth0
# Allowed one-way, allowed and answered (v6), blocked: all the time.
bg p1 send 1 "$(v4 p2)" 8080 1000000 32 300 33001 >$W/s1 &
P1=$!
bg p1 send 2 "$(v6 p2)" 8080 1000000 32 300 33002 >$W/s2 &
P2=$!
bg p1 send 3 "$(v4 p2)" 9090 1000000 32 300 33003 >$W/s3 &
P3=$!
# New flows all the time, through every switch: allowed ones, and blocked ones.
bg p1 fresh 4 "$(v4 p2)" 8080 1000000 700 >$W/s4 &
P4=$!
bg p1 fresh 5 "$(v6 p2)" 9090 1000000 700 >$W/s5 &
P5=$!
bg p1 connects "$(v4 p2)" 8080 3000 >$W/connects &
P6=$!
sleep 0.5
daemon_kill
sleep 1
same "enforced without the daemon" timeout "$(t p1 tcp "$(v6 p2)" 9090 200)"
same "allowed without the daemon" ok "$(t p1 tcp "$(v6 p2)" 8080 1000)"
for k in 1 2 3; do
	daemon_again
	until_true 8 in_force
	same "restart $k: in force" true "$(counters inForce)"
	case $k in 1) daemon_kill ;; 2) daemon_stop ;; esac
	[ $k = 3 ] || sleep 0.3
done
if [ ! -x "$BUILD/netns/layout/bin/cellwalld" ]; then
	not_ok "the daemon of another layout is not built (make netns-layout)"
else
	daemon_kill
	CELLWALLD=$BUILD/netns/layout/bin/cellwalld daemon_again
	until_true 8 in_force
	same "upgrade to another map layout: in force" true "$(counters inForce)"
	note "$(grep 'took over' $W/daemon.log | tail -1)"
fi
sleep 0.5
kill -TERM $P1 $P2 $P3 $P4 $P5 $P6 $S
wait $P1 $P2 $P3 $P4 $P5 $P6 $S
count_stop a
count_stop b
note "$(cat $W/s1 $W/s2 $W/s3 | tr '\n' ' ')"
same "one-way flow: as many arrived as were sent" "$(out_of a 1)" "$(in_of b 1)"
same "IPv6 flow: as many arrived as were sent" "$(out_of a 2)" "$(in_of b 2)"
same "IPv6 flow: all answers came back" "$(out_of b 2)" "$(in_of a 2)"
same "blocked flow: none arrived of $(out_of a 3)" 0 "$(in_of b 3)"
same "new flows: as many arrived as were sent" "$(out_of a 4)" "$(in_of b 4)"
same "new flows: all answers came back" "$(out_of b 4)" "$(in_of a 4)"
same "new blocked flows: none arrived of $(out_of a 5)" 0 "$(in_of b 5)"
like "new connections: none failed ($(cat $W/connects))" " bad 0" "$(cat $W/connects)"
like "the standing connection lived on" "ok sent" "$(cat $W/stream)"
note "$(cat $W/stream); $(grep 'took over' $W/daemon.log | tail -3 | tr '\n' ' ')"
x=$(sed 's/.*sent \([0-9]*\) echoed \([0-9]*\) .*/\1 \2/' $W/stream)
read -r s e <<<"$x"
within "the standing connection lost nothing" 0 1 $((s - e))
# Exactly once over all restarts: the store against the generators.
drain
get /v1/accesses >$W/acc.json
f() { jq -r --arg p "$1" --arg k "$2" '[.items[]|select(.port==$p and .egress!="-")|.[$k]]|add' $W/acc.json; }
sent=$(($(out_of a 1) + $(out_of a 2) + $(out_of a 4)))
note "accesses: $(jq -c '[.items[]|{port,flows,packets,egress}]' $W/acc.json)"
back=$(($(in_of a 1) + $(in_of a 2) + $(in_of a 4)))
# A packet that is between its two hooks when the set is replaced may be counted by both: one of each of the
# three generators, each way.
within "packets of the allowed access in the store, both ways" $((sent + back)) $((sent + back + 6 * $(grep -c 'took over' $W/daemon.log))) "$(f udp/8080 packets)"
# A flow that is opened while the set is replaced may be counted by both sets, never by none.
late=$(grep -o 'late=[0-9]*' $W/daemon.log | awk -F= '{n += $2} END {print n + 0}')
conns=$(sed 's/good \([0-9]*\).*/\1/' $W/connects)
within "each connection in the store once" $((conns + 2)) $((conns + 3 + late)) "$(f tcp/8080 flows)"
within "each datagram flow in the store once" $((2 + $(out_of a 4))) $((2 + late + $(out_of a 4))) "$(f udp/8080 flows)"
drops=$(get "/v1/accesses/$(jq -r '.items[]|select(.port=="udp/9090").id' $W/acc.json)" | jq .counts.egress.block)
same "each dropped packet is in the store once" $(($(out_of a 3) + $(out_of a 5))) "$drops"
