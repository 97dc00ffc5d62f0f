# shellcheck shell=bash
# Quarantine: both ways, in any mode, at once, and without the daemon.
node_up
for n in 1 2; do pod_up $n; done
serve p1 8080
serve p2 8080
daemon_start
wl 1 shop web; wl 2 shop cart
wait_guards 2
for m in learn off; do
	mode ns/shop $m
	count_start q p2 eth0
	bg p1 send 1 "$(v4 p2)" 9 200000 32 1000 >$W/sent &
	S=$!
	sleep 0.5
	t0=$("$T" clock)
	quarantine shop/pod/p1
	t1=$("$T" clock)
	within "mode $m: in force within 1 s (ms)" 0 1000 $(((t1 - t0) / 1000))
	sleep 0.2
	kill -TERM $S
	wait $S
	count_stop q
	note "delivered $(in_of q 1) of: $(cat $W/sent)"
	same "mode $m: cut off going out" timeout "$(t p1 tcp "$(v4 p2)" 8080 300)"
	same "mode $m: cut off going out v6" timeout "$(t p1 tcp "$(v6 p2)" 8080 300)"
	same "mode $m: cut off coming in" timeout "$(t p2 tcp "$(v4 p1)" 8080 300)"
	same "mode $m: ping" "answered 0 of 1" "$(t p2 ping "$(v6 p1)" 1 300)"
	[ $m = learn ] || break
	release shop/pod/p1
	same "released" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
done
daemon_kill
same "without the daemon: out" timeout "$(t p1 tcp "$(v4 p2)" 8080 300)"
same "without the daemon: in" timeout "$(t p2 tcp "$(v6 p1)" 8080 300)"
count_start r p2 eth0
like "sent while the daemon is dead" "sent 5000" "$(t p1 send 2 "$(v4 p2)" 9 5000)"
count_stop r
same "none delivered while the daemon is dead" 0 "$(in_of r 2)"
daemon_again
same "still cut off after the restart" timeout "$(t p1 tcp "$(v4 p2)" 8080 300)"
wait_guards 2
same "still cut off after taking over" timeout "$(t p1 tcp "$(v6 p2)" 8080 300)"
release shop/pod/p1
same "released after the restart" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
