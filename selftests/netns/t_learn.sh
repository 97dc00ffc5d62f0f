# shellcheck shell=bash
# Every distinct access exactly once, in the right direction, and no reply port among them.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090
serve p3 5353
daemon_start
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3

for f in v4 v6; do
	same "tcp $f" ok "$(t p1 tcp "$($f p2)" 8080 2000 100)"
	same "tcp again $f" ok "$(t p1 tcp "$($f p2)" 8080 2000 100)"
	same "udp $f" "answered 3 of 3 ok" "$(t p1 ask "$($f p3)" 5353 3 1000)"
	same "ping $f" "answered 2 of 2" "$(t p1 ping "$($f p2)" 2 1000)"
	same "tcp to a closed port $f" refused "$(t p1 tcp "$($f p2)" 7 1000)"
	same "from outside $f" ok "$(t out tcp "$($f p2)" 9090 2000)"
done
serve out 4443
same "to outside" ok "$(t p3 tcp "$(v4 out)" 4443 2000)"
same "to outside v6" ok "$(t p3 tcp "$(v6 out)" 4443 2000)"
same "from the node" ok "$("$T" tcp "$(v4 p2)" 8080 2000)"

access_lines >$W/got
cut -d' ' -f1-5,8 $W/got >$W/short
cat >$W/want <<'X'
shop/deploy/web data/deploy/db udp/5353 yes pending 2
shop/deploy/web shop/deploy/cart icmp/echo-request yes pending 1
shop/deploy/web shop/deploy/cart icmpv6/echo-request yes pending 1
shop/deploy/web shop/deploy/cart tcp/7 attempted pending 2
shop/deploy/web shop/deploy/cart tcp/8080 yes pending 4
data/deploy/db 192.0.2.2 tcp/4443 yes pending 1
data/deploy/db 2001:db8:2::2 tcp/4443 yes pending 1
host shop/deploy/cart tcp/8080 yes pending 1
world shop/deploy/cart tcp/9090 yes pending 2
X
sort -o $W/want $W/want
if diff $W/want $W/short >$W/diff; then ok "exactly these accesses"; else
	not_ok "accesses differ"
	sed 's/^/# /' $W/diff
fi
same "no access is lost" 0 "$(get /v1/status | jq .loss)"
drain
same "a second reading adds nothing" "$(cat $W/got)" "$(access_lines)"
