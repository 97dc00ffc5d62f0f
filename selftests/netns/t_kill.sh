# shellcheck shell=bash
# The daemon dies again and again at any point between reading and committing, while distinct
# accesses come: none is lost, none is counted twice.
node_up
for n in 1 2; do pod_up $n; done
daemon_start learn.drain=100ms maps.accesses=8192 learn.scan.ports=65535
wl 1 shop web; wl 2 shop cart
wait_guards 2
count_start a p1 eth0
N=0
for k in $(seq 12); do
	t p1 flood "$(v4 p2)" $((2000 + N)) 250 0 >/dev/null
	N=$((N + 250))
	sleep 0.0$((RANDOM % 10))
	daemon_kill
	t p1 flood "$(v6 p2)" $((2000 + N)) 50 0 >/dev/null
	N=$((N + 50))
	daemon_again
	# Die anywhere in the take-over and the first commits.
	sleep 0.$((RANDOM % 3))$((RANDOM % 10))
done
until_true 8 in_force
sleep 0.5
count_stop a
drain
get /v1/accesses >$W/acc.json
q() { jq -r "[.items[]|select(.port|startswith(\"udp/\"))]|$1" $W/acc.json; }
same "every distinct access is there after 12 deaths" $N "$(q '[.[].port]|unique|length')"
same "none twice" $N "$(q length)"
same "one flow each" $N "$(q '[.[].flows]|add')"
same "packets" "$(out_of a 0)" "$(q '[.[].packets]|add')"
same "nothing lost" "0 0" "$(counters accesses.lost) $(get /v1/status | jq .loss)"
same "one set of maps is left" 1 "$(find /run/bpf/cw -maxdepth 2 -name 'v*-*-*' | wc -l)"
