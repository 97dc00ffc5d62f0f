# The four kinds as CustomResourceDefinitions; generate.sh writes them out as YAML.
#
# Only what a structural schema had in Kubernetes 1.16 (no CEL), so that every server refuses the
# same objects. `cellwall rule apply` knows more, e.g. that a prefix has no bits beyond its length;
# what only it can know stands in the object's condition Accepted instead.

def label_word: "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
def dns_label: "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
def dns_name: "\(dns_label)(\\.\(dns_label))*";
def text(d; n; p): {type: "string", description: d, minLength: 1, maxLength: n, pattern: "^(\(p))$"};
def choice(d; v): {type: "string", description: d, enum: v};
def list(d; n; i): {type: "array", description: d, minItems: 1, maxItems: n, items: i};
# A list that sets and maps of the server cannot merge: whoever writes it writes all of it.
def atomic: . + {"x-kubernetes-list-type": "atomic"};

def octet: "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
def cidr(d): text(d; 64;
	"(\(octet)\\.){3}\(octet)(/(3[0-2]|[12]?[0-9]))?" +
	"|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(\(octet)\\.\(octet)\\.\(octet)\\.\(octet))?(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?") +
	{not: {pattern: "^::[Ff]{4}:"}}; # IPv4 is written as IPv4

def port_number: "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})";
def port_name: "([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*";
def byte: octet;
def icmp4: "(echo-reply|destination-unreachable|redirect|echo-request|time-exceeded|parameter-problem|timestamp-request|timestamp-reply)";
def icmp6: "(destination-unreachable|packet-too-big|time-exceeded|parameter-problem|echo-request|echo-reply|router-solicitation|router-advertisement|neighbour-solicitation|neighbour-advertisement)";
def ports: list("Absent: all protocols and ports. Such as tcp/5432, tcp/8000-8100, tcp/NAME, icmp/echo-request, proto/47, any."; 1000;
	{type: "string", maxLength: 64, pattern:
		("^(any|(tcp|udp|sctp)(/(\(port_number)(-\(port_number))?|\(port_name)))?" +
		"|icmp(/(\(byte)|\(icmp4))(/\(byte))?)?|icmpv6(/(\(byte)|\(icmp6))(/\(byte))?)?|proto/\(byte))$")}) | atomic;

def labels(d): {type: "object", description: d, maxProperties: 256, additionalProperties:
	{type: "string", maxLength: 63, pattern: "^(\(label_word))?$"}};
def expressions(d): {type: "array", description: d, minItems: 1, maxItems: 100, items: {type: "object",
	description: "In and NotIn take values; Exists and DoesNotExist take none.",
	required: ["key", "operator"],
	properties: {
		key: text("Label key."; 317; "(\(dns_name)/)?\(label_word)"),
		operator: choice("How the label's value is compared."; ["In", "NotIn", "Exists", "DoesNotExist"]),
		values: ({type: "array", description: "For In and NotIn.", minItems: 1, maxItems: 1000,
			items: {type: "string", maxLength: 63, pattern: "^(\(label_word))?$"}} | atomic)
	},
	oneOf: [
		{properties: {operator: {enum: ["In", "NotIn"]}}, required: ["values"]},
		{properties: {operator: {enum: ["Exists", "DoesNotExist"]}}, not: {required: ["values"]}}
	]}} | atomic;
def controller: text("KIND/NAME, such as StatefulSet/db."; 317; "[A-Za-z]{1,63}/\(dns_name)");
def namespace: text("Name of one namespace."; 63; dns_label);
def uid: text("This one, not its successor of the same name."; 127; "[-A-Za-z0-9._]+");
def has(f): {required: [f]};
def none(fs): {not: {anyOf: [fs[] | has(.)]}};

# One kind of thing per item: `with` says which fields may stand beside the one that names the kind.
def alone(f): {required: [f], maxProperties: 1};
def pair(f; other): {required: [f], anyOf: [{maxProperties: 1}, {required: [other], maxProperties: 2}]};

