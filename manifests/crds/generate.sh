#!/usr/bin/env bash
# generate.sh [DIR] - writes the CustomResourceDefinitions from schema.jq into DIR (default: here).
# The results are kept in git, so that `kubectl apply -k` needs nothing; the lint of the manifests
# sees to it that they are what this prints.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for name in accessrules clusteraccessrules modeprofiles quarantines; do
	{
		echo "# Written by generate.sh from schema.jq."
		jq -nr -L "$here" --arg n "$name" 'include "schema"; crds[$n] | yaml("")'
	} >"${1:-$here}/$name.yaml"
done
