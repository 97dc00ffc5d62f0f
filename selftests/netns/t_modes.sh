# shellcheck shell=bash
# Alert mode lets all pass and reports; a simulation predicts what enforcing then does.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090 7070
serve p3 5432 7070
daemon_start events.gap=100ms
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3
rule allowed allow '{namespace: shop}' '{namespace: shop}' 'tcp/8080, udp/8080'
rule blocked block '{namespace: shop}' '{namespace: data}' 'tcp/5432, udp/5432'
rule watched alert '{namespace: shop}' '{namespace: shop}' 'tcp/7070, udp/7070'
# A rule in own mode alert takes no part in the enforced verdict; that it would is shown.
rule tried block '{namespace: shop}' '{namespace: data}' 'udp/7070' 'mode: alert'
rule data allow '{namespace: shop}' '{namespace: data}' 'udp/7070'
mode cluster alert

count_start a p1 eth0
count_start b p2 eth0
count_start c p3 eth0
SENDERS=()
t p1 send 1 "$(v4 p2)" 8080 1000 32 100 >/dev/null & # allowed
SENDERS+=($!)
t p1 send 2 "$(v4 p2)" 9090 1000 32 100 >/dev/null & # no rule
SENDERS+=($!)
t p1 send 3 "$(v6 p3)" 5432 1000 32 100 >/dev/null & # blocked by a rule
SENDERS+=($!)
t p1 send 4 "$(v6 p2)" 7070 1000 32 100 >/dev/null & # alert
SENDERS+=($!)
t p1 send 5 "$(v4 p3)" 7070 1000 32 100 >/dev/null & # advisory
SENDERS+=($!)
wait "${SENDERS[@]}"
sleep 1 # the last answers
for k in a b c; do count_stop $k; done
same "sent" "1000 1000 1000 1000 1000" "$(out_of a 1) $(out_of a 2) $(out_of a 3) $(out_of a 4) $(out_of a 5)"
same "alert mode: every packet delivered" "1000 1000 1000 1000 1000" \
	"$(in_of b 1) $(in_of b 2) $(in_of c 3) $(in_of b 4) $(in_of c 5)"
same "answers came back too" "1000 1000 1000 1000 1000" "$(in_of a 1) $(in_of a 2) $(in_of a 3) $(in_of a 4) $(in_of a 5)"
access_lines | cut -d' ' -f1-3,6,7,8 >$W/got
sort >$W/want <<'X'
shop/deploy/web data/deploy/db udp/5432 would-block would-block 1
shop/deploy/web data/deploy/db udp/7070 would-block would-block 1
shop/deploy/web shop/deploy/cart udp/7070 alert alert 1
shop/deploy/web shop/deploy/cart udp/8080 allow allow 1
shop/deploy/web shop/deploy/cart udp/9090 would-block would-block 1
X
if diff $W/want $W/got >$W/diff; then ok "verdicts of both sides"; else not_ok "verdicts"; sed 's/^/# /' $W/diff; fi
alerts_told() { [ "$(get '/v1/alerts?acked=all' | jq '.items|length')" -ge "$1" ]; }
until_true 10 alerts_told 4
get '/v1/alerts?acked=all' >$W/alerts.json
for p in udp/9090:1 udp/5432:1 udp/7070:2 udp/8080:0; do
	same "alerts about ${p%:*}" "${p#*:}" "$(jq --arg p "${p%:*}" '[.items[]|select(.port==$p)]|length' $W/alerts.json)"
done
same "an alert names rule, tier and action" "blocked manual block rule" \
	"$(jq -r '.items[]|select(.port=="udp/5432").by|"\(.rule) \(.tier) \(.action) \(.reason)"' $W/alerts.json)"
same "an alert about no rule says so" "default" \
	"$(jq -r '.items[]|select(.port=="udp/9090").by.tier' $W/alerts.json)"

# Simulation: predicts; then live.
same "tcp before" "ok ok ok" "$(t p1 tcp "$(v4 p2)" 8080 1000) $(t p1 tcp "$(v4 p2)" 9090 1000) $(t p1 tcp "$(v6 p3)" 5432 1000)"
drain
post /v1/simulate '{}' >$W/sim.json
jq -r '.items[]|select(.effect=="breaks")|"\(.src) \(.dst) \(.port)"' $W/sim.json | sort -u >$W/breaks
mode cluster enforce
: >$W/live
for x in "p2 8080" "p2 9090" "p2 7070" "p3 5432" "p3 7070"; do
	read -r p port <<<"$x"
	app=$([ "$p" = p2 ] && echo shop/deploy/cart || echo data/deploy/db)
	[ "$(t p1 ask "$(v4 "$p")" "$port" 1 300)" = "answered 1 of 1 ok" ] || echo "shop/deploy/web $app udp/$port" >>$W/live
	case $x in *7070) ;; *) [ "$(t p1 tcp "$(v4 "$p")" "$port" 300)" = ok ] || echo "shop/deploy/web $app tcp/$port" >>$W/live ;; esac
done
sort -o $W/live $W/live
if diff $W/breaks $W/live >$W/diff; then ok "what the simulation said breaks is what enforcing breaks ($(wc -l <$W/live) accesses)"; else
	not_ok "simulation and enforcement differ"
	sed 's/^/# /' $W/diff
fi
[ "$(wc -l <$W/live)" = 4 ] && ok "four of them" || not_ok "expected four: $(cat $W/live)"
# query agrees too
same "query says blocked" blocked "$(get '/v1/query?src=shop/deploy/web&dst=shop/deploy/cart&port=tcp/9090' | jq -r .answer)"
same "query says passes" passes "$(get '/v1/query?src=shop/deploy/web&dst=shop/deploy/cart&port=tcp/8080' | jq -r .answer)"