def selector(to; namespaced): {type: "object", minProperties: 1,
	description: ("Fields of one item are AND. One item speaks of workloads, of a service, of addresses, " +
		(if to then "of a name, " else "" end) + "of nodes or of a reserved word; everyone is {any: true}."),
	properties: ({
		any: {type: "boolean", description: "true: everyone.", enum: [true]},
		namespace: (namespace + (if namespaced then {description: "Absent, and no namespaceLabels: the rule's own."} else {} end)),
		namespaceLabels: labels("Labels that the namespace has."),
		namespaceExpressions: expressions("Conditions on the namespace's labels."),
		labels: labels("Labels that the workload has."),
		matchExpressions: expressions("Conditions on the workload's labels, or beside nodeLabels on the node's."),
		controller: controller,
		serviceAccount: text("Name of the service account."; 253; dns_name),
		pod: text("Name of one pod."; 253; dns_name),
		uid: uid,
		service: text("What this service of the namespace selects."; 63; dns_label),
		cidr: cidr("Address prefix."),
		except: ({type: "array", description: "Prefixes inside cidr that are left out.", maxItems: 1000,
			items: cidr("Address prefix.")} | atomic),
		reserved: choice("A place that is no workload."; ["host", "remote-node", "world", "unknown", "multicast"]),
		nodeLabels: labels("Labels of nodes.")
	} + if to then {
		fqdn: text("pay.example.com, or *.example.com: what a name server answers for it."; 253;
			"(\\*\\.)?(\(dns_label)\\.)+[a-z0-9-]*[a-z][a-z0-9-]*")
	} else {} end),
	oneOf: ([
		alone("any"), alone("reserved"),
		pair("cidr"; "except"), pair("service"; "namespace"), pair("nodeLabels"; "matchExpressions"),
		({anyOf: [["namespace", "namespaceLabels", "namespaceExpressions", "labels", "matchExpressions", "controller",
			"serviceAccount", "pod", "uid"][] | has(.)]} +
			none(["any", "reserved", "cidr", "except", "service", "nodeLabels"] + (if to then ["fqdn"] else [] end)))
	] + (if to then [alone("fqdn")] else [] end)),
	not: {anyOf: [{required: ["namespace", "namespaceLabels"]}, {required: ["namespace", "namespaceExpressions"]}]}
	} | if namespaced then . else
		# without the rule's own namespace to fall back on
		.allOf = [{anyOf: [{not: {required: ["service"]}}, {required: ["service", "namespace"]}]}]
	end;

def condition: {type: "object", required: ["type", "status"], properties: {
	type: {type: "string", maxLength: 316},
	status: {type: "string", enum: ["True", "False", "Unknown"]},
	observedGeneration: {type: "integer", format: "int64"},
	lastTransitionTime: {type: "string", format: "date-time"},
	reason: {type: "string", maxLength: 1024},
	message: {type: "string", maxLength: 32768}}};
def status: {type: "object", description: "Written by cellwall.", properties: {
	observedGeneration: {type: "integer", format: "int64", description: "metadata.generation that this speaks of."},
	generation: {type: "integer", format: "int64", description: "Policy generation that brought it: `cellwall change show`."},
	conditions: {type: "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
		description: "Accepted: it is understood and part of the policy. InForce: every node that it concerns has acknowledged it.",
		items: condition},
	nodes: {type: "object", properties: {
		total: {type: "integer", format: "int64", description: "Nodes that were told."},
		acknowledged: {type: "integer", format: "int64", description: "Nodes that have it in force."},
		failed: {type: "integer", format: "int64", description: "Nodes that could not."}}},
	plan: {type: "string", maxLength: 32768, description: "What the change did to accesses seen so far."}}};

def column(n; t; p): {name: n, type: t, jsonPath: p};
def more: . + {priority: 1};
def tail: [
	column("Accepted"; "string"; ".status.conditions[?(@.type==\"Accepted\")].status"),
	column("InForce"; "string"; ".status.conditions[?(@.type==\"InForce\")].status"),
	(column("Nodes"; "integer"; ".status.nodes.acknowledged") | more),
	column("Age"; "date"; ".metadata.creationTimestamp"),
	(column("Message"; "string"; ".status.conditions[?(@.type==\"Accepted\")].message") | more)];

def kind(name; plural; short; scope; about; spec; columns): {
	apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition",
	metadata: {name: "\(plural).cellwall.io", labels: {"app.kubernetes.io/name": "cellwall", "app.kubernetes.io/part-of": "cellwall"}},
	spec: {group: "cellwall.io", scope: scope,
		names: {kind: name, listKind: "\(name)List", plural: plural, singular: (name | ascii_downcase),
			shortNames: [short], categories: ["cellwall"]},
		versions: [{name: "v1alpha1", served: true, storage: true, subresources: {status: {}},
			additionalPrinterColumns: (columns + tail),
			schema: {openAPIV3Schema: {type: "object", description: about, required: ["spec"],
				properties: {apiVersion: {type: "string"}, kind: {type: "string"}, metadata: {type: "object"},
					spec: spec, status: status}}}}]}};

def rule(namespaced): {type: "object", required: ["action", "from", "to"],
	properties: {
		action: choice("allow, alert (passes and raises an alert) or block."; ["allow", "alert", "block"]),
		reject: {type: "boolean", description: "With block: answered by TCP RST or ICMP prohibited."},
		mode: (choice("alert: this rule alone is only simulated."; ["enforce", "alert"]) + {default: "enforce"}),
		enabled: {type: "boolean", default: true, description: "false: kept, not in force."},
		from: (list("Items are OR."; 1000; selector(false; namespaced)) | atomic),
		to: (list("Items are OR."; 1000; selector(true; namespaced)) | atomic),
		ports: ports
	},
	# reject answers what a rule blocks; a name cannot be blocked, as its address may serve others too
	allOf: [
		{anyOf: [{not: {required: ["reject"]}}, {properties: {reject: {enum: [false]}}}, {properties: {action: {enum: ["block"]}}}]},
		{anyOf: [{properties: {action: {enum: ["allow", "alert"]}}}, {properties: {to: {items: {not: {required: ["fqdn"]}}}}}]}
	]};
