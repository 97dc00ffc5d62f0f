# shellcheck shell=bash
# The daemon dies again and again at any point between reading and committing, while distinct
# accesses come: none is lost, none is counted twice.
node_up
for n in 1 2; do pod_up $n; done
daemon_start learn.drain=100ms maps.accesses=8192 learn.scan.ports=65535
wl 1 shop web; wl 2 shop cart
wait_guards 2
serve p2 8080 9090
rule base allow '{namespace: shop}' '{namespace: shop}' 'udp/2000-8000, tcp/8080, udp/8080'
mode ns/shop enforce
count_start a p1 eth0
count_start b p2 eth0
bg p1 send 1 "$(v4 p2)" 8080 1000000 32 500 50001 >$W/s1 &
P1=$!
bg p1 send 2 "$(v6 p2)" 9090 1000000 32 500 50002 >$W/s2 &
P2=$!
bg p1 connects "$(v6 p2)" 8080 3000 >$W/connects &
P3=$!
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
kill -TERM $P1 $P2 $P3
wait $P1 $P2 $P3
count_stop a
count_stop b
same "allowed: as many arrived as were sent" "$(out_of a 1)" "$(in_of b 1)"
same "allowed: all answers came back" "$(out_of b 1)" "$(in_of a 1)"
same "blocked: none arrived of $(out_of a 2)" 0 "$(in_of b 2)"
like "connections: none failed ($(cat $W/connects))" " bad 0" "$(cat $W/connects)"
drain
get /v1/accesses >$W/acc.json
q() { jq -r "[.items[]|select(.port|startswith(\"udp/\"))|select(.port!=\"udp/8080\" and .port!=\"udp/9090\")]|$1" $W/acc.json; }
same "every distinct access is there after 12 deaths" $N "$(q '[.[].port]|unique|length')"
same "none twice" $N "$(q length)"
same "one flow each" $N "$(q '[.[].flows]|add')"
same "packets" "$(out_of a 0)" "$(q '[.[].packets]|add')"
same "nothing lost" "0 0" "$(counters accesses.lost) $(get /v1/status | jq .loss)"
same "each dropped packet once" "$(out_of a 2)" \
	"$(get "/v1/accesses/$(jq -r '.items[]|select(.port=="udp/9090").id' $W/acc.json)" | jq .counts.egress.block)"
same "one set of maps is left" 1 "$(find /run/bpf/cw -maxdepth 2 -name 'v*-*-*' | wc -l)"
