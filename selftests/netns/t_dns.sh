# shellcheck shell=bash
# Rules with names on real resolvers and sockets: a connect right after a resolve is never refused,
# however many addresses an answer has and however many names an address; nothing else is opened.
node_up
for n in 1 2 3 4; do pod_up $n; done
N=$BUILD/netns/names
[ -x "$N" ] || bail "the names tool is not built"
in_ns out ip route add local 198.18.0.0/16 dev lo
in_ns out ip -6 route add local 2001:db8:9::/64 dev lo
ip route add 198.18.0.0/16 via 192.0.2.2
ip -6 route add 2001:db8:9::/64 via 2001:db8:2::2
serve out 444
in_ns out "$N" sink 443 &
in_ns p3 "$N" server :: 53 450 &
in_ns out "$N" server :: 53 450 &
until_true 5 listening p3 53
until_true 5 listening out 53
daemon_start
wl 1 shop web; wl 2 shop cart; wl 3 data dns; wl 4 lab probe
wait_guards 4
names() { in_ns "$1" "$N" "${@:2}"; } # names p1 one RESOLVER PORT NAME
dns() { get /v1/counters | jq -r ".counters.dns.$1"; }

# Learning: the destination is told by its name, and becomes a rule with it.
same "learn: by name" "198.18.250.1 ok" "$(names p4 one "$(v4 p3)" 443 pay.example.com)"
same "learn: an address nobody gave a name" ok "$(t p4 tcp 198.18.250.9 444 1000)"
access_lines | cut -d' ' -f1-4 >$W/got
note "$(tr '\n' ';' <$W/got)"
like "learn: recorded by name" "lab/deploy/probe fqdn/pay.example.com tcp/443" "$(cat $W/got)"
like "learn: without one by address" "lab/deploy/probe 198.18.250.9 tcp/444" "$(cat $W/got)"

rule dns allow '{namespace: shop}' '{namespace: data}' 'udp/53, tcp/53'
rule dnsout allow '{namespace: shop}' '{cidr: 192.0.2.2/32}' 'udp/53'
rule names allow '{namespace: shop, labels: {app: web}}' '{fqdn: "*.example.com"}' 'tcp/443-444' || bail "no rules with names"
rule site alert '{namespace: shop, labels: {app: web}}' '{fqdn: site.example.org}' 'tcp/443-444'
mode ns/shop enforce

same "nothing is open before it is asked for" timeout "$(t p1 tcp 198.18.250.1 443 300)"
same "resolve, connect" "198.18.250.1 ok" "$(names p1 one "$(v4 p3)" 443 pay.example.com)"
same "an alert rule" "198.18.250.2 ok" "$(names p1 one "$(v4 p3)" 443 site.example.org)"
same "another workload's answer opens nothing" timeout "$(t p2 tcp 198.18.250.1 443 300)"
same "nor does its own, without a rule" "198.18.250.1 timeout" "$(names p2 one "$(v4 p3)" 443 pay.example.com)"
same "another address" timeout "$(t p1 tcp 198.18.250.9 443 300)"
same "a resolver outside gives no names" "198.18.0.1 timeout" "$(names p1 one "$(v4 out)" 443 h0.example.com)"
within "and is counted" 1 10 "$(dns foreign)"

# A DNS service's address counts as the cluster's, wherever it lies; taken away, it is outside again.
ip -n out addr add 10.96.0.53/32 dev lo
ip route add 10.96.0.53/32 via "$(v4 out)"
in_ns out "$N" server 10.96.0.53 53 450 &
bound() { [ -n "$(in_ns "$1" ss -Hln"$2" src "$3" "sport = :53")" ]; }
until_true 5 bound out u 10.96.0.53
rule dnssvc allow '{namespace: shop}' '{cidr: 10.96.0.53/32}' 'udp/53'
same "an address of nobody is no resolver" "198.18.0.1 timeout" "$(names p1 one 10.96.0.53 443 h0.example.com)"
must_post /v1/services '{"items":[{"namespace":"data","name":"dns","addresses":["10.96.0.53"],"ports":[{"port":"udp/53"}],
	"backends":[{"address":"192.0.2.2"}]}]}'
settle
same "the service's is one" "198.18.0.1 ok" "$(names p1 one 10.96.0.53 443 h0.example.com)"
del /v1/services/data/dns >/dev/null
settle
n=$(dns foreign)
names p1 one 10.96.0.53 443 h32.example.com >/dev/null
within "the service gone, it is none" $((n + 1)) $((n + 2)) "$(dns foreign)"