def rule_columns: [
	column("Action"; "string"; ".spec.action"), column("Mode"; "string"; ".spec.mode"),
	column("Enabled"; "boolean"; ".spec.enabled"), column("Ports"; "string"; ".spec.ports"),
	(column("From"; "string"; ".spec.from") | more), (column("To"; "string"; ".spec.to") | more)];

def mode_profile: {type: "object", required: ["target", "mode"], properties: {
	target: {type: "object", minProperties: 1,
		description: "The cluster, one namespace, namespaces by labels, or in a namespace a controller or a workload. Most specific wins.",
		properties: {
			cluster: {type: "boolean", enum: [true], description: "true: everything."},
			namespace: namespace,
			namespaceLabels: (labels("Namespaces with these labels.") + {minProperties: 1}),
			controller: controller,
			workload: text("Name of one workload."; 253; dns_name)},
		oneOf: [alone("cluster"), alone("namespaceLabels"), alone("namespace"),
			{required: ["namespace", "controller"], maxProperties: 2}, {required: ["namespace", "workload"], maxProperties: 2}]},
	mode: choice("off, learn, alert or enforce."; ["off", "learn", "alert", "enforce"]),
	default: choice("What nothing matches; absent: as configured."; ["block", "allow"])}};

def quarantine: {type: "object", required: ["target", "reason"], properties: {
	target: {type: "object", required: ["namespace"],
		description: "One pod (by uid: not its successor), or all replicas of a controller.",
		properties: {namespace: namespace, pod: text("Name of the pod."; 253; dns_name), uid: uid, controller: controller},
		oneOf: [{required: ["pod"], not: {required: ["controller"]}}, {required: ["controller"], maxProperties: 2}]},
	reason: {type: "string", description: "Shown with every drop.", maxLength: 1024, pattern: "[^ \\t\\r\\n]"},
	until: {type: "string", maxLength: 64, description: "RFC 3339. Absent: until it is deleted.",
		pattern: "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?$"},
	allow: ({type: "array", maxItems: 1000, description: "Who may reach it, and be reached, all the same.",
		items: {type: "object", required: ["cidr"], properties: {cidr: cidr("Address prefix."), ports: ports}}} | atomic)}};

def crds: {
	accessrules: kind("AccessRule"; "accessrules"; "cwr"; "Namespaced";
		"Who may talk to whom; speaks only for its own namespace's side."; rule(true); rule_columns),
	clusteraccessrules: kind("ClusterAccessRule"; "clusteraccessrules"; "ccwr"; "Cluster";
		"Who may talk to whom, for both sides and any namespace."; rule(false); rule_columns),
	modeprofiles: kind("ModeProfile"; "modeprofiles"; "cwm"; "Cluster";
		"The mode of a cluster, a namespace, a controller or a workload."; mode_profile; [
		column("Mode"; "string"; ".spec.mode"), column("Default"; "string"; ".spec.default"),
		column("Namespace"; "string"; ".spec.target.namespace"), column("Controller"; "string"; ".spec.target.controller"),
		(column("Workload"; "string"; ".spec.target.workload") | more)]),
	quarantines: kind("Quarantine"; "quarantines"; "cwq"; "Cluster";
		"Cuts a pod or a controller off, in every mode."; quarantine; [
		column("Namespace"; "string"; ".spec.target.namespace"), column("Pod"; "string"; ".spec.target.pod"),
		column("Controller"; "string"; ".spec.target.controller"), column("Until"; "string"; ".spec.until"),
		column("Reason"; "string"; ".spec.reason")])
};

# ---- YAML: every string quoted as in JSON, keys plain where that is safe ------------------------
def key: if test("^[A-Za-z][A-Za-z0-9/._-]*$") and (test("^(y|n|yes|no|on|off|true|false|null)$"; "i") | not) then . else @json end;
def yaml(pad): if type == "object" and length > 0 then
		[to_entries[] | "\(pad)\(.key | key):" + (.value | if (type == "object" or type == "array") and length > 0
			then "\n" + yaml(pad + "  ") else " \(@json)" end)] | join("\n")
	elif type == "array" and length > 0 then
		[.[] | "\(pad)-" + (if (type == "object" or type == "array") and length > 0
			then " " + (yaml(pad + "  ") | ltrimstr(pad + "  ")) else " \(@json)" end)] | join("\n")
	else "\(pad)\(@json)" end;
