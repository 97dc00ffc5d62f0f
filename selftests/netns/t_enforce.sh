# shellcheck shell=bash
# Enforcement on real traffic: big transfers, fragments, path MTU, extension headers, blocks that
# let nothing through, and changes that reach established flows.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090 7000
serve p3 8080
serve far 8080
bg p2 sink 6001 >$W/sink1 &
bg p2 sink 6002 >$W/sink2 &
bg far sink 6003 >$W/sink3 &
bg far sink 6004 >$W/sink4 &
daemon_start
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3
rule base allow '{namespace: shop, labels: {app: web}}' '{namespace: shop, labels: {app: cart}}' 'tcp/8080, tcp/6001-6002, udp/8080'
rule ping allow '{namespace: shop}' '{any: true}' 'icmp/echo-request, icmpv6/128'
rule far allow '{namespace: shop}' '{cidr: 198.51.100.0/24}' 'tcp/1-65535, udp/8080'
rule far6 allow '{namespace: shop}' '{cidr: "2001:db8:3::/64"}' 'tcp/1-65535, udp/8080'
mode ns/shop enforce

# Transfers with segmentation offload on, checksummed at both ends.
for f in v4:6001:1 v6:6002:2; do
	IFS=: read -r fam port k <<<"$f"
	r=$(t p1 bulk "$($fam p2)" "$port" 268435456)
	like "256 MB over $fam" "ok 268435456 " "$r"
	until_true 3 test -s $W/sink$k
	same "256 MB over $fam arrived as sent" "$(cut -d' ' -f2,3 <<<"$r")" "$(cat $W/sink$k)"
done

# Path MTU: the answer "too big" comes from a router that no rule names.
for f in v4:6003:3 v6:6004:4; do
	IFS=: read -r fam port k <<<"$f"
	r=$(t p1 bulk "$($fam far)" "$port" 4000000)
	like "path MTU, 4 MB over $fam" "ok 4000000 " "$r"
	until_true 3 test -s $W/sink$k
	same "path MTU, arrived over $fam" "$(cut -d' ' -f2,3 <<<"$r")" "$(cat $W/sink$k)"
done
like "the sender learnt the path MTU" "mtu 1300" "$(in_ns p1 ip route get "$(v4 far)")"
like "the sender learnt the path MTU v6" "mtu 1300" "$(in_ns p1 ip route get "$(v6 far)")"

# Fragments.
for fam in v4 v6; do
	same "8000 bytes in fragments $fam" "answered 5 of 5 ok" "$(t p1 ask "$($fam p2)" 8080 5 1000 8000)"
	same "60000 bytes in fragments $fam" "answered 5 of 5 ok" "$(t p1 ask "$($fam p2)" 8080 5 1000 60000)"
	same "blocked fragments $fam" "answered 0 of 2 timeout" "$(t p1 ask "$($fam p2)" 9090 2 200 8000)"
	same "ping in fragments $fam" "answered 2 of 2" "$(t p1 ping "$($fam p2)" 2 1000 5000)"
	t p1 ask "$($fam far)" 8080 1 300 4000 >/dev/null # IPv6: learns the path MTU
	same "fragments through the smaller hop $fam" "answered 3 of 3 ok" "$(t p1 ask "$($fam far)" 8080 3 1000 4000)"
done

# IPv6 extension headers.
for how in hopopt dstopt; do
	same "$how passes where allowed" "answered 3 of 3 ok" "$(t p1 ask "$(v6 p2)" 8080 3 1000 64 $how)"
	same "$how does not pass where blocked" "answered 0 of 1 timeout" "$(t p1 ask "$(v6 p2)" 9090 1 200 64 $how)"
	same "$how and fragments" "answered 2 of 2 ok" "$(t p1 ask "$(v6 p2)" 8080 2 1000 6000 $how)"
done

# What is blocked never delivers one packet, and is counted exactly.
count_start b p2 eth0
same "blocked TCP" timeout "$(t p1 tcp "$(v4 p2)" 9090 300)"
same "blocked TCP6" timeout "$(t p1 tcp "$(v6 p2)" 9090 300)"
before=$(counters reasons.default.dropped)
like "2000 datagrams out" "sent 2000" "$(t p1 send 1 "$(v4 p2)" 7000 2000)"
like "2000 datagrams out v6" "sent 2000" "$(t p1 send 2 "$(v6 p2)" 7000 2000)"
like "300 fragmented datagrams out" "sent 300" "$(t p1 send 3 "$(v4 p2)" 7000 300 3000 100)"
sleep 0.2
count_stop b
same "no blocked datagram was delivered" "0 0 0" "$(in_of b 1) $(in_of b 2) $(in_of b 3)"
note "default drops: $before -> $(counters reasons.default.dropped)"
same "each blocked packet was counted" $((2000 + 2000 + 900)) $(($(counters reasons.default.dropped) - before))

# A change reaches established TCP and one-way UDP at the next packet.
serve p1 7777
bg p1 stream "$(v4 p2)" 8080 20 >$W/stream 2>/dev/null &
S=$!
count_start u p2 eth0
bg p1 send 5 "$(v4 p2)" 8080 4000 32 500 33333 >$W/sent &
U=$!
sleep 0.8
both_flows() { [ "$(get '/v1/flows?namespace=shop' | jq '[.items[]|select(.dstPort==8080)]|length')" -ge 2 ]; }
until_true 5 both_flows || not_ok "the two flows do not stand"
t0=$("$T" clock)
rule stop block '{namespace: shop, labels: {app: web}}' '{namespace: shop, labels: {app: cart}}' 'tcp/8080, udp/8080'
t1=$("$T" clock)
wait $U
count_stop u
sleep 0.3
kill -TERM $S
wait $S
seen=$(in_of u 5)
within "a one-way flow is cut in mid-stream" 200 3900 "$seen"
last=$(grep -o 'lastecho_us [0-9]*' $W/stream | cut -d' ' -f2)
within "an established connection is cut (us after the answer to the change)" -2000000 20000 $((last - t1))
note "change took $(((t1 - t0) / 1000)) ms with its request; stream: $(cat $W/stream)"
rule_del stop
same "back again" ok "$(t p1 tcp "$(v4 p2)" 8080 2000)"