# The promise: 10,000 attempts, each within less than the first repetition of a SYN; A and AAAA, 1 to
# 32 addresses an answer, 900 addresses for 1,000 names.
before=$(reason_dropped default)
r=$(names p1 client "$(v4 p3)" 443 5000 1000 1 700)
note "IPv4 resolver: $r"
like "5,000 connects right after a resolve, none refused" "ok 5000 failed 0 " "$r"
r=$(names p1 client "$(v6 p3)" 443 5000 1000 2 700)
note "IPv6 resolver: $r"
like "5,000 more, none refused" "ok 5000 failed 0 " "$r"
same "no packet of theirs was dropped" 0 $(($(reason_dropped default) - before))
same "no answer was dropped" 0 "$(reason_dropped dns-full)"
same "none was unreadable" 0 "$(dns unreadable)"
within "answers read" 10000 10100 "$(dns answers)"
same "still nobody else's" timeout "$(t p2 tcp 198.18.0.1 443 300)"

# Patterns change under names that are known: the same address closes and opens without a new answer.
rule_del names
same "rule gone: closed" timeout "$(t p1 tcp 198.18.250.1 443 300)"
rule names allow '{namespace: shop, labels: {app: web}}' '{fqdn: pay.example.com}' 'tcp/443-444'
same "another rule for a name already known" ok "$(t p1 tcp 198.18.250.1 444 1000)"
same "the others of the wildcard stay closed" timeout "$(t p1 tcp 198.18.0.1 443 300)"
rule names allow '{namespace: shop, labels: {app: web}}' '{fqdn: "*.example.com"}' 'tcp/443-444'
same "and are known still" ok "$(t p1 tcp 198.18.0.1 444 1000)"

# The daemon dies and comes back: what was resolved stays open, and no attempt fails meanwhile. A packet
# that falls into the switch may have to be sent again.
ip netns exec p1 "$N" client "$(v4 p3)" 443 1000000 1000 3 3000 >$W/through &
through=$!
sleep 0.3
daemon_kill
same "without the daemon" "198.18.250.1 ok" "$(names p1 one "$(v4 p3)" 443 pay.example.com)"
daemon_again
until_true 20 in_force
sleep 0.5
kill -TERM $through
wait $through
note "through a restart: $(cat $W/through)"
like "through a restart: none refused" " failed 0 " "$(cat $W/through)"
same "resolved before, open after" ok "$(t p1 tcp 198.18.0.1 444 1000)"
same "and closed to the others" timeout "$(t p2 tcp 198.18.250.1 443 300)"

# Answers nobody can read are told.
in_ns p3 "$N" sink 53 &
until_true 5 bound p3 t ::
t p1 tcp "$(v4 p3)" 53 300 >/dev/null
within "DNS over TCP is counted" 1 5 "$(dns unseen)"
drain
like "and told" "DNS over TCP" "$(get '/v1/events?reason=dns-unseen' | jq -r '.items[].text')"
like "of the workload" "shop/pod/p1" "$(get '/v1/events?reason=dns-unseen' | jq -c '.items[]')"

# Time: a mapping ends after the answer's 5 s and the grace, but not under a flow that uses it.
daemon_stop
daemon_start dns.namesPerWorkload=16 dns.minTTL=1s dns.grace=1s
until_true 10 in_force
rule late allow '{namespace: shop, labels: {app: cart}}' '{fqdn: "*.example.com"}' 'tcp/443-444'
same "late" "198.18.250.3 ok" "$(names p2 one "$(v4 p3)" 443 late.example.com)"
same "later" "198.18.250.4 ok" "$(names p2 one "$(v4 p3)" 443 later.example.com)"
bg p2 stream 198.18.250.3 444 20 >$W/stream 2>/dev/null &
stream=$!
closed() { [ "$(t p2 tcp "$1" 444 200)" = timeout ]; }
same "both are open" "ok ok" "$(t p2 tcp 198.18.250.3 444 500) $(t p2 tcp 198.18.250.4 444 500)"

# No room: in enforce the answer is dropped and asked again; the connect is never tried in vain.
r=$(names p2 one "$(v4 p3)" 443 h21.example.com)
note "share full: $r"
same "share full: no answer rather than an address that is closed" "- no-answer" "$r"
within "share full: counted" 1 100 "$(reason_dropped dns-full)"

check "its time over, an address is closed" until_true 20 closed 198.18.250.4
rule other allow '{namespace: shop}' '{cidr: 192.0.2.9/32}' 'tcp/1' # everything is judged again
same "but for the one that a flow uses" ok "$(t p2 tcp 198.18.250.3 444 500)"
kill -TERM $stream; wait $stream
like "whose flow was never cut" "ok" "$(cat $W/stream)"
note "$(cat $W/stream)"
check "until that ends" until_true 20 closed 198.18.250.3
