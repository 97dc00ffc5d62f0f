# shellcheck shell=bash
# As many distinct accesses as a share holds, at full socket rate, with a tiny event ring: none
# is lost, and the figures are exact. Beyond the share: exact fold counts.
node_up
for n in 1 2 3; do pod_up $n; done
daemon_start events.bytes=4096 maps.accesses=16384 learn.accessesPerWorkload=4096 learn.pairsPerWorkload=64 \
	learn.scan.ports=65535 learn.scan.peers=65535
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3
N=4000
count_start a p1 eth0
r=$(t p1 flood "$(v4 p2)" 1000 $N 10)
# One more, from another workload.
same "a single access beside the flood" "answered 0 of 1 timeout" "$(t p3 ask "$(v4 p1)" 4242 1 100 | sed 's/refused/timeout/')"
count_stop a
note "$r"
sent=$(sed 's/sent \([0-9]*\).*/\1/' <<<"$r")
same "as many left the pod as were sent" "$sent" "$(out_of a 0)"
drain
get '/v1/accesses?namespace=shop' >$W/acc.json
q() { jq -r "[.items[]|select(.src==\"shop/deploy/web\" and .dst==\"shop/deploy/cart\" and (.port|startswith(\"udp/\")))]|$1" $W/acc.json; }
same "every distinct access is there" $N "$(q length)"
same "each of them once" $N "$(q '[.[].port]|unique|length')"
same "one flow each" $N "$(q '[.[].flows]|add')"
same "packets in the store are those that were sent" "$sent" "$(q '[.[].packets]|add')"
same "nothing lost" "0 0" "$(counters accesses.lost) $(get /v1/status | jq .loss)"
same "the single one is there" 1 "$(get '/v1/accesses?src=data/deploy/db&port=udp/4242' | jq '.items|length')"
lost=$(counters events.lost)
[ "$lost" -gt 0 ] && ok "although $lost announcements were lost in a ring of 4 KiB" || note "the ring kept up"

# Beyond the share: folded, with exact counts. Only one end is a workload.
r=$(t p3 flood "$(v4 out)" 1000 6000 0)
drain
get '/v1/accesses?namespace=data' >$W/acc.json
own=$(jq -r --arg d "$(v4 out)" '[.items[]|select(.dst==$d)]|length' $W/acc.json)
flows=$(jq -r --arg d "$(v4 out)" '[.items[]|select(.dst==$d).flows]|add' $W/acc.json)
folded() { get "/v1/ready?namespace=$1" | jq '[.items[0].items[]|select(.topic=="loss").params.folded]|add'; }
note "own entries $own with $flows flows; loss: $(get /v1/ready | jq -c '[.items[].items[]|select(.topic=="loss")]')"
within "the share got entries of their own" 4000 4096 "$own"
same "what did not fit is counted exactly" $((6000 - own)) "$(folded data)"
same "another namespace is not touched" 0 "$(folded shop)"
same "ready says so" missing "$(get '/v1/ready?namespace=data' | jq -r '.items[0].items[]|select(.topic=="loss").state')"
# Both ends are workloads of this node: the flows are counted at the source, once; what its share
# has no room for gets its name from the destination's.
first=$(folded data)
r=$(t p3 flood "$(v4 p2)" 20000 6000 0)
drain
get '/v1/accesses?src=data/deploy/db&dst=shop/deploy/cart' >$W/acc.json
own=$(jq '[.items[]|select(.port|startswith("udp/"))]|length' $W/acc.json)
flows=$(jq '[.items[]|select(.port|startswith("udp/")).flows]|add' $W/acc.json)
note "both ends: $own own with $flows flows; folded $(folded data) $(folded shop)"
same "each flow is counted exactly once" 6000 $((flows + $(folded data) - first))
same "nothing lost at all" 0 "$(get /v1/status | jq .loss)"
