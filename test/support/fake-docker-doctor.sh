#!/bin/bash
# The part of a Docker command line that only looks, for tests, on the folder FAKE_DOCKER: ps.json and df.json are what those commands print, one
# object a line, root the folder of the daemon, inspect.json the list of all containers, logs/<id> a log. `fault` holds what the daemon says
# instead. It takes exactly those commands and flags of the real one (https://docs.docker.com/reference/cli/docker/) that are listed here.
set -eu
cd "$FAKE_DOCKER"

refuse() {
  echo "$1" >&2
  exit "${2:-1}"
}

[ ! -e fault ] || refuse "$(< fault)"
case "$*" in
  "ps --all --no-trunc --format {\"ID\":"*"\"Status\":{{json .Status}},\"Project\":{{json (.Label \"com.docker.compose.project\")}}}") cat ps.json ;;
  "system df --format {{json .}}") cat df.json ;;
  "info --format {{.DockerRootDir}}") cat root ;;
  "container inspect "?*) cat inspect.json ;;
  "logs --tail 5 "?*)
    [ -e "logs/$4" ] || refuse "Error response from daemon: No such container: $4"
    tail -n 5 "logs/$4"
    ;;
  "start "?* | "restart "?*)
    # it runs from now on
    sed -i "/\"Names\":\"$2\"/s/\"State\":\"[a-z]*\",\"Status\":\"[^\"]*\"/\"State\":\"running\",\"Status\":\"Up 1 second\"/" ps.json
    echo "$2"
    ;;
  "image prune --force") sed -i '/"Type":"Images"/d' df.json ;;
  "builder prune --force") sed -i '/"Type":"Build Cache"/d' df.json ;;
  *) refuse "docker: '$1' is not a docker command." ;;
esac
