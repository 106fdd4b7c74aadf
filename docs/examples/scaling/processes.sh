#!/bin/sh
# A collector and several normalizers as plain processes of one machine. What it is for: docs/scaling.md
#
#   KAFKA_PASSWORD=… DSMITH_CLIENT_SECRET=… ./processes.sh 4
#
# starts four normalizers. SIGTERM or Ctrl-C ends all of them; one that ends by itself is started again.
set -eu

folder=$(cd "$(dirname "$0")" && pwd)
state=${STATE:-/var/lib/dsmith}
normalizers=${1:-2}

# A process with a state directory and an address for metrics of its own.
keep() { # name, configuration, port
  while :; do
    dsmith run -c "$folder/$2" --state-directory "$state/$1" --metrics "127.0.0.1:$3" &
    process=$!
    trap 'kill "$process"; wait "$process"; exit' TERM
    wait "$process" || echo "$1 ended with $?: it starts again in 10 seconds" >&2
    sleep 10 &
    process=$!
    wait "$process"
  done
}

keep collector collector.toml 9464 &
keepers=$!
number=1
while [ "$number" -le "$normalizers" ]; do
  keep "normalizer-$number" normalizer.toml $((9464 + number)) &
  keepers="$keepers $!"
  number=$((number + 1))
done
# shellcheck disable=SC2064,SC2086
trap "kill $keepers; wait" INT TERM
wait
