# shellcheck shell=bash
# A quarantined workload that goes on sending hard gets a shield at XDP, which goes when it is let go.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 9090
daemon_start quarantine.shieldPackets=2000
wl 1 shop web; wl 2 shop cart
wait_guards 2
same "before" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
shielded() { [ -n "$(ip -j link show cwp1 | jq -r '.[0].xdp // empty')" ]; }
not_shielded() { ! shielded; }
check "no shield without need" not_shielded
quarantine shop/pod/p1
count_start c p2 eth0
bg p1 send 1 "$(v4 p2)" 8080 10000000 32 20 >$W/s &
S=$!
check "a flood raises the shield within 4 s" until_true 4 shielded
sleep 0.5
same "cut off behind the shield" timeout "$(t p1 tcp "$(v6 p2)" 8080 200)"
kill -TERM $S
wait $S
count_stop c
same "nothing arrived of $(cat $W/s)" 0 "$(in_of c 1)"
daemon_kill
same "cut off without the daemon" timeout "$(t p1 tcp "$(v4 p2)" 8080 200)"
daemon_again
until_true 5 in_force
same "cut off after the restart" timeout "$(t p1 tcp "$(v6 p2)" 8080 200)"
release shop/pod/p1
check "the shield goes with the quarantine" until_true 4 not_shielded
same "released" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
# Exceptions of a quarantine hold behind the shield too.
must_post /v1/quarantines "{\"ref\":\"shop/pod/p1\",\"reason\":\"test\",\"allow\":[{\"cidr\":\"$(v4 p2)/32\",\"ports\":[\"tcp/8080\"]}]}"
same "the exception passes" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
same "no more than it" timeout "$(t p1 tcp "$(v4 p2)" 9090 200)"
bg p1 send 2 "$(v6 p2)" 8080 10000000 32 20 >$W/s &
S=$!
sleep 1.5
same "the exception passes under a flood" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
kill -TERM $S
wait $S
