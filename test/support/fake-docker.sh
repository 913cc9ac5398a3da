#!/bin/bash
# A Docker command line for tests, on the folder FAKE_DOCKER: volumes/<name>/ are the volumes, containers/<id> the containers (four lines: name,
# running, label, "volume path rw"), fault what goes wrong. It takes exactly those commands and flags of the real one
# (https://docs.docker.com/reference/cli/docker/) that are listed here, and refuses all others.
set -eu
image=sha256:0123
cd "$FAKE_DOCKER"
echo "$*" >> log

refuse() {
  echo "$1" >&2
  exit "${2:-1}"
}
unknown() { refuse "unknown flag: $1" 125; }
# sets name, running, label, volume, path and rw
load() {
  [ -f "containers/$1" ] || refuse "Error response from daemon: No such container: $1"
  { read -r name; read -r running; read -r label; read -r volume path rw; } < "containers/$1"
}

volume_ls() {
  [ "$*" = --quiet ] || unknown "$*"
  ls volumes
}

image_ls() {
  [ "$*" = --quiet ] || unknown "$*"
  [ -e no-images ] || echo $image
}

ps_() {
  [ "$1 $2 $3 $4" = "--all --quiet --no-trunc --filter" ] && [ $# = 5 ] || unknown "$*"
  for id in $(ls containers); do
    load "$id"
    case $5 in
      "label=$label" | "volume=$volume" | "volume=$path") echo "$id" ;;
      label=?* | volume=?*) ;;
      *) refuse "invalid filter '$5'" ;;
    esac
  done
}

container_inspect() {
  comma="["
  for id; do
    load "$id"
    printf '%s{"Id":"%s","Name":"/%s","Image":"%s","State":{"Running":%s},' "$comma" "$id" "$name" $image "$running"
    printf '"Mounts":[{"Type":"volume","Name":"%s","Destination":"%s","RW":%s}]}\n' "$volume" "$path" "$rw"
    comma=","
  done
  echo "]"
}

create() {
  [ "$1 $2" = "--pull=never --network=none" ] || unknown "$1 $2"
  [[ $3 == --label=?*=* ]] || unknown "$3"
  [[ $4 =~ ^--mount=type=volume,source=([A-Za-z0-9][A-Za-z0-9_.-]*),target=(/[a-z-]+),readonly,volume-nocopy$ ]] || unknown "$4"
  volume=${BASH_REMATCH[1]} path=${BASH_REMATCH[2]}
  [ "$5" = $image ] || refuse "Error response from daemon: No such image: $5"
  [ $# = 6 ] || refuse "no command specified"
  # a real one would make it
  [ -d "volumes/$volume" ] || refuse "there is no volume $volume"
  id=new$$
  printf '%s\nfalse\n%s\n%s %s false\n' $id "${3#--label=}" "$volume" "$path" > containers/$id
  echo $id
}

cp_() {
  flags=-dR
  if [ "$1" = --archive ]; then flags=-a && shift; fi
  [[ $1 =~ ^([^:]+):(/.+)/\.$ ]] || unknown "$1"
  [ $# = 2 ] || refuse "'docker cp' requires 2 arguments"
  at=${BASH_REMATCH[2]}
  load "${BASH_REMATCH[1]}"
  [ "$path" = "$at" ] || refuse "Error response from daemon: Could not find the file $at in container $name"
  # names begin with "./", as those of Docker do
  if [ "$2" = - ]; then exec tar -C "volumes/$volume" --format=pax -cf - .; fi
  [ -d "$2" ] || refuse "no such directory: $2"
  cp $flags "volumes/$volume/." "$2"
  case $(cat fault 2> /dev/null || true) in
    flip) echo flipped > "$2/a" ;;
    extra) touch "$2/extra" ;;
    written) echo more >> "volumes/$volume/a" ;;
    start) sed -i 2s/.*/true/ containers/app-redis-1 ;;
    fail) refuse "Error response from daemon: the disk is broken" ;;
    # as long as there is somebody who waits for it
    hang) while kill -0 $PPID 2> /dev/null; do sleep 0.1; done ;;
  esac
}

rm_() {
  [ "$1" = --force ] || unknown "$1"
  shift
  for id; do rm "containers/$id" && echo "$id"; done
}

case "$1 ${2-}" in
  "volume ls") shift 2 && volume_ls "$@" ;;
  "image ls") shift 2 && image_ls "$@" ;;
  "container inspect") shift 2 && container_inspect "$@" ;;
  ps\ *) shift && ps_ "$@" ;;
  create\ *) shift && create "$@" ;;
  cp\ *) shift && cp_ "$@" ;;
  rm\ *) shift && rm_ "$@" ;;
  *) refuse "docker: '$1' is not a docker command." ;;
esac
