# shellcheck shell=bash
# Flows that stood before the attachment are taken over with their right direction.
node_up
for n in 1 2; do pod_up $n; done
serve p1 7070
serve p2 8080 50000
# Its ports tell the wrong direction: only the listener knows.
bg p1 stream "$(v4 p2)" 50000 20 20000 >$W/s4 2>/dev/null &
S4=$!
bg p1 stream "$(v4 p2)" 8080 50 >$W/s1 2>/dev/null &
S1=$!
bg p2 stream "$(v6 p1)" 7070 50 >$W/s2 2>/dev/null &
S2=$!
bg out stream "$(v4 p2)" 8080 50 >$W/s3 2>/dev/null &
S3=$!
sleep 0.3
daemon_start
wl 1 shop web; wl 2 shop cart
wait_guards 2
sleep 0.5
access_lines | cut -d' ' -f1-3 >$W/got
sort >$W/want <<'X'
shop/deploy/cart shop/deploy/web tcp/7070
shop/deploy/web shop/deploy/cart tcp/8080
world shop/deploy/cart tcp/8080
shop/deploy/web shop/deploy/cart tcp/50000
X
if diff $W/want $W/got >$W/diff; then ok "right direction, no reply port"; else not_ok "directions"; sed 's/^/# /' $W/diff; fi
same "none had to be guessed" 0 "$(get /v1/flows | jq '[.items[]|select(.guessed)]|length')"
note "$(get /v1/flows | jq -c '[.items[]|{src,dst,dstPort,seeded,guessed}]')"
# Enforced with rules for the right direction only: nothing of it stalls.
rule a allow '{namespace: shop, labels: {app: web}}' '{namespace: shop, labels: {app: cart}}' 'tcp/8080, tcp/50000'
rule b allow '{namespace: shop, labels: {app: cart}}' '{namespace: shop, labels: {app: web}}' tcp/7070
rule c allow '{reserved: world}' '{namespace: shop, labels: {app: cart}}' tcp/8080
mode ns/shop enforce
sleep 1
kill -TERM $S1 $S2 $S3 $S4
wait $S1 $S2 $S3 $S4
for k in 1 2 3 4; do
	like "flow $k lived on under enforcement" "ok sent" "$(cat $W/s$k)"
	read -r s e < <(sed 's/.*sent \([0-9]*\) echoed \([0-9]*\) .*/\1 \2/' $W/s$k)
	within "flow $k lost nothing" 0 1 $((s - e))
done
