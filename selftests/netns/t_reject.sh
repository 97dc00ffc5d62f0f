# shellcheck shell=bash
# Rejected packets are answered: RST for TCP, ICMP prohibited else; at both hooks, both families,
# with checksum offload on and off. Every answer's checksum is verified on the wire.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 8081 9090
daemon_start
wl 1 shop web; wl 2 data cart
wait_guards 2
# Egress rule at p1 (shop enforced) and ingress rule at p2 (data enforced) in turn.
rule no block '{namespace: shop}' '{namespace: data}' 'tcp/9090, udp/9090' 'reject: true'
rule yes allow '{namespace: shop}' '{namespace: data}' 'tcp/8080-8081, udp/8080-8081'
for side in shop data; do
	for tx in on off; do
		ethtool -K cwp1 tx $tx >/dev/null 2>&1; ethtool -K cwp2 tx $tx >/dev/null 2>&1
		in_ns p1 ethtool -K eth0 tx $tx >/dev/null 2>&1; in_ns p2 ethtool -K eth0 tx $tx >/dev/null 2>&1
		mode ns/$side enforce
		count_start j p1 eth0 answers
		for fam in v4 v6; do
			w="$side, tx $tx, $fam"
			same "$w: TCP is refused" refused "$(t p1 tcp "$($fam p2)" 9090 1000)"
			r=$(t p1 ask "$($fam p2)" 9090 2 300)
			case $r in *prohibited* | *refused*) ok "$w: UDP is told" ;; *) not_ok "$w: UDP is told: $r" ;; esac
		done
		count_stop j
		[ "$(field j rst)" -ge 2 ] && ok "$side, tx $tx: resets ($(field j rst))" || not_ok "$side, tx $tx: $(tr '\n' ' ' <$W/j.count)"
		[ "$(field j prohibited)" -ge 2 ] && ok "$side, tx $tx: ICMP prohibited ($(field j prohibited))" ||
			not_ok "$side, tx $tx: $(tr '\n' ' ' <$W/j.count)"
		# A receiver that leaves checksums to the device sees unfinished ones on a virtual wire.
		[ $tx = on ] || same "$side, tx $tx: all checksums right" 0 "$(field j badsum)"
		mode ns/$side learn
	done
	# An established connection with payload on its way: reset by a rule change.
	mode ns/$side enforce
	for fam in v4 v6; do
		bg p1 stream "$($fam p2)" 8081 20 >$W/stream 2>$W/stream.err &
		S=$!
		sleep 0.3
		rule cut block '{namespace: shop}' '{namespace: data}' 'tcp/8081' 'reject: true'
		sleep 0.5
		kill -TERM $S 2>/dev/null
		wait $S
		like "$side, $fam: an open connection is reset" reset "$(cat $W/stream)"
		rule_del cut
	done
	mode ns/$side learn
done
