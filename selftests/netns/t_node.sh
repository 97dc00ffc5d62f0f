# shellcheck shell=bash
# The node's own traffic to its workloads, who may change things, and one daemon per state.
node_up
for n in 1 2; do pod_up $n; done
serve p1 8080
"$T" serve 8080 &
daemon_start
wl 1 shop web; wl 2 shop cart
wait_guards 2
mode ns/shop enforce
same "the node reaches its workload by default" ok "$("$T" tcp "$(v4 p1)" 8080 1000)"
same "the workload does not reach the node without a rule" timeout "$(t p1 tcp "$(v4 node)" 8080 300)"
same "nor another of its addresses" timeout "$(t p1 tcp 192.0.2.1 8080 300)"
rule up allow '{namespace: shop, labels: {app: web}}' '{reserved: host}' 'tcp/8080'
for a in 10.99.0.1 192.0.2.1 fd99::1 2001:db8:2::1; do
	same "with a rule: $a" ok "$(t p1 tcp $a 8080 1000)"
done
same "not for others" timeout "$(t p2 tcp "$(v6 node)" 8080 300)"
same "a workload reaches itself" ok "$(t p1 tcp "$(v4 p1)" 8080 1000)"

# Who may change: the peer of the socket.
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups curl -s --unix-socket $SOCK "$@"; }
same "anybody may ask" Status "$(as_nobody http://localhost/v1/status | jq -r .kind)"
same "not everybody may change" ErrorList "$(as_nobody -X POST -H 'Content-Type: application/json' -d '{"refs":["ns/shop"],"mode":"off"}' http://localhost/v1/modes/set | jq -r .kind)"
same "nothing was changed" enforce "$(get '/v1/modes?ref=ns/shop' | jq -r '.items[0].mode')"

# A second daemon on the same state keeps away, and harms nothing.
"$BUILD/bin/cellwalld" --config $W/cellwalld.yaml --set paths.state=$W/state --set paths.pins=/run/bpf/cw \
	--set api.socket=/run/w/other.sock >$W/second.log 2>&1
same "a second daemon is refused" 6 $?
like "and says why" "state.locked" "$(cat $W/second.log)"
same "still in force" timeout "$(t p2 tcp "$(v4 node)" 8080 200)"
api_up && ok "the first still answers" || not_ok "the first does not answer"

# Restarted with other settings for the node's traffic.
daemon_stop
daemon_start localNode=rules
until_true 5 in_force
wait_guards 2
same "localNode: rules: the node needs a rule too" timeout "$("$T" tcp "$(v4 p1)" 8080 300)"
rule down allow '{reserved: host}' '{namespace: shop, labels: {app: web}}' 'tcp/8080'
same "localNode: rules: with it" ok "$("$T" tcp "$(v6 p1)" 8080 1000)"
same "probes of ARP and ND are not asked" ok "$(ip neigh flush all; "$T" tcp "$(v4 p1)" 8080 1000)"

# Hostile requests: one error each, no harm.
for body in '' '{' '[]' '{"refs":1}' '{"refs":["ns/shop"],"mode":{}}' "{\"refs\":[\"$(head -c 70000 /dev/zero | tr '\0' x)\"]}"; do
	post /v1/modes/set "$body" >/dev/null && not_ok "taken: ${body:0:40}"
done
head -c 3000000 /dev/urandom | curl -s -o /dev/null --max-time 10 --unix-socket $SOCK -X POST --data-binary @- http://localhost/v1/rules/apply
printf 'GET /%s HTTP/1.1\r\nHost: x\r\n\r\n' "$(head -c 20000 /dev/zero | tr '\0' a)" | timeout 2 python3 -c '
import socket,sys
s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(sys.stdin.buffer.read()); s.settimeout(1)
try: s.recv(100)
except OSError: pass' $SOCK
api_up && ok "answers after hostile requests" || not_ok "died of a hostile request"
daemon_stop
